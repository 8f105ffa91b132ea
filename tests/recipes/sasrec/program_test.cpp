// SASRec through the command line: every configuration, interruption and resume to the bit, evaluation, prediction, bad input.

#include "recipes/sasrec/recipe.h"
#include "tests/recipes/recipe_program.h"

namespace capstan::sasrec {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

struct SasrecProgram : engine::test::RecipeProgram {
  SasrecProgram() : RecipeProgram(sasrec::recipe()) {}

  /// A small quickstart in a directory of its own: 5 steps an epoch.
  static std::vector<std::string> small() {
    return {"run.threads=1",     "synthetic.sequences=80", "synthetic.items=30",  "model.hidden_size=16", "model.max_length=12",
            "model.dropout=0.2", "evaluate.baselines=no",  "train.batch_size=16", "train.epochs=4",       "train.log_every=1"};
  }
  int train(const std::string& run, const std::vector<std::string>& more = {}) { return train_quickstart(run, joined(small(), more)); }
};

TEST_F(SasrecProgram, EveryConfigurationDryRuns) {
  for (const char* packed : {"model.packed=true", "model.packed=false"})
    check_every_configuration(
        4, {"data.source=synthetic", "synthetic.sequences=64", "synthetic.items=150", "train.batch_size=8", packed},
        [&](const std::string& name) { EXPECT_THAT(out.str(), HasSubstr("item_embedding/weight  f32[151, ")) << name; });
}

TEST_F(SasrecProgram, EveryLossTrainsAndBenches) {
  for (const char* kind : {"bce", "ce", "sampled_softmax", "gbce"}) {
    const std::string loss = std::string("loss.kind=") + kind;
    ASSERT_EQ(train(std::string("run-") + kind, {loss, "loss.negatives=4", "train.epochs=1", "loss.l2_embedding=0.001"}), engine::kOk)
        << kind << ": " << err.str();
    std::vector<std::string> bench{"bench", config, loss, "--steps", "1", "--json", "bench.items=50"};
    for (const auto& s : small()) bench.push_back(s);
    ASSERT_EQ(capstan(bench), engine::kOk) << err.str();
    EXPECT_THAT(out.str(), HasSubstr("\"flops_per_step\""));
  }
}

TEST_F(SasrecProgram, KeepsWhatTheEnginePromises) {
  prove({.settings = joined(small(), {"data.sampling=uniform"}), .stops = {10, 13}, .input = "1 2 3\n7\nnothing\n"});
}

TEST_F(SasrecProgram, KeepsWhatTheEnginePromisesInPassesOverTheUsers) {
  prove({.settings = joined(small(), {"data.sampling=shuffled"}), .stops = {10, 13}, .use = {"evaluate.baselines=yes"}});
}

TEST_F(SasrecProgram, MicroBatchesAddUpToTheBatch) {
  const std::vector<std::string> options{"model.dropout=0", "train.max_steps=3"};
  ASSERT_EQ(train("whole", options), engine::kOk) << err.str();
  ASSERT_EQ(train("parts", {"model.dropout=0", "train.max_steps=3", "train.micro_batch_size=4"}), engine::kOk) << err.str();
  const auto whole = tensors(checkpoint("whole")), parts = tensors(checkpoint("parts"));
  for (const auto& [name, values] : whole) {
    if (name.ends_with("key/bias") || !name.starts_with("/model")) continue;  // the key bias has no gradient but rounding
    for (std::size_t i = 0; i < values.size(); ++i) ASSERT_NEAR(parts.at(name)[i], values[i], 1e-4) << name;
  }
}

TEST_F(SasrecProgram, LearnsSelectsOnValidationAndIsUsed) {
  // A ring of items, each user somewhere on it: the next item is certain.
  std::string file;
  for (int u = 0; u < 60; ++u)
    for (int i = 0; i < 8 + u % 3; ++i) file += "user" + std::to_string(u) + " item" + std::to_string((5 * u + i) % 20) + "\n";
  const std::vector<std::string> options{"data.source=file",
                                         "data.path=" + scratch.write("ring.txt", file),
                                         "evaluate.baselines=yes",
                                         "evaluate.metrics=hit, ndcg",
                                         "evaluate.k=1, 10",
                                         "evaluate.filtered=yes",
                                         "train.metric=full_unfiltered/hit@1",
                                         "train.epochs=40",
                                         "optimizer.learning_rate=0.01",
                                         "model.dropout=0"};
  ASSERT_EQ(train("ring", options), engine::kOk) << err.str();
  EXPECT_THAT(out.str(), HasSubstr("best full_unfiltered/hit@1 1"));
  std::ifstream log(scratch / "ring/metrics.jsonl");
  std::stringstream rows;
  rows << log.rdbuf();
  EXPECT_THAT(rows.str(), HasSubstr("\"split\":\"validation\""));
  EXPECT_THAT(rows.str(), ::testing::Not(HasSubstr("\"split\":\"test\""))) << "training never looks at the test items";

  const auto with_checkpoint = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--checkpoint", scratch / "ring/checkpoints/best.h5"});
    for (const auto& s : small()) arguments.push_back(s);
    arguments.insert(arguments.end(), options.begin(), options.end());
    return arguments;
  };
  ASSERT_EQ(capstan(with_checkpoint({"evaluate", config})), engine::kOk) << err.str();
  EXPECT_EQ(metric("full_unfiltered/hit@1"), 1);
  EXPECT_EQ(metric("markov/full_unfiltered/hit@1"), 1);
  EXPECT_LT(metric("popularity/full_unfiltered/hit@1"), 0.5);
  EXPECT_THAT(out.str(), HasSubstr("full_unfiltered: among all 20 items")) << "the protocol stands beside the numbers";

