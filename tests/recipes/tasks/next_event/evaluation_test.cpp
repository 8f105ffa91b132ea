// Evaluation, baselines, data and recommendation: what a user reads off the model.

#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <map>
#include <sstream>

#include "recipes/engine/evaluate/evaluate.h"
#include "recipes/tasks/next_event/recommend.h"
#include "tests/message_of.h"
#include "tests/recipes/tasks/next_event/fixtures.h"

namespace capstan::next_event {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::map<std::string, double> by_name(const engine::Metrics& metrics) {
  std::map<std::string, double> out;
  for (const auto& m : metrics) out[m.name] = m.value;
  return out;
}

/// The metrics of a pass over some sessions, `slots` of them side by side.
std::map<std::string, double> metrics_of(Learner& recipe, const data::Interactions& events, std::int64_t slots,
                                         const EvaluateOptions& options) {
  Evaluation evaluation(options);
  const auto steps = evaluation_steps(events, slots);
  while (const auto batch = steps()) recipe.task().evaluate(*batch, evaluation, {});
  return by_name(engine::reported(evaluation.accumulators()));
}

std::vector<std::pair<std::int64_t, std::int64_t>> pairs(const std::vector<engine::Rank>& ranks) {
  std::vector<std::pair<std::int64_t, std::int64_t>> out;
  for (const auto& r : ranks) out.emplace_back(r.above, r.equal);
  return out;
}

// T1, T3, T4: the rank of every case is the same whatever runs beside it or ran in its slot before, so all metrics are means over cases.
TEST_F(NextEventTask, RanksDoNotDependOnTheBatch) {
  Learner recipe(config, setup);
  std::int64_t step = 0;
  for (int epoch = 0; epoch < 5; ++epoch) recipe.train_epoch(epoch, step);
  const auto& events = recipe.dataset().train();
  const auto expected = pairs(ranks_of(recipe.network(), events, 1));
  EXPECT_EQ(expected.size(), 9u);
  for (const std::int64_t batch_size : {2, 3, 4, 8})
    EXPECT_EQ(pairs(ranks_of(recipe.network(), events, batch_size)), expected) << "batch size " << batch_size;

  const auto alone = metrics_of(recipe, events, 1, {.k = {1, 3}});
  EXPECT_EQ(metrics_of(recipe, events, 4, {.k = {1, 3}}), alone);
  EXPECT_EQ(alone.at("cases"), 9);
}

// T19: a model that says nothing is not perfect: equal scores rank in the middle, or last.
TEST_F(NextEventTask, ConstantScoresAreNotPerfect) {
  Learner recipe(config, setup);
  for (const char* name : {"items/weight", "items/bias"}) std::ranges::fill(recipe.parameters().find(name).value().span<float>(), 0.0f);
  const auto& events = recipe.dataset().train();
  EXPECT_EQ(metrics_of(recipe, events, 256, {.k = {3}, .ties = engine::Ties::conservative}).at("recall@3"), 0);
  const auto median = metrics_of(recipe, events, 256, {.k = {3, 4}, .ties = engine::Ties::median});  // rank 3.5 of 6
  EXPECT_EQ(median.at("recall@3"), 0);
  EXPECT_NEAR(median.at("mrr@4"), 1 / 3.5, 1e-12);
  EXPECT_EQ(median.at("tied"), 1);
}

// T18: a NaN stops evaluation and training with an error.
TEST_F(NextEventTask, NaNIsAnError) {
  Learner recipe(config, setup);
  recipe.begin_epoch(0);
  const auto batch = recipe.next_batch();
  recipe.parameters().find("items/weight").value().data<float>()[0] = std::numeric_limits<float>::quiet_NaN();
  const auto before = recipe.everything();
  EXPECT_THROW(metrics_of(recipe, recipe.dataset().train(), 256, {}), NumericalError);
  EXPECT_THROW(recipe.train(*batch, 0), NumericalError);
  EXPECT_EQ(recipe.values("items/bias"), before[1]);
}

// T14: events with unknown items are left out and counted; their neighbours then follow each other.
TEST_F(NextEventTask, UnknownItemsAreLeftOutAndCounted) {
  config.data.test = scratch.write("test.txt", "1 77 2\n88 3\n4 5 99\n");
  Learner recipe(config, setup);
  const Sessions& test = *recipe.dataset().split(engine::Split::test);
  EXPECT_EQ(test.events.sequences(), 2);
  EXPECT_THAT(test.events.items, ElementsAre(0, 1, 3, 4));
  EXPECT_EQ(test.unknown_events, 3);
  engine::Evaluator evaluator(recipe, {});
  const auto metrics = by_name(evaluator.run(engine::Split::test));
  EXPECT_EQ(metrics.at("unknown_events"), 3);
  EXPECT_EQ(metrics.at("cases"), 2);
  EXPECT_TRUE(evaluator.run(engine::Split::validation).empty());
}

// evaluate.batch_size sessions stand side by side, and the first slots of a step are its targets alone.
TEST_F(NextEventTask, EvaluatesAsManySessionsAtATimeAsConfigured) {
  config.data.test = config.data.train;
  for (const std::int64_t slots : {2, 5}) {
    setup.evaluation_size = slots;
    Learner recipe(config, setup);
    const auto first = recipe.task().evaluation_batches(engine::Split::test)();
    EXPECT_EQ(first->inputs.numel(), slots);
    EXPECT_EQ(first->candidates.items.numel(), slots);
  }
}

// T20: the test sessions change nothing in training.
TEST_F(NextEventTask, TestSessionsDoNotReachTraining) {
  Learner without(config, setup);
  config.data.test = scratch.write("test.txt", "5 6 1\n");
  Learner with(config, setup);
  std::int64_t a = 0, b = 0;
  EXPECT_EQ(without.train_epoch(0, a), with.train_epoch(0, b));
  EXPECT_EQ(without.everything(), with.everything());
  EXPECT_EQ(without.data_digest(), with.data_digest());
  EXPECT_TRUE(engine::Evaluator(with, {}).run(engine::Split::validation).empty());
}

// ---- baselines, by hand: sessions 1 2 1 3, 1 2, 2 1, 4 5

TEST(Baselines, RankAsCountedByHand) {
  const data::Scratch scratch;
  const auto train = data::read_session_lines(scratch.write("t.txt", "1 2 1 3\n1 2\n2 1\n4 5\n"));
  const Baselines baselines(train);
  const auto ranks = [&](const std::string& session) {
    const auto events = data::translate(data::read_session_lines(scratch.write("e.txt", session)), train.item_ids);
    return by_name(baselines.evaluate(events, {.k = {1, 2, 3}, .ties = engine::Ties::conservative}));
  };
  const auto after_1 = ranks("1 2\n");  // supports 4 3 1 1 1; after 1: 2 twice, 3 once; together with 1: 2 in three sessions, 3 in one
  EXPECT_EQ(after_1.at("popularity/recall@1"), 0);
  EXPECT_EQ(after_1.at("popularity/recall@2"), 1);
  EXPECT_EQ(after_1.at("markov/recall@1"), 1);
  EXPECT_EQ(after_1.at("item_knn/recall@1"), 1);
  const auto second = ranks("1 3\n");
  EXPECT_EQ(second.at("markov/mrr@2"), .5);
  EXPECT_EQ(second.at("item_knn/mrr@2"), .5);
  EXPECT_EQ(second.at("popularity/recall@3"), 0);      // three items tie on places 3 to 5
  EXPECT_EQ(ranks("5 4\n").at("markov/recall@3"), 0);  // never seen in this order: all items tie
  EXPECT_EQ(ranks("5 4\n").at("item_knn/recall@1"), 1);
}

// ---- data

TEST(Dataset, OrdersSessionsByTheirStartAndItemsByAppearance) {
  const data::Scratch scratch;
  engine::Setup setup;
  DataOptions o;
  o.train = scratch.write("train.tsv", "SessionId\tItemId\tTime\n9\tb\t50\n9\tc\t40\n2\ta\t10\n2\tb\t20\n5\tc\t30\n5\ta\t31\n7\ta\t1\n");
  const Dataset d(o, {}, setup, nullptr, false);
  // Session 7 has one event and is gone; 2 begins at 10, 5 at 30, 9 at 40 (its events in time order).
  std::vector<std::string> names;
  for (const auto item : d.train().items) names.emplace_back((*d.item_names())[item]);
  EXPECT_THAT(names, ElementsAre("a", "b", "c", "a", "c", "b"));
  EXPECT_EQ((*d.item_names())[0], "b");
  EXPECT_THAT(d.support(), ElementsAre(2, 2, 2));
}

// The rule of RSC15 (last event decides) and the later one (first event decides, sessions are cut), support 2, as worked out by hand.
TEST(Dataset, SplitsALogInBothWays) {
  const data::Scratch scratch;
  engine::Setup setup;
  DataOptions o;
  o.source = Source::log;
  o.log =
      scratch.write("log.tsv",
                    "SessionId\tItemId\tTime\n1\tA\t0\n1\tB\t10\n1\tA\t20\n2\tB\t100\n2\tC\t110\n3\tA\t90000\n3\tB\t90010\n3\tD\t90020\n"
                    "4\tC\t100000\n4\tA\t100010\n5\tA\t50\n6\tC\t13000\n6\tB\t13700\n");
  o.min_support = 2;
  o.filter = data::FilterMode::in_turn;
  o.split_by = data::SplitBy::session_end;
  const auto spelled = [](const data::Interactions& x) {
    std::vector<std::string> out;
    for (std::int64_t s = 0; s < x.sequences(); ++s) {
      out.emplace_back();
      for (const auto item : x.sequence(s)) out.back() += (*x.item_ids)[item];
    }
    return out;
  };
  const Dataset by_end(o, {}, setup, nullptr, false);
  EXPECT_THAT(spelled(by_end.train()), ElementsAre("ABA", "BC"));
  EXPECT_THAT(spelled(by_end.split(engine::Split::test)->events), ElementsAre("CB", "AB", "CA"));
  o.split_by = data::SplitBy::session_start;
  const Dataset by_start(o, {}, setup, nullptr, false);
  EXPECT_THAT(spelled(by_start.train()), ElementsAre("ABA", "BC"));
  EXPECT_THAT(spelled(by_start.split(engine::Split::test)->events), ElementsAre("AB", "CA"));
}

// A session whose first event is filtered out takes the place of its first event that is left.
TEST(Dataset, OrdersSessionsAfterTheFilters) {
  const data::Scratch scratch;
  engine::Setup setup;
  DataOptions o;
  o.source = Source::log;
  o.min_support = 2;
  o.log =
      scratch.write("log.tsv", "SessionId\tItemId\tTime\n1\trare\t0\n1\tA\t50\n1\tB\t60\n2\tB\t10\n2\tA\t20\n3\tA\t900000\n3\tB\t900001\n");
  const Dataset d(o, {}, setup, nullptr, false);
  ASSERT_EQ(d.train().sequences(), 2);
  EXPECT_THAT(d.train().times, ElementsAre(10, 20, 50, 60));
}

TEST(Dataset, SaysWhatItReadWhenTheSplitLeavesNothing) {
  const data::Scratch scratch;
  DataOptions o;
  o.source = Source::log;
  o.min_support = 1;
  o.log = scratch.write("log.csv", "session_id,item_id,click_time\n1,A,1701000000\n1,B,1701000010\n2,A,1701070000\n2,B,1701070010\n");
  EXPECT_THAT(message_of([&] { Dataset(o, {}, {}, nullptr, false); }),
              testing::AllOf(HasSubstr("its times span 0.81 days, and data.test_days = 1 puts all into the test part"),
                             HasSubstr("time 3 'click_time' (its name speaks of a time)")));
  o.time_split.test_days = 0.5;
  EXPECT_EQ(Dataset(o, {}, {}, nullptr, false).split(engine::Split::test)->cases(), 1);
}

TEST(Dataset, EvaluatesChosenSessions) {
  const data::Scratch scratch;
  DataOptions o;
  o.train = scratch.write("train.tsv", "SessionId\tItemId\n1\ta\n1\tb\n");
  o.test = scratch.write("test.tsv", "SessionId\tItemId\n7\ta\n7\tb\n8\tb\n8\ta\n8\tb\n");
  Dataset d(o, {}, {}, nullptr, false);
  data::IdMap chosen;
  chosen.add("8");
  chosen.add("9");
  d.evaluate_only(chosen);
  EXPECT_EQ(d.split(engine::Split::test)->cases(), 2);
  EXPECT_EQ(d.split(engine::Split::test)->name(0), "8");
  data::IdMap nobody;
  nobody.add("9");
  EXPECT_THAT(message_of([&] { d.evaluate_only(nobody); }), HasSubstr("none of the 1 sessions, such as '9', is in"));
}

TEST(Dataset, NamesSessionsOfAUserByBoth) {
  const data::Scratch scratch;
  DataOptions o;
  o.user_column = "UserId";
  o.train = o.test = scratch.write("train.tsv", "UserId\tSessionId\tItemId\nu\t1\ta\nu\t1\tb\nv\t1\tb\nv\t1\ta\n");
  Dataset d(o, {}, {}, nullptr, false);
  data::IdMap chosen;
  chosen.add("v 1");
  d.evaluate_only(chosen);
  EXPECT_EQ(d.split(engine::Split::test)->events.sequences(), 1);
  EXPECT_EQ(d.split(engine::Split::test)->name(0), "v 1");
}

// ---- recommendation

TEST_F(NextEventTask, StreamsRecommendationsWithTheStateOfEachSession) {
  Learner recipe(config, setup);
  std::int64_t step = 0;
  for (int epoch = 0; epoch < 5; ++epoch) recipe.train_epoch(epoch, step);
  const data::IdMap& names = *recipe.dataset().item_names();
  const auto answers = [&](const std::string& input, const PredictOptions& options) {
    Recommender recommender(recipe.network(), names, options);
    std::vector<std::string> all;
    std::istringstream in(input);
    for (std::string line; std::getline(in, line);)
      all.push_back(recommender.answer(recommender.read(line, static_cast<std::int64_t>(all.size()) + 1)));
    return all;
  };
  const auto mixed = answers("x\t1\ny\t4\nx\t2\ny\t77\nz\t77\n", {.top = 3});
  ASSERT_EQ(mixed.size(), 5u);
  const auto alone = answers("x\t1\nx\t2\n", {.top = 3});
  EXPECT_EQ(mixed[0], alone[0]);  // sessions do not touch each other
  EXPECT_EQ(mixed[2], alone[1]);
  EXPECT_EQ(mixed[3], mixed[1]);  // an unknown item leaves the state as it was
  EXPECT_EQ(mixed[4], "z");
  EXPECT_NE(alone[1].substr(1), answers("x\t2\n", {.top = 3})[0].substr(1));
  EXPECT_THAT(answers("x 1\n", {.top = 2, .filter_seen = true})[0], ::testing::Not(HasSubstr("\t1\t")));
  // The best item is the one of rank 1 in evaluation.
  const auto all = answers("x\t1\n", {.top = 6})[0];
  const auto events = data::translate(data::read_session_lines(scratch.write("e.txt", "1 2\n")), recipe.dataset().item_names());
  const auto rank = ranks_of(recipe.network(), events, 1)[0].at(engine::Ties::standard);
  std::vector<std::string> fields;
  std::istringstream split(all);
  for (std::string f; std::getline(split, f, '\t');) fields.push_back(f);
  ASSERT_EQ(fields.size(), 13u);
  EXPECT_EQ(fields[static_cast<std::size_t>(2 * rank - 1)], "2");
  EXPECT_EQ(answers("x\t1\t1396867868\nx\t2\t1396867869\n", {.top = 3}), alone);  // lines of a training file, with their time
  EXPECT_EQ(answers("nonsense\nx\t1\n\n", {.top = 3}), (std::vector<std::string>{"nonsense", alone[0], ""}));  // costs its own answer
}

TEST_F(NextEventTask, AnswersAsJson) {
  Learner recipe(config, setup);
  Recommender recommender(recipe.network(), *recipe.dataset().item_names(), {.top = 2}, /*json=*/true);
  EXPECT_EQ(recommender.answer(recommender.read("s\"1\tnew", 1)), R"({"session":"s\"1","items":[]})");
  EXPECT_THAT(recommender.answer(recommender.read("s\"1\t2", 2)),
              ::testing::MatchesRegex(R"(.*"items":\[\{"item":"[1-6]","score":[-.0-9e]+\},\{"item":"[1-6]","score":[-.0-9e]+\}\]\})"));
}

