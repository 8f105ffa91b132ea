// GRU4Rec through the command line: quickstart data, interruption and resume in mid-epoch, prediction, update with new items.

#include <cstdlib>

#include "data/hdf5/hdf5.h"
#include "recipes/gru4rec/recipe.h"
#include "tests/recipes/recipe_program.h"

namespace capstan::gru4rec {
namespace {

using ::testing::HasSubstr;

/// A session a line.
constexpr const char* kSessions = "1 2 3\n4 5\n2 6 1 3\n5 1\n3 4 2\n";

struct Gru4RecProgram : engine::test::RecipeProgram {
  Gru4RecProgram() : RecipeProgram(gru4rec::recipe()) {}

  /// quickstart.cfg, made small, in a directory of its own.
  static Arguments small() {
    return {"run.threads=1", "model.layers=24", "model.dropout_hidden=0.2", "evaluate.baselines=no", "train.log_every=1"};
  }
  static Arguments generated() { return {"synthetic.sequences=300", "synthetic.items=60", "negatives.count=32", "train.batch_size=20"}; }
  int train(const std::string& run, const Arguments& more = {}) { return train_quickstart(run, joined(small(), more)); }
  int train_generated(const std::string& run, const Arguments& more) { return train(run, joined(more, generated())); }
};

TEST_F(Gru4RecProgram, KeepsWhatTheEnginePromises) {
  // An epoch has about 100 steps: stop in the first and in the second.
  prove({.settings = joined(small(), joined(generated(), {"train.epochs=2"})),
         .steps = 200,
         .stops = {1, 37, 150},
         .input = "s\t1\nt\t2\ns\tnew\n"});
}

// Streams begin anew with their hidden states and negatives every three steps, wherever the run is stopped.
TEST_F(Gru4RecProgram, LearnsItsFirstBatchesByHeart) {
  const Arguments settings{"train.overfit_batches=3", "train.evaluate_every=1000", "model.dropout_hidden=0"};
  ASSERT_EQ(train_generated("whole", joined(settings, {"train.max_steps=60"})), engine::kOk) << err.str();
  ASSERT_EQ(train_generated("parts", joined(settings, {"train.max_steps=31"})), engine::kOk) << err.str();
  ASSERT_EQ(train_generated("parts", joined(settings, {"train.max_steps=60", "--resume", "auto"})), engine::kOk) << err.str();
  EXPECT_EQ(tensors(checkpoint("parts")), tensors(checkpoint("whole")));
  std::vector<double> losses;
  std::istringstream rows(engine::test::text_of(scratch / "whole/metrics.jsonl"));
  for (std::string row; std::getline(rows, row);)
    if (const auto at = row.find("\"loss\":"); row.find("\"train\"") != std::string::npos) losses.push_back(std::stod(row.substr(at + 7)));
  ASSERT_EQ(losses.size(), 60u);
  for (std::size_t i = 57; i < 60; ++i) EXPECT_LT(losses[i], 0.5 * losses[i - 57]) << "each of them";
}

TEST_F(Gru4RecProgram, ATrainedModelRecommends) {
  ASSERT_EQ(train_generated("run", {"train.epochs=1"}), engine::kOk) << err.str();
  ASSERT_EQ(
      capstan({"predict", config, "--checkpoint", checkpoint("run"), "--input", "-", "--output", "-", "model.layers=24", "predict.top=2"},
              "s\t1\nt\t2\ns\tnew\n"),
      engine::kOk)
      << err.str();
  std::istringstream lines(out.str());
  std::vector<std::string> all;
  for (std::string line; std::getline(lines, line);) all.push_back(line);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(std::ranges::count(all[0], '\t'), 4);
  EXPECT_EQ(all[2], all[0]);
  const auto among = [&](const std::string& candidates) {
    return capstan({"predict", config, "--checkpoint", checkpoint("run"), "--input", "-", "--output", "-", "model.layers=24",
                    "predict.candidates=" + scratch.write("candidates", candidates)},
                   "s\t1\n");
  };
  ASSERT_EQ(among("7\n9\nnew\n"), engine::kOk) << err.str();
  EXPECT_THAT(out.str(),
              ::testing::AnyOf(::testing::MatchesRegex("s\t7\t[^\t]+\t9\t[^\t]+\n"), ::testing::MatchesRegex("s\t9\t[^\t]+\t7\t[^\t]+\n")));
  EXPECT_EQ(among("7.0\n"), engine::kData);
  EXPECT_THAT(err.str(), HasSubstr("none of its 1 items is known: items here are '7.0'"));
}

// The published sets in the form in which they are published: two sessions of three items, a line that does not count where there are such.
TEST_F(Gru4RecProgram, ConfigurationsReadThePublishedFiles) {
  const std::map<std::string, std::string> files{
      {"yoochoose",
       "1,2014-04-07T10:51:09.277Z,1,0\n1,2014-04-07T10:51:10.277Z,2,0\n1,2014-04-07T10:51:11.277Z,3,0\n"
       "2,2014-04-09T10:51:09.277Z,1,0\n2,2014-04-09T10:51:10.277Z,2,0\n2,2014-04-09T10:51:11.277Z,3,0\n"},
      {"rees46",
       "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n"
       "2019-10-01 00:00:00 UTC,view,1,7,,b,1.5,8,s\n2019-10-01 00:00:01 UTC,cart,1,7,,b,1.5,8,s\n2019-10-01 00:00:02 "
       "UTC,view,2,7,,b,1.5,8,s\n"
       "2019-10-01 00:00:03 UTC,view,3,7,,b,1.5,8,s\n2019-10-09 00:00:00 UTC,view,1,7,,b,1.5,8,t\n2019-10-09 00:00:02 "
       "UTC,view,2,7,,b,1.5,8,t\n"
       "2019-10-09 00:00:03 UTC,view,3,7,,b,1.5,8,t\n"},
      {"retailrocket",
       "timestamp,visitorid,event,itemid,transactionid\n1433221332117,s,view,1,\n1433221333117,s,addtocart,1,\n1433221334117,s,view,2,\n"
       "1433221335117,s,view,3,\n1435221332117,t,view,1,\n1435221334117,t,view,2,\n1435221335117,t,view,3,\n"},
      {"diginetica",
       "sessionId;userId;itemId;timeframe;eventdate\n1;NA;1;526309;2016-05-01\n1;NA;2;1031018;2016-05-01\n1;NA;3;1243569;2016-05-01\n"
       "2;NA;1;526309;2016-05-19\n2;NA;2;1031018;2016-05-19\n2;NA;3;1243569;2016-05-19\n"},
      {"coveo",
       "session_id_hash,event_type,product_action,product_sku_hash,server_timestamp_epoch_ms,hashed_url\ns,pageview,,,1550885210881,u\n"
       "s,event_product,detail,1,1550885213307,u\ns,event_product,add,2,1550885214307,u\ns,event_product,detail,3,1550885215307,u\n"
       "s,event_product,remove,3,1550885215308,u\nt,event_product,detail,1,1551885213307,u\nt,event_product,detail,2,1551885214307,u\n"
       "t,event_product,purchase,2,1551885214309,u\nt,event_product,detail,3,1551885215307,u\n"}};
  for (const auto& [name, content] : files) {
    ASSERT_EQ(capstan({"prepare", folder + "/" + name + ".cfg", "data.log=" + scratch.write(name, content), "data.min_support=1",
                       "data.prepared="}),
              engine::kOk)
        << name << ": " << err.str();
    EXPECT_THAT(out.str(), HasSubstr("3 items; training: 1 sessions, 3 events; test: 1 sessions, 2 cases, 0 events of unknown items"))
        << name;
  }
}

TEST_F(Gru4RecProgram, RefusesWhatDoesNotGoTogether) {
  EXPECT_EQ(train("run", {"loss.elu=0.5"}), engine::kUsage);
  EXPECT_THAT(err.str(), HasSubstr("loss.elu = 0.5"));
  EXPECT_EQ(train("run", {"data.events=view"}), engine::kUsage);
  EXPECT_EQ(train("run", {"synthetic.min_length=1"}), engine::kUsage);
  EXPECT_THAT(err.str(), HasSubstr("synthetic.min_length = 1"));
  EXPECT_EQ(train("run", {"synthetic.sequences=9"}), engine::kUsage);
  EXPECT_EQ(train("run", {"synthetic.sessions=300"}), engine::kUsage);
  EXPECT_THAT(err.str(), HasSubstr("synthetic.sequences"));
  EXPECT_EQ(train("run", {"train.precision=bf16"}), engine::kUsage);
  EXPECT_THAT(err.str(), HasSubstr("train.precision must be f32"));
  EXPECT_EQ(train("run", {"data.source=split", "data.form=lines", "data.train=" + scratch.write("t.txt", kSessions),
                          "train.metric=", "negatives.count=4", "train.patience=2"}),
            engine::kUsage);
  EXPECT_THAT(err.str(), HasSubstr("train.patience = 2: with this configuration there is no validation part"));
  ASSERT_EQ(train("lines", {"data.source=split", "data.form=lines", "data.train=" + scratch.write("t.txt", kSessions),
                            "train.metric=", "negatives.count=4", "train.epochs=1"}),
            engine::kOk)
      << err.str();
  EXPECT_EQ(capstan({"evaluate", config, "--checkpoint", checkpoint("lines"), "model.layers=24", "data.source=split", "data.form=lines",
                     "data.train=" + scratch.write("t.txt", kSessions), "--split", "validation"}),
            engine::kData);
  EXPECT_THAT(err.str(), HasSubstr("no validation part"));
}

// New sessions with new items: old rows and their optimiser state are kept, new rows appended, and training goes on.
TEST_F(Gru4RecProgram, UpdatesAModelWithNewItems) {
  const std::vector<std::string> files{"data.source=split", "data.form=lines", "train.metric="};
  const auto with = [&](const std::string& sessions, const std::vector<std::string>& more) {
    std::vector<std::string> all = files;
    all.push_back("data.train=" + scratch.write(std::to_string(sessions.size()) + ".txt", sessions));
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  ASSERT_EQ(train("old", with(kSessions, {"train.epochs=3", "negatives.count=4"})), engine::kOk) << err.str();
  const std::string old_file = checkpoint("old");
  const std::string newer = "7 1 8\n2 7\n";
  ASSERT_EQ(train("new", with(newer, {"update.from=" + old_file, "train.batch_size=1", "negatives.count=0"})), engine::kUsage)
      << "one slot without negatives has nothing to learn from";
  ASSERT_EQ(train("new", with(newer, {"update.from=" + old_file, "train.max_steps=1", "train.epochs=1", "train.batch_size=1",
                                      "negatives.count=1"})),
            engine::kOk)
      << err.str();

  const data::Hdf5Reader before(old_file), after(checkpoint("new"));
  const Tensor old_table = before.read("/model/items/weight"), new_table = after.read("/model/items/weight");
  EXPECT_EQ(old_table.shape(), (Shape{6, 24}));
  ASSERT_EQ(new_table.shape(), (Shape{8, 24}));
  const Tensor old_sum = before.read("/optimizer/accumulator/items/weight"), new_sum = after.read("/optimizer/accumulator/items/weight");
  // One step names at most three items; all other old rows are the same to the bit, with their state.
  std::int64_t same = 0;
  for (std::int64_t row = 0; row < 6; ++row) {
    const auto equal = [&](const Tensor& a, const Tensor& b) {
      return std::equal(a.data<float>() + row * 24, a.data<float>() + (row + 1) * 24, b.data<float>() + row * 24);
    };
    EXPECT_EQ(equal(old_table, new_table), equal(old_sum, new_sum)) << "row " << row;
    same += equal(old_table, new_table);
  }
  EXPECT_GE(same, 3);
  // Support counts of both add up.
  EXPECT_THAT(after.read("/artifacts/item_support").to_vector(), ::testing::ElementsAre(4, 4, 3, 2, 2, 1, 2, 1));
  // A model of another shape is refused, and an optimiser whose state the checkpoint does not hold.
  EXPECT_EQ(train("odd", with(newer, {"update.from=" + old_file, "model.layers=20"})), engine::kBadCheckpoint);
  EXPECT_EQ(train("other", with(newer, {"update.from=" + old_file, "optimizer.kind=adam", "negatives.count=1"})), engine::kBadCheckpoint);
  EXPECT_THAT(err.str(), HasSubstr("has the state of the optimiser 'adagrad'"));
  EXPECT_EQ(train("momentum", with(newer, {"update.from=" + old_file, "optimizer.momentum=0.5", "negatives.count=1"})),
            engine::kBadCheckpoint);
}

// What an update takes over depends on no rule: Adam goes on with its moments and its count of steps.
TEST_F(Gru4RecProgram, UpdatesWithAnyOptimizer) {
  const auto with = [&](const std::string& name, const std::string& sessions, const std::vector<std::string>& more) {
    return joined({"data.source=split", "data.form=lines", "train.metric=", "data.train=" + scratch.write(name, sessions),
                   "negatives.count=4", "optimizer.kind=adam", "optimizer.sparse_rows=lazy"},
                  more);
  };
  ASSERT_EQ(train("old", with("old.txt", kSessions, {"train.epochs=3"})), engine::kOk) << err.str();
  ASSERT_EQ(train("new", with("new.txt", "7 8\n", {"train.epochs=1", "negatives.count=1", "update.from=" + checkpoint("old")})),
            engine::kOk)
      << err.str();
  const data::Hdf5Reader before(checkpoint("old")), after(checkpoint("new"));
  EXPECT_EQ(after.integer("/optimizer", "step_count"), before.integer("/optimizer", "step_count") + 1);
  const Tensor old_moment = before.read("/optimizer/first_moment/items/weight"),
               moment = after.read("/optimizer/first_moment/items/weight");
  std::int64_t same = 0;
  for (std::int64_t row = 0; row < 6; ++row)
    same += std::equal(old_moment.data<float>() + row * 24, old_moment.data<float>() + (row + 1) * 24, moment.data<float>() + row * 24);
  EXPECT_GE(same, 5) << "a session of new items names at most one old row, a drawn one";
}

TEST_F(Gru4RecProgram, SaysWhatItReadAndEvaluatesATestFileAlone) {
  const std::string table = "SessionId\tItemId\tUserId\n0\ta\tu\n0\tb\tu\n0\ta\tu\n0\tb\tv\n0\ta\tv\n";
  const Arguments file{"data.source=split", "data.train=" + scratch.write("t.tsv", table),
                       "data.test=",        "data.validation=",
                       "train.metric=",     "negatives.count=4",
                       "train.epochs=1"};
  ASSERT_EQ(train("shared", file), engine::kOk) << err.str();
  EXPECT_THAT(engine::test::text_of(scratch / "shared/log.txt"), HasSubstr("1 of 1 session ids are used by several users"));
  ASSERT_EQ(train("apart", joined(file, {"data.user_column=UserId"})), engine::kOk) << err.str();
  EXPECT_THAT(engine::test::text_of(scratch / "apart/log.txt"), HasSubstr("5 events of 2 sessions, 2 items"));
  const auto evaluate = [&](const std::string& content) {
    return capstan({"evaluate", config, "--checkpoint", checkpoint("apart"), "model.layers=24", "data.source=split",
                    "data.validation=", "data.train=", "data.test=" + scratch.write("e.tsv", content)});
  };
  EXPECT_EQ(evaluate("SessionId\tItemId\tUserId\n1\ta\tu\n1\tb\tu\n"), engine::kOk) << err.str();
  EXPECT_EQ(metric("cases"), 1);
  EXPECT_EQ(evaluate("SessionId\tItemId\tUserId\n1\ta.0\tu\n1\tb.0\tu\n"), engine::kData);
  EXPECT_THAT(err.str(),
              HasSubstr("none of the 2 events of the test part is of a known item: items here are 'a.0', 'b.0', ..., those known are "
                        "'a', 'b'"));
}

TEST_F(Gru4RecProgram, EvaluatesChosenSessionsAndWritesTheirRanks) {
  ASSERT_EQ(train_generated("run", {"train.epochs=1"}), engine::kOk) << err.str();
  const std::string test = scratch.write("e.tsv", "SessionId\tItemId\n8\t1\n8\t2\n8\t3\n9\t2\n9\t1\n");
  const std::string ranks = scratch / "ranks.tsv";
  const Arguments of{"evaluate",          "--checkpoint",     checkpoint("run"), "data.source=split",
                     "data.test=" + test, "data.validation=", "data.train=",     "evaluate.output=" + ranks};
  ASSERT_EQ(capstan(of), engine::kOk) << err.str();
  EXPECT_EQ(metric("cases"), 3);
  EXPECT_THAT(engine::test::text_of(ranks), ::testing::MatchesRegex("session\titem\trank\n8\t2\t[0-9.]+\n8\t3\t[0-9.]+\n9\t1\t[0-9.]+\n"));
  ASSERT_EQ(capstan(joined(of, {"evaluate.user_list=" + scratch.write("list", "9\n")})), engine::kOk) << err.str();
  EXPECT_EQ(metric("cases"), 1);
  EXPECT_EQ(capstan(joined(of, {"evaluate.user_list=" + scratch.write("list", "7\n")})), engine::kData);
  EXPECT_THAT(err.str(), HasSubstr("evaluate.user_list: none of the 1 sessions"));
  const char* const home = std::getenv("HOME");
  const std::string before = home != nullptr ? home : "";
  ::setenv("HOME", scratch.path().c_str(), 1);
  EXPECT_EQ(capstan(joined(of, {"evaluate.output=~/at_home.tsv"})), engine::kOk) << err.str();
  ::setenv("HOME", before.c_str(), 1);
  EXPECT_THAT(engine::test::text_of(scratch / "at_home.tsv"), ::testing::StartsWith("session\titem\trank\n8\t2\t"));
}

TEST_F(Gru4RecProgram, ARisingLossStopsWithANumericalError) {
  EXPECT_EQ(train_generated("wild", {"optimizer.learning_rate=1e38", "train.epochs=1"}), engine::kNumerical);
  EXPECT_THAT(err.str(), HasSubstr("not finite"));
}

}  // namespace
}  // namespace capstan::gru4rec
