#include "recipes/tasks/next_item/recommend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <utility>

#include "autograd/core/error.h"
#include "recipes/engine/command/answer_lines.h"
#include "tests/recipes/tasks/next_item/fixtures.h"

namespace capstan::next_item {
namespace {

/// Names a, b, c, d, e; the score of an item is its id, and 10 more if it follows the newest item.
struct Shop {
  data::IdMap names;
  recommendation::TableOptions table;
  std::int64_t batch = 2, largest_batch = 0, largest_block = 0;
  Shop() {
    for (const char* n : {"a", "b", "c", "d", "e \"x\""}) names.add(n);
  }
  std::string ask(const PredictOptions& options, const std::string& text, const Dataset* users = nullptr, bool json = false) {
    const Recommender recommender(options, table, json, names, users);
    std::istringstream in(text);
    std::ostringstream out;
    std::vector<Query> queries;
    const SequenceScorer scorer{.hidden =
                                    [&](auto sequences) {
                                      std::vector<std::int64_t> last;
                                      for (const auto s : sequences) last.push_back(s.back());
                                      largest_batch = std::max(largest_batch, std::ssize(last));
                                      return Tensor::from(last, Shape{std::ssize(last), 1});
                                    },
                                .scores =
                                    [&](const Tensor& last) {
                                      Tensor all(Shape{last.size(0), names.size() + 1});
                                      for (std::int64_t i = 0; i < last.size(0); ++i)
                                        for (std::int64_t item = 0; item <= names.size(); ++item)
                                          all.data<float>()[i * (names.size() + 1) + item] =
                                              static_cast<float>(item) +
                                              (item == last.contiguous().data<const std::int64_t>()[i] + 1 ? 10.f : 0.f);
                                      largest_block = std::max(largest_block, last.size(0));
                                      return all;
                                    },
                                .vector =
                                    [](std::int64_t item) {
                                      return std::vector<float>{static_cast<float>(item), 0.5f};
                                    }};
    engine::answer_lines(in, out, batch,
                         {.take = [&](const std::string& line, std::int64_t number) { queries.push_back(recommender.read(line, number)); },
                          .answer = [&] { return recommender.answer(std::exchange(queries, {}), scorer); },
                          .refusal = [](std::string_view, std::int64_t, std::string_view) { return std::string("refused"); }});
    return out.str();
  }
};

TEST(NextItemRecommend, RanksUnseenItemsOfSequences) {
  Shop shop;
  EXPECT_EQ(shop.ask({.top = 2}, "a b\nb a\nd c\r\n"), "1\t-\tc\t13\te \"x\"\t5\n2\t-\te \"x\"\t5\td\t4\n3\t-\te \"x\"\t5\tb\t2\n")
      << "what follows the newest item comes first unless it was seen: b after b a, d after d c";
  EXPECT_EQ(shop.largest_batch, 2);
  EXPECT_EQ(shop.ask({.top = 2, .filter_seen = false}, "b a\n"), "1\t-\tb\t12\te \"x\"\t5\n");
}

TEST(NextItemRecommend, ScoresAreHeldOfABlockOfQueries) {
  Shop shop;
  for (int i = 5; i < 1'100'124; ++i) shop.names.add(std::to_string(i));
  shop.batch = 6;
  EXPECT_EQ(shop.ask({.top = 1, .filter_seen = false}, "a\nb\n\nc\nd\na\n"),
            "1\t-\t1100123\t1100124\n2\t-\t1100123\t1100124\n3\t-\n4\t-\t1100123\t1100124\n5\t-\t1100123\t1100124\n"
            "6\t-\t1100123\t1100124\n");
  EXPECT_EQ(shop.largest_batch, 5) << "the network sees them together";
  EXPECT_EQ(shop.largest_block, 3) << "4.4 MB of scores each, 16 MiB in all";
}

TEST(NextItemRecommend, CutsQueriesAsTheTableIsCut) {
  Shop shop;
  EXPECT_EQ(shop.ask({.top = 1}, "a;b\n"), "1\ta;b\n");
  shop.table.separator = "semicolon";
  EXPECT_EQ(shop.ask({.top = 1}, "a;b\na b\nd\ta\n"), "1\t-\tc\t13\n2\t-\tc\t13\n3\t-\tb\t12\n");
}

TEST(NextItemRecommend, ANameWithALineBreakStaysInItsLine) {
  Shop shop;
  shop.names.add("f\ng\th");
  EXPECT_EQ(shop.ask({.top = 1}, "a\te \"x\"\n"), "1\t-\tf g h\t16\n");
}

TEST(NextItemRecommend, AnswersItemsByTheirVectors) {
  Shop shop;
  const PredictOptions options{.input = PredictInput::items};
  EXPECT_EQ(shop.ask(options, "c\nnope\n"), "c\t2\t0.5\nnope\n");
  EXPECT_EQ(shop.ask(options, "*\n"), "a\t0\t0.5\nb\t1\t0.5\nc\t2\t0.5\nd\t3\t0.5\ne \"x\"\t4\t0.5\n");
  EXPECT_EQ(shop.ask(options, "e \"x\"\nnope\n", nullptr, /*json=*/true),
            "{\"item\":\"e \\\"x\\\"\",\"vector\":[4,0.5]}\n{\"item\":\"nope\",\"vector\":[]}\n");
}

TEST(NextItemRecommend, NamesUnknownItems) {
  Shop shop;
  EXPECT_EQ(shop.ask({.top = 1}, "a nope c no\nnope\n"), "1\tnope,no\td\t14\n2\tnope\n");
  EXPECT_EQ(shop.ask({.top = 2}, "a\te \"x\"\tq\"\n", nullptr, /*json=*/true),
            "{\"input\":\"1\",\"unknown\":[\"q\\\"\"],\"items\":[{\"item\":\"d\",\"score\":4},{\"item\":\"c\",\"score\":3}]}\n");
}

TEST(NextItemRecommend, FindsUsersByTheirId) {
  Shop shop;
  const Dataset users(interactions({{1, 2, 3}, {2}}, 5));
  const PredictOptions options{.input = PredictInput::users, .top = 1};
  EXPECT_EQ(shop.ask(options, "u1\nu0\n", &users), "u1\t-\tc\t13\nu0\t-\td\t14\n") << "the whole sequence counts, the test item too";
  EXPECT_EQ(shop.ask(options, " u1\t\n", &users), "u1\t-\tc\t13\n") << "as a table is read";
  EXPECT_EQ(shop.ask(options, "u1\nu7\nu0\n", &users), "u1\t-\tc\t13\nu7\tu7\nu0\t-\td\t14\n") << "an unknown user costs its own answer";
}

TEST(NextItemRecommend, AnEmptyLineCostsItsOwnAnswer) { EXPECT_EQ(Shop().ask({.top = 1}, "a\n\nb\n"), "1\t-\tb\t12\n2\t-\n3\t-\tc\t13\n"); }

TEST(NextItemRecommend, IdsWithBlanksAreOneIdAndQuotesAreTakenOff) {
  Shop shop;
  const PredictOptions options{.top = 1};
  EXPECT_EQ(shop.ask(options, "\"c\" \"a\"\n"), "1\t-\tb\t12\n");
  EXPECT_EQ(shop.ask(options, "e \"x\"\ne \"x\" \t a\n"), "1\t-\td\t4\n2\t-\tb\t12\n");
}

}  // namespace
}  // namespace capstan::next_item