TEST_F(NextEventTask, AnswersItemsByVectorAndBias) {
  Learner recipe(config, setup);
  Recommender recommender(recipe.network(), *recipe.dataset().item_names(), {.input = PredictInput::items}, /*json=*/false);
  const auto answer = [&](const std::string& line) { return recommender.answer(recommender.read(line, 1)); };
  const std::int64_t item = recipe.dataset().item_names()->find("4");
  const Tensor table = recipe.network().table.value();
  std::string expected = "4";
  for (std::int64_t i = 0; i < table.size(1); ++i) expected += join_text("\t", table.data<const float>()[item * table.size(1) + i]);
  expected += join_text("\t", recipe.network().bias.value().data<const float>()[item]);
  EXPECT_EQ(answer("4"), expected);
  EXPECT_EQ(answer("nope"), "nope");
  const std::string all = answer("*");
  EXPECT_EQ(std::ranges::count(all, '\n'), 5) << "six items";
}

TEST_F(NextEventTask, ForgetsTheSessionThatIsIdleForLongest) {
  Learner recipe(config, setup);
  Recommender r(recipe.network(), *recipe.dataset().item_names(), {.top = 1, .sessions = 2});
  const auto first = r.observe("a", 0)[0].score;
  r.observe("b", 1);
  const auto second = r.observe("a", 0)[0].score;
  EXPECT_NE(first, second);
  r.observe("c", 2);  // b goes
  EXPECT_EQ(r.sessions(), 2u);
  EXPECT_EQ(r.observe("a", -1)[0].score, second);
  EXPECT_TRUE(r.observe("b", -1).empty());
}

}  // namespace
}  // namespace capstan::next_event
