// Question answering through the command line: every configuration, files by their names, training, resume to the bit, predictions, use.
#include <filesystem>

#include "data/json.h"
#include "recipes/bert_spans/recipe.h"
#include "tests/recipes/bert/fixtures.h"
#include "tests/recipes/recipe_program.h"

namespace capstan::bert_spans {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kNames[] = {"anna", "bob", "carl", "dora", "emil", "fred", "gina", "hugo"};
constexpr const char* kThings[] = {"red hat", "blue coat", "old car", "new boat", "big dog", "small cat", "green door", "gold ring"};

/// Articles of two people each, who have a thing; with `impossible` each is also asked about somebody else.
std::string squad(int articles, int first, bool impossible = false, bool cut_answers = false) {
  std::string data;
  for (int a = 0; a < articles; ++a) {
    const int i = (first + a) % 8, j = (first + a + 3) % 8;
    const std::string begin = join_text(kNames[i], " has a "), middle = join_text(kThings[i], ". ", kNames[j], " has a ");
    const auto question = [&](const char* name, const char* thing, std::size_t start) {
      return join_text("{\"id\":\"", first, ".", a, name, "\",\"question\":\"what has ", name, "?\",\"answers\":[{\"text\":\"", thing,
                       cut_answers ? "x" : "", "\",\"answer_start\":", start, "}]}");
    };
    data += join_text(a > 0 ? "," : "", "{\"title\":\"", a, "\",\"paragraphs\":[{\"context\":\"", begin, middle, kThings[j],
                      ". Nothing else.\",\"qas\":[", question(kNames[i], kThings[i], begin.size()), ",",
                      question(kNames[j], kThings[j], begin.size() + middle.size()),
                      impossible ? join_text(",{\"id\":\"", first, ".", a, "?\",\"question\":\"what has ", kNames[(i + 1) % 8],
                                             "?\",\"answers\":[],\"is_impossible\":true}")
                                 : "",
                      "]}]}");
  }
  return "{\"version\":\"1.1\",\"data\":[" + data + "]}";
}

std::string vocabulary() {
  std::string out = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhas\na\nwhat\n?\n.\nnothing\nelse\n";
  for (const char* name : kNames) out += std::string(name) + "\n";
  for (const std::string thing : kThings) out += thing.substr(0, thing.find(' ')) + "\n" + thing.substr(thing.find(' ') + 1) + "\n";
  return out;
}

struct BertSpansProgram : engine::test::RecipeProgram {
  BertSpansProgram() : RecipeProgram(bert_spans::recipe(), CAPSTAN_SOURCE_DIR "/recipes/bert_spans/squad.cfg") {
    scratch.write("vocab.txt", vocabulary());
  }
  Arguments small() const {
    return {"run.data=" + scratch.path(),
            "data.vocabulary=vocab.txt",
            "run.threads=1",
            "spans.max_length=24",
            "spans.question_length=8",
            "spans.stride=6",
            "model.layers=1",
            "model.hidden_size=32",
            "model.heads=2",
            "model.intermediate_size=64",
            "model.max_positions=24",
            "train.batch_size=4",
            "train.log_every=1"};
  }
  /// Settings with which the things are learned.
  Arguments learning() const {
    return joined(small(), {"model.layers=2", "model.hidden_dropout=0", "model.attention_dropout=0", "model.initializer_range=0.2",
                            "optimizer.learning_rate=0.003", "train.epochs=60", "train.evaluate_every=1000"});
  }
  int train(const std::string& run, const Arguments& settings) { return train_quickstart(run, settings); }
};

TEST_F(BertSpansProgram, EveryConfigurationDryRuns) {
  scratch.write("squad.json", squad(4, 0));
  Arguments settings = joined(small(), {"data.train=squad.json", "model.layers=2"});
  check_every_configuration(2, settings, [&](const std::string& name) {
    EXPECT_THAT(out.str(), AllOf(HasSubstr("qa_outputs/weight  f32[2, 32]"), Not(HasSubstr("pooler")))) << name;
  });
}

TEST_F(BertSpansProgram, StopsAndGoesOnToTheBit) {
  scratch.write("squad.json", squad(6, 0));
  prove({.settings = joined(small(), {"data.held_out=2", "train.epochs=5"}),
         .steps = 20,
         .stops = {7},
         .split = "validation",
         .input = "what has anna? ||| anna has a red hat.\nwhat has bob?\tbob has a blue coat.\n"});
}

TEST_F(BertSpansProgram, AnswersQuestionsWithItsPredictionsWritten) {
  scratch.write("only.json", squad(8, 0));
  ASSERT_EQ(train("run", joined(learning(), {"data.train=only.json", "data.validation=only.json"})), 0) << err.str();
  EXPECT_THAT(engine::test::text_of(scratch / "run/log.txt"),
              AllOf(HasSubstr("only.json: 16 questions about 8 paragraphs in 16 windows"), HasSubstr("one for every question")));

  const std::string answers = scratch / "answers";
  ASSERT_EQ(capstan({"evaluate", "--checkpoint", checkpoint("run"), "evaluate.output=" + answers}), 0) << err.str();
  EXPECT_GE(metric("exact"), 75);
  EXPECT_GE(metric("f1"), metric("exact"));
  EXPECT_EQ(metric("total"), 16);
  const data::Json predictions = data::read_json(answers + "/predictions.json"),
                   listed = data::read_json(answers + "/nbest_predictions.json");
  EXPECT_EQ(predictions.size(), 16u);
  EXPECT_EQ(predictions.members()[0].first, "0.0anna");
  EXPECT_EQ(listed["0.0anna"].items()[0]["text"].text(), predictions["0.0anna"].text());
  EXPECT_FALSE(std::filesystem::exists(answers + "/null_odds.json"));

  const std::string lines =
      "what has anna? ||| anna  has a red hat. dora has a new boat. Nothing else.\n"
      R"({"context": "dora has a new boat. gina has a green door.", "question": "what has gina?"})"
      "\nwhat has nobody?\n ||| anna has\n";
  ASSERT_EQ(capstan({"predict", "--checkpoint", checkpoint("run"), "--input", "-", "--output", "-", "predict.top=2"}, lines), 0)
      << err.str();
  const std::string printed = out.str();
  std::istringstream answered(printed);
  std::vector<data::Json> rows;
  for (std::string line; std::getline(answered, line);) rows.push_back(data::parse_json(line, "answer"));
  ASSERT_EQ(rows.size(), 4u) << printed;
  EXPECT_EQ(rows[0]["answer"].text(), "red hat") << printed;
  EXPECT_EQ(rows[0]["start"].integer(), 12);
  EXPECT_EQ(rows[0]["end"].integer(), 19);
  EXPECT_EQ(rows[0]["n_best"].size(), 2u);
  EXPECT_GT(rows[0]["probability"].number(), rows[0]["n_best"].items()[1]["probability"].number());
  EXPECT_EQ(rows[1]["answer"].text(), "green door") << printed;
  EXPECT_THAT(rows[2]["error"].text(), HasSubstr("expected 'question ||| context'"));
  EXPECT_THAT(rows[3]["error"].text(), HasSubstr("there is no question"));

  ASSERT_EQ(capstan({"predict", "--checkpoint", checkpoint("run"), "--input", "-", "--output", "-", "predict.format=tsv"}, lines), 0);
  EXPECT_THAT(out.str(), ::testing::MatchesRegex("red hat\t[0-9.]+\t12\t19\n(.|\n)*"));
}

TEST_F(BertSpansProgram, LearnsThatThereMayBeNoAnswer) {
  scratch.write("train-v2.0.json", squad(8, 0, /*impossible=*/true));
  scratch.write("dev-v2.0.json", squad(8, 0, /*impossible=*/true));
  ASSERT_EQ(train("run", learning()), 0) << err.str();
  EXPECT_THAT(engine::test::text_of(scratch / "run/log.txt"), HasSubstr("or none: spans.unanswerable"));
  ASSERT_EQ(capstan({"evaluate", "--checkpoint", checkpoint("run"), "evaluate.output=" + scratch / "answers"}), 0) << err.str();
  EXPECT_GT(metric("NoAns_exact"), 60);
  EXPECT_GT(metric("HasAns_exact"), 60);
  EXPECT_GE(metric("best_f1"), metric("f1"));
  EXPECT_EQ(data::read_json(scratch / "answers" + "/null_odds.json").size(), 24u);
  ASSERT_EQ(capstan({"evaluate", "--checkpoint", checkpoint("run"), "answers.null_threshold=-1000"}), 0);
  EXPECT_EQ(metric("NoAns_exact"), 100) << "nothing is answered";
  EXPECT_EQ(metric("HasAns_exact"), 0);
  ASSERT_EQ(capstan({"evaluate", "--checkpoint", checkpoint("run"), "spans.unanswerable=no"}), 0);
  EXPECT_EQ(metric("NoAns_exact"), 0) << "everything is answered";
  ASSERT_EQ(capstan({"predict", "--checkpoint", checkpoint("run"), "--input", "-", "--output", "-", "answers.null_threshold=-1000"},
                    "what has anna? ||| anna has a red hat.\n"),
            0);
  EXPECT_THAT(out.str(), AllOf(HasSubstr(R"("answer":"","probability":)"), HasSubstr(R"("start":null,"end":null,"null_odds":)")));
}

TEST_F(BertSpansProgram, FindsFilesByTheirNamesOrAsks) {
  const auto check = [&](const Arguments& more) {
    const int code = capstan(joined({"train", config, "--check", "run.dir=" + scratch / "unused"}, joined(small(), more)));
    return join_text(code, ": ", out.str(), err.str());
  };
  EXPECT_THAT(check({}),
              AllOf(HasSubstr("2: "), HasSubstr("data.train: must name a SQuAD file"), HasSubstr("there are 0 other .json files")));
  scratch.write("mine.json", squad(4, 0));
  EXPECT_THAT(check({}), HasSubstr("mine.json: 6 questions"));
  scratch.write("other.json", squad(4, 1));
  EXPECT_THAT(check({}), HasSubstr("there are 2 other .json files"));
  EXPECT_THAT(check({"data.train=other.json", "data.validation=mine.json"}),
              AllOf(HasSubstr("other.json: 8 questions"), HasSubstr("mine.json: 8 questions")));
  scratch.write("train-v1.1.json", squad(8, 0));
  EXPECT_THAT(check({}), AllOf(HasSubstr("train-v1.1.json: 14 questions"), HasSubstr("data.held_out sets aside")));
  scratch.write("dev-v1.1.json", squad(2, 0));
  EXPECT_THAT(check({}), AllOf(HasSubstr("train-v1.1.json: 16 questions"), HasSubstr("dev-v1.1.json: 4 questions")));
  EXPECT_THAT(check({"data.held_out=7.5", "data.train=other.json"}), AllOf(HasSubstr("2: "), HasSubstr("data.held_out: ")));
  EXPECT_THAT(check({"data.train=gone.json"}), AllOf(HasSubstr("4: "), HasSubstr("data.train: "), HasSubstr("gone.json")));
  scratch.write("dev-v2.0.json", squad(2, 0));
  EXPECT_THAT(check({}), HasSubstr("holds files of SQuAD 1.1 and of SQuAD 2.0; name one"));
}

TEST_F(BertSpansProgram, SaysWhatIsWrongWithDataAndSettings) {
  scratch.write("squad.json", squad(4, 0, true));
  const auto check = [&](const Arguments& more) {
    const int code = capstan(joined({"train", config, "--check", "run.dir=" + scratch / "unused"}, joined(small(), more)));
    return join_text(code, ": ", out.str(), err.str());
  };
  EXPECT_THAT(check({"spans.unanswerable=no"}), AllOf(HasSubstr("3: "), HasSubstr("squad.json: /data/"), HasSubstr("exactly one answer")));
  EXPECT_THAT(check({"spans.max_length=25"}), HasSubstr("spans.max_length must not exceed model.max_positions, got 25 and 24"));
  EXPECT_THAT(check({"spans.question_length=21"}), HasSubstr("spans.question_length + 4, got 24 and 21"));
  EXPECT_THAT(check({"model.packed=true"}), HasSubstr("model.packed must be false"));
  EXPECT_THAT(check({"data.vocabulary="}), AllOf(HasSubstr("2: "), HasSubstr("data.vocabulary")));
  scratch.write("squad.json", squad(4, 0, false, /*cut_answers=*/true));
  EXPECT_THAT(check({}), AllOf(HasSubstr("3: "), HasSubstr("there is no question to train on")));
  scratch.write("squad.json", R"({"data": [{"paragraphs": [{"context": "x", "qas": [{"id": "a"}]}]}]})");
  EXPECT_THAT(check({}), AllOf(HasSubstr("3: "), HasSubstr(R"(data.train: )"),
                               HasSubstr(R"(squad.json: /data/0/paragraphs/0/qas/0: has no "question")")));
}

struct Pretraining : bert::BertProgram {
  void TestBody() override {}
};

TEST_F(BertSpansProgram, StartsFromPretrainingWithItsVocabularyAndIsGivenToOthers) {
  Pretraining pretraining;
  ASSERT_EQ(pretraining.train("run", {"train.max_steps=2"}), 0) << pretraining.err.str();
  scratch.write("squad.json", squad(3, 0));
  const Arguments settings{"run.data=" + scratch.path(),
                           "init.from=" + pretraining.checkpoint("run"),
                           "run.threads=1",
                           "spans.max_length=64",
                           "spans.question_length=32",
                           "train.max_steps=2",
                           "data.held_out=1"};
  ASSERT_EQ(train("run", settings), 0) << err.str();
  EXPECT_THAT(engine::test::text_of(scratch / "run/log.txt"),
              AllOf(HasSubstr("start: 37 of 39 parameters"), HasSubstr("at random: qa_outputs/weight, qa_outputs/bias"),
                    HasSubstr("not taken from the file: bert/pooler/dense/bias")));

  ASSERT_EQ(capstan({"export", checkpoint("run"), scratch / "theirs", "--as", "hf"}), 0) << err.str();
  EXPECT_EQ(data::read_json(scratch / "theirs/config.json")["architectures"].items()[0].text(), "BertForQuestionAnswering");
  const std::string line = "who? ||| the cat sat on the mat\n";
  const Arguments use{"--input", "-", "--output", "-", "spans.max_length=64", "spans.question_length=32"};
  ASSERT_EQ(capstan(joined({"predict", "--checkpoint", checkpoint("run")}, use), line), 0) << err.str();
  const std::string ours = out.str();
  ASSERT_EQ(capstan(joined({"predict", "--checkpoint", scratch / "theirs"}, use), line), 0) << err.str();
  EXPECT_EQ(out.str(), ours);
  EXPECT_THAT(ours, HasSubstr("\"answer\":"));
}

// Tokens 4 x 24, width 32, inner 64: products of the layer (4 H^2 + 2 H I a token), of attention (2, and 4 in backward) and of the head.
TEST_F(BertSpansProgram, BenchesWhatIsComputed) {
  const auto flops = [&](const Arguments& settings) {
    EXPECT_EQ(capstan(joined({"bench", config, "--steps", "1", "--json", "bench.vocab_size=50"}, joined(small(), settings))), 0)
        << err.str();
    const data::Json line = data::parse_json(out.str(), "bench");
    EXPECT_GT(line["mfu"].number(), 0);
    return line["flops_per_step"].number();
  };
  constexpr double kLayer = 2.0 * 96 * (4 * 32 * 32 + 2 * 32 * 64), kAttention = 2.0 * 4 * 24 * 24 * 32, kHead = 2.0 * 96 * 32 * 2;
  const double all = flops({});
  EXPECT_EQ(all, 3 * (kLayer + 2 * kAttention + kHead));
  EXPECT_EQ(flops({"train.checkpoint_activations=yes"}), all) << "recomputed products do not count";
  EXPECT_EQ(flops({"optimizer.freeze=bert"}), kLayer + 2 * kAttention + 2 * kHead) << "forward, and the weight of the head";
}

}  // namespace
}  // namespace capstan::bert_spans
