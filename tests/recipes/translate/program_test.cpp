// Translation from the command line: the engine's promises, files that do not fit, vocabularies, and what evaluate and predict say.
#include "recipes/translate/recipe.h"

#include <algorithm>
#include <filesystem>

#include "data/json.h"
#include "data/text/subword.h"
#include "recipes/engine/system.h"
#include "recipes/tasks/translation/batch.h"
#include "tests/recipes/recipe_program.h"

namespace capstan::translate {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

struct TranslateProgram : engine::test::RecipeProgram {
  TranslateProgram() : RecipeProgram(translate::recipe()) {}

  /// A tiny model; on files of the scratch directory unless the settings say otherwise.
  Arguments small() const {
    return {"run.data=" + scratch.path(),
            "data.origin=files",
            "data.vocab_size=60",
            "model.encoder_layers=1",
            "model.decoder_layers=1",
            "model.hidden_size=8",
            "model.heads=2",
            "model.intermediate_size=16",
            "model.dropout=0.1",
            "run.threads=1",
            "train.batch_size=24",
            "train.log_every=1",
            "schedule.warmup_steps=2",
            "evaluate.examples=1",
            "generation.max_length=12",
            "train.ema_decay=0"};
  }
  void write_texts() {
    const std::string english = "a cat sat on the mat\nthe dog ran\na dog and a cat\nthe mat\nthe log sat on a dog\n";
    const std::string german =
        "eine Katze sass auf der Matte\nder Hund lief\nein Hund und eine Katze\ndie Matte\nder Klotz sass auf einem Hund\n";
    for (const std::string part : {"train", "val", "test"}) {
      scratch.write(part + ".en", english);
      scratch.write(part + ".de", german);
    }
  }
  int train(const std::string& run, const Arguments& more = {}) { return train_quickstart(run, joined(small(), more)); }
  int use(const std::string& command, const Arguments& more, const std::string& input = {}) {
    return capstan(joined({command, "--checkpoint", checkpoint("run"), "run.data=" + scratch.path(), "run.threads=1"}, more), input);
  }
  std::string translations(const Arguments& more, const std::string& input) {
    EXPECT_EQ(use("predict", joined({"--input", "-", "--output", "-"}, more), input), engine::kOk) << err.str();
    return out.str();
  }
};

TEST_F(TranslateProgram, EveryConfigurationDryRuns) {
  write_texts();
  check_every_configuration(4, {"run.data=" + scratch.path(), "data.test=test", "data.vocab_size=60", "data.max_length=32",
                                "model.encoder_layers=1", "model.decoder_layers=1", "model.hidden_size=16", "model.intermediate_size=16"});
}

TEST_F(TranslateProgram, KeepsWhatTheEnginePromises) {
  write_texts();
  for (const std::string vocabulary : {"joint", "separate"})
    prove({.settings = joined(small(), {"data.vocabulary=" + vocabulary, vocabulary == "joint" ? "model.tied=all" : "model.tied=output",
                                        "data.prepared=" + scratch / ("prepared_" + vocabulary), "train.epochs=4",
                                        vocabulary == "joint" ? "data.bpe_dropout=0.1" : "data.bpe_dropout=0"}),
           .steps = 8,
           .stops = {3, 4},
           .input = "the cat sat\na dog\n",
           .name = vocabulary});
}

TEST_F(TranslateProgram, EvaluatesAndTranslates) {
  write_texts();
  ASSERT_EQ(train("run", {"train.max_steps=2"}), engine::kOk) << err.str();
  EXPECT_THAT(engine::test::text_of(scratch / "run/log.txt"), AllOf(HasSubstr("  reference    "), HasSubstr("  translation  ")));
  EXPECT_THAT(engine::test::text_of(scratch / "run/log.txt"), HasSubstr("60 pieces for both languages, learned from"));
  ASSERT_EQ(use("evaluate", {"--json", "evaluate.output=" + scratch / "out.txt"}), engine::kOk) << err.str();
  const data::Json result = data::parse_json(out.str(), "evaluate");
  for (const std::string name : {"loss", "perplexity", "accuracy", "bleu", "chrf", "copy_source/bleu", "most_frequent/chrf"})
    EXPECT_TRUE(result.has(name)) << name;
  const std::string written = engine::test::text_of(scratch / "out.txt");
  EXPECT_EQ(std::ranges::count(written, '\n'), 5);
  // What a line becomes depends on no other line, and evaluate and predict agree.
  const std::string lines = "a cat sat on the mat\nthe dog ran\na dog and a cat\nthe mat\nthe log sat on a dog\n";
  EXPECT_EQ(translations({}, lines), written);
  EXPECT_EQ(translations({"generation.lines=1", "predict.batch_size=2"}, lines), written);
  EXPECT_EQ(translations({"generation.top_k=0", "generation.beams=1"}, lines),
            translations({"generation.top_k=0", "generation.beams=1", "generation.lines=2"}, lines));
  EXPECT_THAT(translations({"predict.format=jsonl"}, "the mat\n"), AllOf(HasSubstr("{\"translation\":\""), HasSubstr("\"score\":-")));
  EXPECT_THAT(translations({"predict.format=jsonl", "generation.beams=2", "generation.hypotheses=2"}, "the mat\n"),
              HasSubstr("{\"translations\":[{\"translation\":"));
  const std::string two = translations({"generation.beams=2", "generation.hypotheses=2"}, "the mat\n");
  EXPECT_EQ(std::ranges::count(two, '\t'), 3) << two;
}

TEST_F(TranslateProgram, DrawsWhatItLookedAt) {
  write_texts();
  ASSERT_EQ(train("run", {"train.max_steps=1"}), engine::kOk) << err.str();
  translations({"--attention", scratch / "pictures"}, "the mat\na cat sat\n");
  EXPECT_THAT(engine::test::text_of(scratch / "pictures/0001.svg"), AllOf(HasSubstr("the</text>"), HasSubstr(">[EOS]</text>")));
  EXPECT_TRUE(std::filesystem::exists(scratch / "pictures/0002.svg"));
}

TEST_F(TranslateProgram, GoesOutAsATorchTransformerAndInAgain) {
  write_texts();
  ASSERT_EQ(train("run", {"train.max_steps=1"}), engine::kOk) << err.str();
  ASSERT_EQ(capstan({"export", checkpoint("run"), scratch / "torch.safetensors", "--as", "torch"}), engine::kOk) << err.str();
  ASSERT_EQ(train("again", {"train.max_steps=1", "init.from=" + scratch / "torch.safetensors"}), engine::kOk) << err.str();
  EXPECT_THAT(engine::test::text_of(scratch / "again/log.txt"), HasSubstr("torch.safetensors (torch.nn.Transformer)"));
}

TEST_F(TranslateProgram, AveragesCheckpoints) {
  write_texts();
  ASSERT_EQ(train("run", {"train.max_steps=3", "checkpoint.every=1", "checkpoint.keep_last=9"}), engine::kOk) << err.str();
  const std::string stem = scratch / "run/checkpoints/step-00000000", a = stem + "1.h5", b = stem + "3.h5", mean = scratch / "mean.h5";
  ASSERT_EQ(capstan({"average", a, b, mean}), engine::kOk) << err.str();
  const auto of_a = tensors(a), of_b = tensors(b), of_mean = tensors(mean);
  for (const auto& [name, values] : of_mean)
    for (std::size_t i = 0; name.starts_with("/model/") && i < values.size(); ++i)
      ASSERT_NEAR(values[i], (of_a.at(name)[i] + of_b.at(name)[i]) / 2, 1e-6) << name;
  EXPECT_EQ(capstan({"evaluate", "--checkpoint", mean, "run.data=" + scratch.path(), "--json"}), engine::kOk) << err.str();
  EXPECT_EQ(capstan({"average", a, b, mean}), engine::kUsage) << "nothing is overwritten";
  EXPECT_EQ(capstan({"average", a}), engine::kUsage);
  EXPECT_EQ(capstan({"average", a, scratch / "train.en", scratch / "other.h5"}), engine::kBadCheckpoint);
}

TEST_F(TranslateProgram, OneBadLineCostsOnlyItself) {
  write_texts();
  ASSERT_EQ(train("run", {"train.max_steps=1"}), engine::kOk) << err.str();
  std::string longer;
  for (int i = 0; i < 40; ++i) longer += "zzz ";
  EXPECT_EQ(use("predict", {"--input", "-", "--output", "-"}, "a cat\n\n" + longer + "\nthe \xE6\xBC\xA2 mat\n"), engine::kOk);
  EXPECT_EQ(std::ranges::count(out.str(), '\n'), 4) << out.str();
  EXPECT_THAT(out.str(), HasSubstr("tokens with [EOS], the model reads 32"));
  EXPECT_THAT(err.str(), HasSubstr("2 of 4 lines could not be answered, the first: line 2: is empty"));
}

TEST_F(TranslateProgram, SaysWhatItReadAndLeftOut) {
  write_texts();
  scratch.write("train.en", "a cat sat on the mat\n\nthe dog ran away from the cat and the mat and the log\nthe mat\n");
  scratch.write("train.de", "eine Katze sass auf der Matte\nnichts\nder Hund lief\ndie Matte\n");
  ASSERT_EQ(train("run", {"data.max_length=20", "data.max_ratio=4", "--check"}), engine::kOk) << err.str();
  EXPECT_THAT(out.str(),
              AllOf(HasSubstr("1 pairs with an empty side left out, the first in line 2"), HasSubstr("1 longer pairs left out")));
}

TEST_F(TranslateProgram, KeepsALearnedVocabularyUntilTextsChange) {
  write_texts();
  const Arguments prepare = joined({"prepare", config}, joined(small(), {"data.prepared=" + scratch / "kept"}));
  ASSERT_EQ(capstan(prepare), engine::kOk) << err.str();
  EXPECT_THAT(out.str(), HasSubstr("vocabulary: 60 pieces, learned from"));
  const std::string first = engine::test::text_of(scratch / "kept/joint.model");
  ASSERT_EQ(capstan(prepare), engine::kOk) << err.str();
  EXPECT_THAT(out.str(), HasSubstr("pieces, prepared, "));
  scratch.write("train.en", "other words entirely\n");
  scratch.write("train.de", "ganz andere Wörter\n");
  ASSERT_EQ(capstan(joined(prepare, {"data.vocab_size=40"})), engine::kOk) << err.str();
  EXPECT_THAT(out.str(), HasSubstr("learned from"));
  EXPECT_NE(engine::test::text_of(scratch / "kept/joint.model"), first);
  // A model file of somebody else serves as well.
  write_texts();
  ASSERT_EQ(train("run", {"data.source_model=kept/joint.model", "train.max_steps=1"}), engine::kOk) << err.str();
  EXPECT_EQ(data::SubwordModel::read(scratch / "kept/joint.model").size(), 40);
  EXPECT_THAT(engine::test::text_of(scratch / "run/log.txt"), HasSubstr("40 pieces for both languages, the files named"));
}

TEST_F(TranslateProgram, SaysWhatIsWrong) {
  write_texts();
  const auto fault = [&](const Arguments& settings) {
    EXPECT_NE(train("run", joined(settings, {"train.max_steps=1"})), engine::kOk);
    return err.str();
  };
  EXPECT_THAT(fault({"data.source=fr"}), AllOf(HasSubstr("data.train: "), HasSubstr("train.fr: no such file, nor"), HasSubstr(".gz")));
  EXPECT_THAT(fault({"data.max_length=33"}), HasSubstr("data.max_length must not exceed model.max_positions, got 33 and 32"));
  EXPECT_THAT(fault({"data.target=en"}), HasSubstr("data.source and data.target must differ"));
  EXPECT_THAT(fault({"data.vocabulary=separate"}), HasSubstr("model.tied = all needs one vocabulary"));
  EXPECT_THAT(fault({"data.source_model=train.en"}), HasSubstr("is no model of sentencepiece"));
  EXPECT_THAT(fault({"generation.hypotheses=9"}), HasSubstr("generation.hypotheses must not exceed generation.beams"));
  EXPECT_THAT(fault({"generation.top_k=5", "generation.beams=2"}), HasSubstr("generation.top_k is of drawn texts"));
  scratch.write("train.de", "zu wenig\n");
  EXPECT_THAT(fault({}), AllOf(HasSubstr("data.train: "), HasSubstr("train.en has 5 lines and "), HasSubstr("train.de has 1 lines")));
}

TEST_F(TranslateProgram, TimesDecoding) {
  EXPECT_EQ(capstan(joined({"bench", config, "--what", "decode", "--json"}, {"run.threads=1", "bench.written=4", "bench.source_length=3"})),
            engine::kOk)
      << err.str();
  const data::Json rates = data::parse_json(out.str(), "bench")["tokens_per_s"];
  for (const std::string name : {"greedy_1", "beam4_1", "greedy_32", "beam4_32"}) EXPECT_GT(rates[name].number(), 0) << name;
  EXPECT_EQ(capstan({"bench", config, "--what", "nothing"}), engine::kUsage);
  EXPECT_THAT(err.str(), HasSubstr("cannot time 'nothing'"));
}

TEST(TranslationBatches, AreFullOfPairsOfLikeLengths) {
  using translation::EncodedPair;
  std::vector<EncodedPair> pairs;
  for (int i = 0; i < 60; ++i)
    pairs.push_back({std::vector<std::int32_t>(static_cast<std::size_t>(2 + i % 5), 7),
                     std::vector<std::int32_t>(static_cast<std::size_t>(3 + i % 7), 8)});
  const auto first = translation::training_batches(pairs, 20, 1, 0);
  std::vector<std::int64_t> seen;
  for (const auto& batch : first) {
    std::int64_t tokens = 0, shortest = 100, longest = 0;
    for (const std::int64_t i : batch) {
      const std::int64_t n = pairs[static_cast<std::size_t>(i)].target_tokens();
      tokens += n;
      shortest = std::min(shortest, n);
      longest = std::max(longest, n);
      seen.push_back(i);
    }
    EXPECT_LE(tokens, 20);
    EXPECT_LE(longest - shortest, 1);
  }
  std::ranges::sort(seen);
  for (std::int64_t i = 0; i < 60; ++i) EXPECT_EQ(seen[static_cast<std::size_t>(i)], i) << "every pair once";
  EXPECT_EQ(translation::training_batches(pairs, 20, 1, 0), first);
  EXPECT_NE(translation::training_batches(pairs, 20, 1, 1), first);
  EXPECT_EQ(translation::training_batches(pairs, 20, 1, 1).size(), first.size());
  EXPECT_EQ(translation::training_batches(pairs, 1, 1, 0).size(), 60u) << "a pair that is too large is a batch";
}

}  // namespace
}  // namespace capstan::translate