  ASSERT_EQ(capstan(with_checkpoint({"predict", config, "--input", "-", "--output", "-", "predict.top=1"}),
                    "item3 item4 item5\nitem18 nothing item19\n"),
            engine::kOk)
      << err.str();
  EXPECT_THAT(out.str(), ::testing::MatchesRegex("1\t-\titem6\t[^\t]+\n2\tnothing\titem0\t[^\t]+\n"));
  ASSERT_EQ(capstan(with_checkpoint({"predict", config, "--input", "-", "--output", "-",
                                     "predict.candidates=" + scratch.write("candidates", "item6\nitem3\nitem9\n")}),
                    "item3 item4 item5\n"),
            engine::kOk)
      << err.str();
  EXPECT_THAT(out.str(), ::testing::MatchesRegex("1\t-\titem6\t[^\t]+\titem9\t[^\t]+\n")) << "item3 was seen";
  ASSERT_EQ(capstan(with_checkpoint({"predict", config, "--input", "-", "--output", "-", "predict.top=1", "predict.input=users",
                                     "predict.format=jsonl"}),
                    "user1\n"),
            engine::kOk)
      << err.str();
  EXPECT_THAT(out.str(), ::testing::StartsWith("{\"input\":\"user1\",\"unknown\":[],\"items\":[{\"item\":\"item14\","))
      << "9 items from 5 on";
}

TEST_F(SasrecProgram, SaysWhatIsWrong) {
  const auto on_file = [&](const std::string& content, const std::vector<std::string>& more = {}) {
    std::vector<std::string> all{"data.source=file", "data.path=" + scratch.write("x.txt", content)};
    all.insert(all.end(), more.begin(), more.end());
    return train("bad", all);
  };
  EXPECT_EQ(on_file(""), engine::kData);
  EXPECT_THAT(err.str(), HasSubstr("x.txt"));
  EXPECT_EQ(on_file("1 2\n1 3\n1\n"), engine::kData);
  EXPECT_THAT(err.str(), HasSubstr("x.txt:3: "));
  EXPECT_EQ(on_file("1 2\n2 3\n"), engine::kData);
  EXPECT_THAT(err.str(), HasSubstr("no user has two training items"));
  EXPECT_EQ(on_file("1 2\n1 3\n2 4\n"), engine::kData);
  EXPECT_THAT(err.str(), HasSubstr("nothing can be evaluated"));
  EXPECT_EQ(on_file("1 2\n1 3\n1 2\n1 3\n", {"loss.kind=bce", "evaluate.sampled_negatives=0"}), engine::kData);
  EXPECT_THAT(err.str(), HasSubstr("user '1' has all 2 items in training"));
  EXPECT_EQ(train("bad", {"data.source=file", "data.path=/nowhere/at.all"}), engine::kIo);
  EXPECT_THAT(err.str(), HasSubstr("data.path: /nowhere/at.all"));
  EXPECT_EQ(train("bad", {"model.heads=3"}), engine::kUsage);
  EXPECT_THAT(err.str(), HasSubstr("model.hidden_size must be a multiple of model.heads"));
  EXPECT_EQ(train("bad", {"model.hiden_size=8"}), engine::kUsage);
  EXPECT_THAT(err.str(), HasSubstr("model.hidden_size"));
  EXPECT_EQ(train("bad", {"synthetic.min_length=40"}), engine::kUsage);
  EXPECT_EQ(train("bad", {"evaluate.metrics=hits"}), engine::kUsage);
  EXPECT_THAT(err.str(), HasSubstr("evaluate.metrics, evaluate.k: metrics: must be among hit, recall, ndcg, mrr, got 'hits'"));
  EXPECT_EQ(train("bad", {"train.metric=sampled100/ndcg@10", "train.epochs=1"}), engine::kUsage) << err.str();
}

