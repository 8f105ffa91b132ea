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
  std::int64_t largest_batch = 0;
  Shop() {
    for (const char* n : {"a", "b", "c", "d", "e \"x\""}) names.add(n);
  }
  std::string ask(const PredictOptions& options, const std::string& text, const Dataset* users = nullptr, bool json = false) {
    const Recommender recommender(options, json, names, users);
    std::istringstream in(text);
    std::ostringstream out;
    std::vector<Query> queries;
    const auto scorer = [&](auto sequences, std::span<float> scores) {
      largest_batch = std::max(largest_batch, static_cast<std::int64_t>(sequences.size()));
      for (std::size_t i = 0; i < sequences.size(); ++i)
        for (std::size_t item = 0; item <= 5; ++item)
          scores[6 * i + item] = static_cast<float>(item) + (static_cast<std::int32_t>(item) == sequences[i].back() + 1 ? 10.f : 0.f);
    };
    engine::answer_lines(in, out, 2,
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
