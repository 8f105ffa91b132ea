// Language models from the command line: the engine's promises, texts that do not fit, and what evaluate, predict and generate say.
#include "recipes/language_model/recipe.h"

#include <algorithm>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <set>
#include <utility>

#include "data/json.h"
#include "tests/recipes/recipe_program.h"

namespace capstan::language_model {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

struct LanguageModelProgram : engine::test::RecipeProgram {
  LanguageModelProgram() : RecipeProgram(language_model::recipe()) {}

  /// A tiny model on files of the scratch directory, unless the settings say otherwise.
  Arguments small() const {
    return {"run.data=" + scratch.path(),
            "data.origin=files",
            "data.train=text.txt",
            "data.held_out=0.25",
            "data.length=16",
            "model.layers=1",
            "model.hidden_size=16",
            "model.heads=2",
            "model.intermediate_size=32",
            "model.max_positions=24",
            "model.dropout=0.1",
            "run.threads=1",
            "train.batch_size=4",
            "train.log_every=1",
            "schedule.warmup_steps=2",
            "evaluate.examples=1",
            "generation.max_length=12",
            "bench.prompt=4",
            "bench.written=4"};
  }
  void write_text() {
    std::string text;
    for (int i = 0; i < 12; ++i) text += "der Käse und die Grüße\nund das Öl\n\n";
    scratch.write("text.txt", text);
    scratch.write("other.txt", "das Öl und der Käse\n");
  }
  int train(const std::string& run, const Arguments& more = {}) { return train_quickstart(run, joined(small(), more)); }
  int use(const std::string& command, const Arguments& more, const std::string& input = {}) {
    return capstan(joined({command, "--checkpoint", checkpoint("run"), "run.data=" + scratch.path(), "run.threads=1"}, more), input);
  }
  std::string generated(const Arguments& more, const std::string& input = {}) {
    EXPECT_EQ(use("generate", more, input), engine::kOk) << err.str();
    return out.str();
  }
};

TEST_F(LanguageModelProgram, EveryConfigurationDryRuns) {
  write_text();
  check_every_configuration(3, {"run.data=" + scratch.path(), "data.train=text.txt", "data.validation=other.txt",
                                "data.test=", "data.vocab_size=40", "schedule.warmup_steps=2", "data.length=32", "model.layers=1",
                                "model.hidden_size=16", "model.heads=2", "model.kv_heads=1", "model.intermediate_size=16"});
}

TEST_F(LanguageModelProgram, KeepsWhatTheEnginePromises) {
  write_text();
  for (const std::string tokens : {"character", "subword"})
    prove({.settings = joined(small(), {"data.tokens=" + tokens, "data.vocab_size=40", "data.prepared=" + scratch / "prepared",
                                        "train.epochs=9", "data.length=" + std::string(tokens == "subword" ? "8" : "16")}),
           .steps = 8,
           .stops = {3},
           .input = "und das Öl\nder Käse\n",
           .name = tokens});
  EXPECT_TRUE(std::filesystem::exists(scratch / "prepared/subwords.model"));
}

TEST_F(LanguageModelProgram, EvaluatesBesideBaselines) {
  write_text();
  ASSERT_EQ(train("run", {"train.max_steps=2", "data.validation=other.txt"}), engine::kOk) << err.str();
  const std::string log = engine::test::text_of(scratch / "run/log.txt");
  EXPECT_THAT(log, AllOf(HasSubstr("17 characters and [UNK], of the training text"), HasSubstr("420 tokens, 468 bytes"),
                         HasSubstr("other.txt: 20 tokens, 22 bytes, 6 words and line ends"), HasSubstr("  goes on\n")));
  ASSERT_EQ(use("evaluate", {"--json"}), engine::kOk) << err.str();
  const data::Json result = data::parse_json(out.str(), "evaluate");
  EXPECT_NEAR(result["perplexity"].number(), std::exp(result["loss"].number()), 1e-9);
  EXPECT_NEAR(result["bits_per_byte"].number(), result["loss"].number() * 19 / 22 / std::log(2.0), 1e-9);
  EXPECT_NEAR(result["word_perplexity"].number(), std::exp(result["loss"].number() * 19 / 6), 1e-6);
  ASSERT_EQ(use("evaluate", {"evaluate.stride=1", "data.train=", "--json"}), engine::kOk) << err.str();
  EXPECT_FALSE(data::parse_json(out.str(), "evaluate").has("bigram/loss"));
  ASSERT_EQ(use("evaluate", {"evaluate.stride=4"}), engine::kOk) << err.str();
  EXPECT_THAT(out.str(), HasSubstr("test: 20 tokens; windows of 16 begin every 4, and each scores"));
  EXPECT_NE(use("evaluate", {"evaluate.stride=17"}), engine::kOk);
  EXPECT_THAT(err.str(), HasSubstr("evaluate.stride must not exceed the window"));
}

TEST_F(LanguageModelProgram, TakesBaselinesFromTheTrainingText) {
  const std::string text = "abba abba cab\nbaa\n", other = "abc? bac\n";
  scratch.write("text.txt", text);
  scratch.write("other.txt", other);
  ASSERT_EQ(train("run", {"train.max_steps=1", "data.validation=other.txt"}), engine::kOk) << err.str();
  EXPECT_THAT(engine::test::text_of(scratch / "run/log.txt"), HasSubstr("9 tokens, 9 bytes, 3 words and line ends, 1 tokens are [UNK]"));
  ASSERT_EQ(use("evaluate", {"--json"}), engine::kOk) << err.str();
  double unigram = 0, bigram = 0;
  for (std::size_t i = 1; i < other.size(); ++i) {
    const double alone = (static_cast<double>(std::ranges::count(text, other[i])) + 1) / (static_cast<double>(text.size()) + 6);
    double together = 0, followed = 0;
    std::set<char> kinds;
    for (std::size_t k = 1; k < text.size(); ++k) {
      if (text[k - 1] != other[i - 1]) continue;
      ++followed;
      together += text[k] == other[i] ? 1 : 0;
      kinds.insert(text[k]);
    }
    const auto backing_off = static_cast<double>(kinds.size());
    unigram -= std::log(alone) / 8;
    bigram -= std::log(kinds.empty() ? alone : (together + backing_off * alone) / (followed + backing_off)) / 8;
  }
  const data::Json result = data::parse_json(out.str(), "evaluate");
  EXPECT_NEAR(result["unigram/loss"].number(), unigram, 1e-9);
  EXPECT_NEAR(result["bigram/loss"].number(), bigram, 1e-9);
}

TEST_F(LanguageModelProgram, GoesOnWithATextItKnows) {
  std::string text;
  for (int i = 0; i < 40; ++i) text += "one fox, two dogs.\n";
  scratch.write("text.txt", text);
  ASSERT_EQ(train("run", {"train.max_steps=120", "train.epochs=100", "train.batch_size=8", "model.dropout=0", "model.hidden_size=32",
                          "optimizer.learning_rate=1e-2", "train.log_every=50", "evaluate.examples=0", "model.kv_heads=1"}),
            engine::kOk)
      << err.str();
  const Arguments greedy{"generation.top_k=1", "generation.max_length=50"};
  const std::string whole = "one fox, two dogs.\none fox, two dogs.\none fox, two dogs.\n";
  EXPECT_EQ(generated(joined(greedy, {"--prompt", "one fox"})), whole.substr(0, 57) + "\n") << "past the window of 24";
  EXPECT_EQ(generated(joined(greedy, {"--prompt", "one fox", "generation.echo=no", "generation.stop=two"})), ", \n");
  EXPECT_EQ(generated(joined(greedy, {"generation.max_length=4"}), "one fox, two dogs.\n"), "one fox, two dogs.\none \n");
  EXPECT_EQ(generated(joined(greedy, {"generation.max_length=3", "--prompt", "-"}), ""), "one\n") << "behind a line end";
  EXPECT_EQ(generated({"generation.beams=2", "generation.top_k=1", "generation.max_length=5", "--prompt", "one"}), "one fox,\n");
  // Lines of predict: the same text as one line, whatever stands beside it.
  const auto answers = [&](const Arguments& more) {
    EXPECT_EQ(use("predict", joined({"--input", "-", "--output", "-"}, more), "one fox\n\ntwo ?\n two dogs.\n"), engine::kOk) << err.str();
    return out.str();
  };
  const std::string expected = answers(joined(greedy, {"generation.max_length=14"}));
  EXPECT_THAT(expected, AllOf(StartsWith(", two dogs. on\n"), EndsWith(" one fox, two \n"), HasSubstr("line 2: is empty"),
                              HasSubstr("line 3: the prompt has the character '?'")));
  EXPECT_EQ(answers(joined(greedy, {"generation.max_length=14", "generation.lines=1", "predict.batch_size=1"})), expected);
  EXPECT_THAT(answers(joined(greedy, {"generation.max_length=14", "predict.format=jsonl"})), StartsWith("{\"text\":\", two dogs.\\non\""));
  EXPECT_EQ(answers({"generation.top_k=0", "generation.lines=1"}), answers({"generation.top_k=0", "generation.lines=3"}));
}

TEST_F(LanguageModelProgram, AnswersBadPromptsAndSignals) {
  write_text();
  ASSERT_EQ(train("run", {"train.max_steps=1"}), engine::kOk) << err.str();
  const auto fault = [&](const Arguments& more, const std::string& input = {}) {
    EXPECT_EQ(use("generate", more, input), engine::kData);
    return err.str();
  };
  EXPECT_THAT(fault({"--prompt", "der Käse, und"}), HasSubstr("the prompt has the character ',' (U+002C)"));
  EXPECT_THAT(fault({}, "und\xFF"), HasSubstr("the prompt is not UTF-8: its byte 4 is 0xFF"));
  EXPECT_THAT(fault({"--prompt", std::string(25, 'a')}), HasSubstr("the prompt has 25 tokens, the model's window 24"));
  EXPECT_EQ(use("generate", {"--prompt", "und", "generation.top_k=3", "generation.beams=2"}), engine::kUsage);
  struct Signal : std::stringbuf {  // that comes once the prompt has been written
    bool sent = false;
    int sync() override { return std::exchange(sent, true) ? 0 : (::raise(SIGINT), 0); }
  } buffer;
  std::ostream to(&buffer);
  std::istringstream nothing;
  const Arguments arguments{"generate", "--checkpoint", checkpoint("run"), "--prompt", "und", "run.threads=1"};
  EXPECT_EQ(engine::run_program(std::span(&recipe, 1), arguments, {.in = nothing, .out = to, .err = err}), 128 + SIGINT);
  EXPECT_EQ(buffer.str(), "und\n");
}

TEST_F(LanguageModelProgram, SaysWhatIsWrong) {
  write_text();
  const auto fault = [&](const Arguments& settings) {
    EXPECT_NE(train("run", joined(settings, {"train.max_steps=1"})), engine::kOk);
    return err.str();
  };
  scratch.write("empty.txt", "");
  scratch.write("short.txt", "der Käse\n");
  scratch.write("latin.txt", "der K\xE4se und die Gr\xFC\xDF und das \xD6l\n");
  EXPECT_THAT(fault({"data.train=none.txt"}), AllOf(HasSubstr("data.train: "), HasSubstr("none.txt")));
  EXPECT_THAT(fault({"data.train=empty.txt"}), AllOf(HasSubstr("data.train: "), HasSubstr("empty.txt: is empty")));
  EXPECT_THAT(fault({"data.train=short.txt"}), HasSubstr("has 6 tokens, too few: 17 are needed, data.length and one more"));
  EXPECT_THAT(fault({"data.train=latin.txt"}), AllOf(HasSubstr("characters need UTF-8"), HasSubstr("it is line 1 (byte 0xe4)")));
  EXPECT_THAT(fault({"data.length=25"}), HasSubstr("data.length must not exceed model.max_positions, got 25 and 24"));
  EXPECT_THAT(fault({"evaluate.length=25"}), HasSubstr("evaluate.length must not exceed model.max_positions"));
  EXPECT_THAT(fault({"bench.prompt=22"}), HasSubstr("bench.prompt + bench.written - 1 must not exceed"));
  ASSERT_EQ(train("run", {"train.max_steps=1"}), engine::kOk) << err.str();
  EXPECT_NE(train("next", {"init.from=" + checkpoint("run"), "data.tokens=byte", "train.max_steps=1"}), engine::kOk);
  EXPECT_THAT(err.str(), HasSubstr("data.tokens is byte, but the vocabulary, of the model in init.from, is of kind character"));
  ASSERT_EQ(train("bytes", {"data.train=latin.txt", "data.tokens=byte", "train.max_steps=1"}), engine::kOk) << err.str();
  EXPECT_NE(capstan({"prepare", config}), engine::kOk);
  EXPECT_THAT(err.str(), HasSubstr("there is nothing to prepare but for data.tokens = subword of files"));
}

TEST_F(LanguageModelProgram, KeepsALearnedVocabularyUntilTextsChange) {
  write_text();
  const Arguments prepare =
      joined({"prepare", config}, joined(small(), {"data.tokens=subword", "data.vocab_size=40", "data.prepared=" + scratch / "kept"}));
  ASSERT_EQ(capstan(prepare), engine::kOk) << err.str();
  EXPECT_THAT(out.str(), HasSubstr("vocabulary: 40 pieces, learned from the training text"));
  ASSERT_EQ(capstan(prepare), engine::kOk) << err.str();
  EXPECT_THAT(out.str(), HasSubstr("pieces, prepared, "));
  ASSERT_EQ(capstan(joined(prepare, {"data.held_out=0.5"})), engine::kOk) << err.str();
  EXPECT_THAT(out.str(), HasSubstr("learned from")) << "of another text";
}

TEST_F(LanguageModelProgram, TimesDecoding) {
  EXPECT_EQ(capstan(joined({"bench", config, "--what", "decode", "--json"}, {"run.threads=1", "bench.written=4", "bench.prompt=3"})),
            engine::kOk)
      << err.str();
  const data::Json result = data::parse_json(out.str(), "bench");
  for (const std::string name : {"greedy_1", "greedy_32"}) EXPECT_GT(result["tokens_per_s"][name].number(), 0) << name;
  EXPECT_GT(result["weight_bytes"].number(), 0);
  EXPECT_EQ(result["cache_bytes_per_token"].number(), 2 * 2 * 64 * 4) << "layers, keys and values, width, f32";
  ASSERT_EQ(capstan({"bench", config, "--what", "decode", "run.threads=1", "bench.written=2", "bench.prompt=3", "model.kv_heads=1",
                     "generation.cache=bf16"}),
            engine::kOk);
  EXPECT_EQ(data::parse_json(out.str(), "bench")["cache_bytes_per_token"].number(), 2 * 2 * 16 * 2) << "a quarter, of bf16";
}

}  // namespace
}  // namespace capstan::language_model