TEST_F(SasrecProgram, SplitsByTimeEvaluatesChosenUsersAndWritesTheirRanks) {
  std::string file = "user\titem\ttime\n";
  for (int u = 0; u < 20; ++u)
    for (int i = 0; i < 8; ++i) file += join_text("u", u, "\ti", (u + i) % 10, "\t", 86400 * i + u, "\n");
  const Arguments options = joined(small(), {"data.source=file", "data.path=" + scratch.write("days.tsv", file), "data.split=time",
                                             "data.test_days=1.5", "data.validation_days=1", "train.epochs=1"});
  ASSERT_EQ(train("run", options), engine::kOk) << err.str();
  EXPECT_THAT(engine::test::text_of(scratch / "run/log.txt"),
              HasSubstr("events of 20 users for training, 21 events of 20 users for validation, 40 events of 20 users for test"));
  const Arguments use = joined({"--checkpoint", checkpoint("run")}, options);
  const std::string ranks = scratch / "ranks.tsv";
  const Arguments evaluate = joined(joined({"evaluate", config}, use),
                                    {"evaluate.output=" + ranks, "evaluate.user_list=" + scratch.write("users", "u3\nnobody\n")});
  ASSERT_EQ(capstan(evaluate), engine::kOk) << err.str();
  EXPECT_THAT(err.str(), HasSubstr("1 of the 2 users of evaluate.user_list have an item to predict in the test part"));
  EXPECT_THAT(out.str(), HasSubstr("protocol: 2 items of 1 users in the test part, each given all items of the user before it"));
  EXPECT_THAT(engine::test::text_of(ranks),
              ::testing::MatchesRegex("user\titem\thistory\tfull_unfiltered\nu3\ti9\t6\t[0-9.]+\nu3\ti0\t7\t[0-9.]+\n"));
  EXPECT_EQ(capstan(joined(evaluate, {"evaluate.user_list=" + scratch.write("nobody", "nobody\n")})), engine::kData);
  EXPECT_THAT(err.str(), HasSubstr("none of the 1 users, such as 'nobody', has an item to predict"));
  ASSERT_EQ(capstan(joined(joined({"predict", config, "--input", "-", "--output", "-", "predict.input=items"}, use), {}), "*\n"),
            engine::kOk)
      << err.str();
  EXPECT_EQ(std::ranges::count(out.str(), '\n'), 10);
  EXPECT_EQ(train("bad", joined(options, {"data.source=synthetic"})), engine::kUsage);
}

// A schedule that counts fewer steps than are taken ends in steps at rate 0.
TEST_F(SasrecProgram, ScheduleAndTrainingCountTheSameSteps) {
  const auto last_row = [&](const std::string& run, const Arguments& more) {
    EXPECT_EQ(train(run, joined({"synthetic.sequences=70", "train.epochs=3", "schedule.kind=linear", "train.metric="}, more)), engine::kOk)
        << err.str();
    std::istringstream rows(engine::test::text_of(scratch / (run + "/metrics.jsonl")));
    std::string last;
    for (std::string row; std::getline(rows, row);)
      if (row.find("\"lr\"") != row.npos) last = row;
    return last;
  };
  const std::string shuffled = last_row("shuffled", {"data.sampling=shuffled"});  // 70 users are 5 steps of 16
  EXPECT_THAT(shuffled, HasSubstr("\"step\":15,"));
  EXPECT_THAT(shuffled, ::testing::Not(HasSubstr("\"lr\":0,")));
  const std::string parts = last_row("parts", {"data.sampling=shuffled", "train.micro_batch_size=4"});  // 18 of 4, four a step
  EXPECT_THAT(parts, HasSubstr("\"step\":15,"));
  EXPECT_EQ(engine::test::text_of(scratch / "parts/log.txt").find("step 16"), std::string::npos);
  EXPECT_THAT(parts, ::testing::Not(HasSubstr("\"lr\":0,")));
  const std::string uniform = last_row("uniform", {"data.sampling=uniform", "train.micro_batch_size=8"});  // whole steps alone
  EXPECT_THAT(uniform, HasSubstr("\"step\":12,"));
  EXPECT_THAT(uniform, ::testing::Not(HasSubstr("\"lr\":0,")));
}

TEST_F(SasrecProgram, PreparesAFileOnce) {
  const std::string path = scratch.write("x.csv", "user_id,item_id,timestamp\na,p,3\na,q,1\na,r,2\n");
  const std::vector<std::string> arguments{"prepare", config, "data.source=file", "data.path=" + path, "data.prepared=" + scratch / "x.h5"};
  ASSERT_EQ(capstan(arguments), engine::kOk) << err.str();
  EXPECT_THAT(out.str(), HasSubstr("1 users, 3 items, 3 interactions (written: there was none)"));
  ASSERT_EQ(capstan(arguments), engine::kOk) << err.str();
  EXPECT_THAT(out.str(), HasSubstr("(was up to date)"));
  EXPECT_EQ(capstan({"prepare", config}), engine::kUsage);
}

}  // namespace
}  // namespace capstan::sasrec
