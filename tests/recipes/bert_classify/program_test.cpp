// BERT as a classifier through the command line: every configuration on files of its published form, resume to the bit, a trained model
// that is used, numbers instead of labels, and what is refused.
#include "recipes/bert_classify/recipe.h"
#include "recipes/bert_spans/recipe.h"

#include <array>
#include <filesystem>
#include <sstream>

#include "recipes/bert/recipe.h"
#include "tests/recipes/recipe_program.h"

namespace capstan::bert_classify {
namespace {

using engine::test::text_of;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::StartsWith;
namespace fs = std::filesystem;

struct BertClassifyProgram : engine::test::RecipeProgram {
  BertClassifyProgram() : RecipeProgram(bert_classify::recipe(), CAPSTAN_SOURCE_DIR "/recipes/bert_classify/own.cfg") {
    scratch.write("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\nthe\nfilm\nbook\nwas\nis\ngood\nbad\nlong\nshort\nand\n");
  }
  Arguments small() {
    return {"run.data=" + scratch.path(),
            "run.threads=1",
            "data.vocabulary=" + scratch / "vocab.txt",
            "data.max_length=16",
            "model.layers=1",
            "model.hidden_size=16",
            "model.heads=2",
            "model.intermediate_size=32",
            "model.max_positions=16",
            "train.batch_size=8",
            "train.log_every=1"};
  }
  /// Texts with one of two words that tell the label, and others of different length.
  std::string texts(const std::string& header, const std::function<std::string(const std::string& text, bool good)>& line) {
    std::string all = header;
    for (int i = 0; i < 48; ++i) {
      const bool good = i % 3 != 0;
      std::string text = i % 2 == 0 ? "the film was" : "the book is long and";
      text += good ? " good" : " bad";
      if (i % 5 == 0) text += " and short";
      all += line(text, good) + "\n";
    }
    return all;
  }
  /// Trains on a file until it is learned.
  int learn(const Arguments& more, const std::string& run = "run") {
    return train_quickstart(run, joined(joined(small(), {"train.epochs=40", "optimizer.learning_rate=3e-3", "data.held_out=8"}), more));
  }
};

TEST_F(BertClassifyProgram, EveryConfigurationReadsItsPublishedForm) {
  const std::string pair = "index\tsentence1\tsentence2\tlabel\n";
  const auto twice = [](const std::string& line) { return line + line; };
  const std::map<std::string, std::map<std::string, std::string>> files{
      {"trec", {{"TREC.train.all", "0 What is caf\xe9 ?\n1 the film\n"}, {"TREC.test.all", "1 the book\n"}}},
      {"sst2", {{"train.tsv.gz", "sentence\tlabel\n\"good \t1\nbad \t0\n"}, {"dev.tsv", "sentence\tlabel\ngood \t1\n"}}},
      {"cola", {{"train.tsv", "gj04\t1\t\tthe film\ngj04\t0\t*\tthe \"book\n"}, {"dev.tsv", "gj04\t1\t\tthe film"}}},
      {"rte",
       {{"train.tsv", pair + "0\tgood\tbad\tentailment\n1\tbad\tgood\tnot_entailment\n"}, {"dev.tsv", pair + "0\ta\tb\tentailment\n"}}},
      {"wnli", {{"train.tsv", pair + "0\tgood\tbad\t1\n1\tbad\tgood\t0\n"}, {"dev.tsv", pair + "0\ta\tb\t1\n"}}},
      {"qnli",
       {{"train.tsv", "index\tquestion\tsentence\tlabel\n0\tgood\tbad\tentailment\n"},
        {"dev.tsv", "index\tquestion\tsentence\tlabel\n0\tgood\tbad\tnot_entailment\n"}}},
      {"mrpc",
       {{"train.tsv", "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t7\t8\tthe \"film\tthe book\n0\t7\t8\tx\ty\n"},
        {"dev.tsv", "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t7\t8\ta\tb\n"}}},
      {"qqp",
       {{"train.tsv", "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n0\t1\t2\tgood\tbad\t1\n1\ttorn\n2\t1\t2\tgood\tbad\t0\n"},
        {"dev.tsv", "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n0\t1\t2\tgood\tbad\t1\n"}}},
      {"stsb",
       {{"train.tsv", "index\tgenre\tsentence1\tsentence2\tscore\n0\tx\tgood\tbad\t2.500\n1\tx\tgood\tgood\t5\n"},
        {"dev.tsv", "index\tgenre\tsentence1\tsentence2\tscore\n0\tx\tgood\tbad\t1\n1\tx\tgood\tgood\t3\n"}}},
      {"mnli",
       {{"train.tsv", "a\tb\tc\td\te\tf\tg\th\ts1\ts2\tlabel1\tgold\n" + twice("0\t1\t2\t3\t4\t5\t6\t7\tgood\tbad\tx\tneutral\n")},
        {"dev_matched.tsv", "a\tb\tc\td\te\tf\tg\th\ts1\ts2\tl1\tl2\tgold\n0\t1\t2\t3\t4\t5\t6\t7\tgood\tbad\tx\ty\tentailment\n"}}},
      {"xnli",
       {{"multinli/multinli.train.zh.tsv", "premise\thypo\tlabel\n\u6211\tgood\tcontradictory\n\u6211\tgood\tneutral\n"},
        {"xnli.dev.tsv",
         "language\tgold_label\tc\td\te\tf\tsentence1\tsentence2\tpromptID\nde\tneutral\t\t\t\t\tx\ty\t1\n"
         "zh\tentailment\t\t\t\t\tx\ty\t1\n"}}},
      {"own", {{"train.csv", "text,label\n\"so, good\",yes\nbad,no\n"}}}};
  const std::map<std::string, std::string> said{{"trec", "TREC.train.all: 2 texts; 0 1, 1 1"},
                                                {"sst2", "train.tsv.gz: 2 texts; 0 1, 1 1"},
                                                {"cola", "train.tsv: 2 texts; 0 1, 1 1"},
                                                {"rte", "train.tsv: 2 pairs; entailment 1, not_entailment 1"},
                                                {"wnli", "2 pairs; 0 1, 1 1"},
                                                {"qnli", "1 pairs; entailment 1, not_entailment 0"},
                                                {"mrpc", "2 pairs; 0 1, 1 1"},
                                                {"qqp", "1 bad lines are left out, the first"},
                                                {"stsb", "2 pairs; numbers 2.5 to 5, mean 3.75"},
                                                {"mnli", "2 pairs; contradiction 0, entailment 0, neutral 2"},
                                                {"xnli", "1 pairs; contradiction 0, entailment 1, neutral 0"},
                                                {"own", "1 texts; no"}};
  std::size_t count = 0;
  for (const auto& e : fs::directory_iterator(folder)) {
    if (e.path().extension() != ".cfg") continue;
    const std::string name = e.path().stem();
    ASSERT_TRUE(files.contains(name)) << "a configuration without files to test it on: " << name;
    for (const auto& [file, content] : files.at(name)) {
      fs::create_directories(fs::path(scratch / name + "/" + file).parent_path());
      scratch.write(name + "/" + file, content);
    }
    ASSERT_EQ(capstan(joined({"train", e.path().string(), "--check"}, joined(small(), {"run.data=" + scratch / name}))), engine::kOk)
        << name << ": " << err.str();
    EXPECT_THAT(out.str(), AllOf(HasSubstr("loss of the first batch"), HasSubstr(said.at(name)))) << name;
    ++count;
  }
  EXPECT_EQ(count, files.size());
}

TEST_F(BertClassifyProgram, KeepsThePromisesOfTheEngine) {
  scratch.write("train.csv", texts("text,label\n", [](const std::string& t, bool good) { return t + (good ? ",yes" : ",no"); }));
  prove({.settings = joined(small(), {"data.class_weights=balanced"}), .steps = 14, .stops = {3, 5}, .input = "good\nbad\n"});
}

TEST_F(BertClassifyProgram, PaddedBatchesKeepThePromisesToo) {
  scratch.write("train.csv", texts("text,label\n", [](const std::string& t, bool good) { return t + (good ? ",yes" : ",no"); }));
  prove({.settings = joined(small(), {"model.positions=relative_key", "train.micro_batch_size=4"}), .steps = 14, .stops = {4}});
}

TEST_F(BertClassifyProgram, LearnsLabelsAndIsUsed) {
  scratch.write("train.csv",
                texts("text,label\n", [](const std::string& t, bool good) { return "\"" + t + "\"," + (good ? "yes" : "no"); }));
  for (const std::string positions : {"absolute", "relative_key"}) {  // packed and padded
    ASSERT_EQ(learn({"model.positions=" + positions}, positions), engine::kOk) << err.str();
    const std::string best = scratch / positions + "/checkpoints/best.h5";
    ASSERT_EQ(capstan({"evaluate", "--checkpoint", best, "--json"}), engine::kOk) << err.str();
    EXPECT_THAT(out.str(), AllOf(HasSubstr("\"accuracy\":1,"), HasSubstr("\"f1\":1,"), HasSubstr("\"macro_f1\":1,"),
                                 HasSubstr("\"matthews\":1,"), HasSubstr("\"most_frequent/accuracy\":")));
    EXPECT_THAT(err.str(), HasSubstr("f1 is of 'yes'"));

    ASSERT_EQ(
        capstan({"predict", "--checkpoint", best, "--input", "-", "--output", "-"}, "the film was bad\n\nthe book is good and long\n"),
        engine::kOk);
    EXPECT_THAT(out.str(), MatchesRegex(R"(\{"label":"no","probabilities":\{"no":0\.[0-9]+,"yes":0\.[0-9]+\}\}
\{"line":2,.*"error":"line 2: there is no text"\}
\{"label":"yes","probabilities":.*\}\}
)"));

    // Another file without labels, its lines in another order than their lengths.
    scratch.write("new.csv", "text\nthe book is long and bad\ngood\nthe film was bad\n");
    const std::string outputs = scratch / positions + ".tsv";
    ASSERT_EQ(capstan({"evaluate", "--checkpoint", best, "data.test=new.csv", "evaluate.output=" + outputs, "--json"}), engine::kOk)
        << err.str();
    EXPECT_THAT(out.str(), HasSubstr("\"texts\":3"));
    ASSERT_EQ(capstan({"predict", "--checkpoint", best, "predict.format=tsv", "--input", "-", "--output", "-"},
                      "the book is long and bad\ngood\nthe film was bad\n"),
              engine::kOk);
    std::istringstream from_file(text_of(outputs)), from_lines(out.str());
    for (int i = 0; i < 3; ++i) {
      std::string label;
      double of_file = 0, of_line = 0, rest = 0;
      from_file >> of_file >> rest;
      from_lines >> label >> of_line >> rest;
      EXPECT_NEAR(of_file, of_line, 1e-5) << positions << " " << i;
    }
    std::string more;
    EXPECT_FALSE(from_file >> more);
  }
}

TEST_F(BertClassifyProgram, WritesTheResultsOfTheOriginal) {
  scratch.write("train.csv", texts("text,label\n", [](const std::string& t, bool good) { return t + (good ? ",yes" : ",no"); }));
  ASSERT_EQ(train_quickstart("run", joined(small(), {"train.max_steps=3", "data.held_out=8"})), engine::kOk) << err.str();
  const std::string best = checkpoint("run"), results = scratch / "eval_results.txt", matrix = scratch / "confusion.tsv";
  ASSERT_EQ(capstan({"evaluate", "--checkpoint", best, "evaluate.results=" + results, "evaluate.confusion=" + matrix}), engine::kOk);
  EXPECT_THAT(text_of(results), MatchesRegex("eval_accuracy = .*\neval_f1 = .*\neval_loss = .*\neval_macro_f1 = .*\neval_matthews = .*\n"
                                             "global_step = 3\nloss = .*\n"));
  EXPECT_THAT(text_of(matrix), StartsWith("true\\predicted\tno\tyes\trecall\n"));
}

TEST_F(BertClassifyProgram, LearnsNumbersOfPairs) {
  scratch.write("train.csv",
                texts("a,b,grade\n", [](const std::string& t, bool good) { return t + ",the film," + (good ? "0.9" : "-0.9"); }));
  const Arguments pairs{"data.text_column=a", "data.pair_column=b", "data.label_column=grade", "data.target=number"};
  ASSERT_EQ(learn(pairs), engine::kOk) << err.str();
  const std::string best = scratch / "run/checkpoints/best.h5";
  ASSERT_EQ(capstan({"evaluate", "--checkpoint", best}), engine::kOk) << err.str();
  EXPECT_GT(metric("pearson"), 0.95);
  EXPECT_LT(metric("loss"), 0.1);
  ASSERT_EQ(capstan({"predict", "--checkpoint", best, "--input", "-", "--output", "-"}, "the film was bad ||| the film\nalone\n"),
            engine::kOk);
  EXPECT_THAT(out.str(), MatchesRegex(R"(\{"value":-[01]\.[0-9]+\}
\{"line":2,.*expected two texts.*\}
)"));
  EXPECT_EQ(capstan({"evaluate", "--checkpoint", best, "evaluate.confusion=" + scratch / "c"}), engine::kUsage);
  EXPECT_THAT(err.str(), HasSubstr("evaluate.confusion is of classes, but data.target is number"));
}

TEST_F(BertClassifyProgram, StartsFromPretrainingWithItsShapeAndVocabulary) {
  std::string text;
  for (int i = 0; i < 8; ++i) text += "the film was good\nthe book is long\n\nit is bad\nthe film is short\n\n";
  scratch.write("text.txt", text);
  scratch.write("train.csv", "text,label\nthe film was good,yes\nit is bad,no\nthe book is bad,no\n");
  const std::array both{bert::recipe(), recipe};
  const auto run = [&](const Arguments& arguments) {
    std::istringstream in;
    out.str("");
    return engine::run_program(both, arguments, {.in = in, .out = out, .err = err, .progress_fd = -1});
  };
  ASSERT_EQ(run({"train", CAPSTAN_SOURCE_DIR "/recipes/bert/quickstart.cfg", "data.train=" + scratch / "text.txt", "data.form=sentences",
                 "data.vocab_size=60", "data.prepared=" + scratch / "prepared", "instances.max_length=16", "instances.max_predictions=3",
                 "model.hidden_size=16", "model.intermediate_size=16", "model.max_positions=16", "train.max_steps=1", "train.batch_size=2",
                 "run.threads=1", "run.dir=" + scratch / "pretraining"}),
            engine::kOk)
      << err.str();
  ASSERT_EQ(run({"train", config, "--check", "--parameters", "data.train=" + scratch / "train.csv", "data.max_length=16", "run.threads=1",
                 "init.from=" + checkpoint("pretraining")}),
            engine::kOk)
      << err.str();
  EXPECT_THAT(out.str(), AllOf(HasSubstr("start: at random: classifier/weight, classifier/bias"), HasSubstr("0 % of the tokens are [UNK]"),
                               HasSubstr("bert/embeddings/word_embeddings  f32[")));
}

TEST_F(BertClassifyProgram, ARunGoesOnWithoutTheModelThatItBeganWith) {
  const std::string model = scratch / "model#1";
  std::filesystem::copy(CAPSTAN_SOURCE_DIR "/tests/goldens/foreign/bert_classification", model);
  scratch.write("train.csv", "text,label\na bad cafe,poor\nface dig,good\nhedge a,good\n");
  const Arguments settings{"data.train=" + scratch / "train.csv", "data.validation=" + scratch / "train.csv", "run.threads=1",
                           "train.batch_size=2"};
  const std::string run = scratch / "run";
  ASSERT_EQ(capstan(joined({"train", config, "init.from=" + model, "run.dir=" + run, "train.max_steps=1"}, settings)), engine::kOk)
      << err.str();
  std::filesystem::remove_all(model);
  // By its own configuration, which names files of the model, and by the command that began it.
  EXPECT_EQ(capstan({"train", run + "/config.cfg", "train.max_steps=2", "--resume", "auto"}), engine::kOk) << err.str();
  EXPECT_EQ(capstan(joined({"train", config, "init.from=" + model, "run.dir=" + run, "train.max_steps=3", "--resume", "auto"}, settings)),
            engine::kOk)
      << err.str();
  // Another task starts from it; what was its own stays with it.
  scratch.write("numbers.csv", "text,label\na bad cafe,1.5\nface dig,2\nhedge a,4\n");
  const Arguments number{"data.train=" + scratch / "numbers.csv",
                         "data.validation=" + scratch / "numbers.csv",
                         "data.target=number",
                         "data.max_length=16",
                         "train.metric=pearson",
                         "run.threads=1",
                         "--check"};
  ASSERT_EQ(capstan(joined({"train", config, "init.from=" + checkpoint("run")}, number)), engine::kOk) << err.str();
  EXPECT_THAT(out.str(), HasSubstr("start: classifier/weight is for another number of classes"));
}

TEST_F(BertClassifyProgram, AModelWithoutItsHeadDoesNotAnswer) {
  const std::string model = CAPSTAN_SOURCE_DIR "/tests/goldens/foreign/bert_pretraining";
  const std::array spans{bert_spans::recipe()};
  std::istringstream in("a bad cafe ||| face\n");
  EXPECT_EQ(engine::run_program(spans,
                                Arguments{"predict", CAPSTAN_SOURCE_DIR "/recipes/bert_spans/squad.cfg", "--checkpoint", model, "--input",
                                          "-", "--output", "-"},
                                {.in = in, .out = out, .err = err, .progress_fd = -1}),
            engine::kBadCheckpoint);
  EXPECT_THAT(err.str(),
              AllOf(HasSubstr("is no finished model of the recipe bert_spans: it lacks a head"), HasSubstr("qa_outputs/weight")));
  EXPECT_EQ(capstan({"predict", config, "--checkpoint", model, "--input", "-", "--output", "-"}, "a bad cafe\n"), engine::kBadCheckpoint);
  EXPECT_THAT(err.str(), HasSubstr("does not name its classes"));
  EXPECT_EQ(capstan({"export", model, scratch / "out", "--as", "hf"}), engine::kData) << "the recipe here has no such head";
}

TEST_F(BertClassifyProgram, RefusesWhatMakesNoSense) {
  scratch.write("train.csv", "text,label\ngood,1\nbad,0\n");
  const auto fault = [&](const Arguments& settings) {
    EXPECT_NE(train_quickstart("run", joined(small(), settings)), engine::kOk);
    return err.str();
  };
  EXPECT_THAT(fault({"data.vocabulary="}), HasSubstr("data.vocabulary"));
  EXPECT_THAT(fault({"data.max_length=17"}), HasSubstr("data.max_length must not exceed model.max_positions, got 17 and 16"));
  EXPECT_THAT(fault({"data.target=number", "data.max_length=16", "data.class_weights=balanced"}), HasSubstr("but data.target is number"));
  EXPECT_THAT(fault({"data.form=lines", "data.pair_column=b"}), HasSubstr("data.form = lines has one text a line"));
  EXPECT_THAT(fault({"test.pair_column=b"}), HasSubstr("data.pair_column is empty: texts are single"));
  EXPECT_THAT(fault({"data.only=x"}), HasSubstr("data.only: expected column=value, got 'x'"));
  EXPECT_THAT(fault({"train.metric=matthew"}), HasSubstr("did you mean 'matthews'"));
  EXPECT_THAT(fault({"data.label_column=lable"}), HasSubstr("train.csv:1: there is no column 'lable'"));
}

}  // namespace
}  // namespace capstan::bert_classify
