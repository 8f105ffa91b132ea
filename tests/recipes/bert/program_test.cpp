// BERT through the command line: every configuration, overfitting, interruption and resume to the bit, preparation, bad input.
#include <cmath>

#include "data/file.h"
#include "data/text/corpus.h"
#include "data/text/instance_file.h"
#include "recipes/engine/train/batch_stream.h"
#include "recipes/engine/train/optimizer.h"
#include "recipes/engine/train/schedule.h"
#include "recipes/engine/train/step.h"
#include "recipes/tasks/text/vocabulary.h"
#include "tests/recipes/bert/fixtures.h"
#include "tests/recipes/tasks/masked_lm/fixtures.h"

namespace capstan::bert {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

TEST_F(BertProgram, EveryConfigurationDryRuns) {
  scratch.write("text.txt", tiny_text());
  check_every_configuration(
      9,
      {"data.train=" + scratch / "text.txt", "data.validation=", "data.test=", "data.prepared=" + scratch / "prepared",
       "data.vocab_size=90", "train.batch_size=4", "train.micro_batch_size=2", "model.hidden_size=32", "model.heads=2",
       "model.intermediate_size=32"},
      [&](const std::string& name) { EXPECT_THAT(out.str(), HasSubstr("bert/embeddings/word_embeddings  f32[")) << name; });
}

// The check of the original's README: twenty steps on one small file, then every mask and every pair is right.
TEST_F(BertProgram, OverfitsATinyFileInTwentySteps) {
  scratch.write("text.txt", tiny_text());
  const auto configuration = recipe.configuration();
  std::vector<engine::Assignment> settings;
  for (const auto& [key, value] : std::map<std::string, std::string>{{"data.train", scratch / "text.txt"},
                                                                     {"data.form", "sentences"},
                                                                     {"data.held_out", "0"},
                                                                     {"data.vocab_size", "90"},
                                                                     {"data.prepared", scratch / "prepared"},
                                                                     {"instances.kind", "original"},
                                                                     {"instances.max_length", "32"},
                                                                     {"instances.max_predictions", "5"},
                                                                     {"instances.dupe_factor", "2"},
                                                                     {"model.layers", "2"},
                                                                     {"model.hidden_size", "128"},
                                                                     {"model.heads", "2"},
                                                                     {"model.intermediate_size", "512"},
                                                                     {"model.max_positions", "32"},
                                                                     {"model.hidden_dropout", "0"},
                                                                     {"model.attention_dropout", "0"},
                                                                     {"model.initializer_range", "0.04"},
                                                                     {"optimizer.learning_rate", "1.5e-3"},
                                                                     {"schedule.kind", "google"},
                                                                     {"schedule.warmup_steps", "2"},
                                                                     {"schedule.steps", "24"}})
    settings.push_back({key, value, "test"});
  engine::assign(configuration->table(), settings);
  configuration->finish();
  engine::set_threads(1);
  const auto bert = configuration->make({.purpose = engine::Purpose::train, .seed = 1, .batch_size = 64, .epochs = 20});
  ASSERT_EQ(bert->batches_per_epoch(), 1);
  ASSERT_GE(bert->size(engine::Split::train), 6);
  const engine::EngineOptions& options = configuration->engine();
  const auto optimizer = engine::make_optimizer(options.optimizer, bert->parameters().parameters());
  const optim::Schedule rate = engine::make_schedule(options.schedule, options.optimizer.learning_rate, 20, 1);
  engine::EpochOrder order(*bert);
  for (std::int64_t step = 0; step < 20; ++step) {
    const engine::AnyBatch batch = engine::training_batch(*bert, order, step, 0);
    engine::train_step(*bert, *optimizer, std::span(&batch, 1), {.seed = 1, .step = step}, rate(step), 1);
  }
  const NoGrad paused;
  const auto evaluation = bert->evaluation(engine::Split::train);
  evaluation->add(engine::training_batch(*bert, order, 0, 0));
  const engine::Metrics metrics = engine::reported(evaluation->accumulators());
  EXPECT_GT(engine::value_of(metrics, "masked_lm_accuracy"), 0.98);
  EXPECT_EQ(engine::value_of(metrics, "next_sentence_accuracy"), 1.0);
  EXPECT_NEAR(engine::value_of(metrics, "perplexity"), std::exp(engine::value_of(metrics, "masked_lm_loss")), 1e-9);
}

TEST_F(BertProgram, AnEpochLeavesOutAnIncompleteStep) {
  scratch.write("text.txt", tiny_text());
  const auto configuration = recipe.configuration();
  std::vector<engine::Assignment> settings;
  for (const std::string& s : small()) settings.push_back({s.substr(0, s.find('=')), s.substr(s.find('=') + 1), "test"});
  settings.push_back({"model.heads", "2", "test"});
  engine::assign(configuration->table(), settings);
  const auto epoch = [&](std::int64_t batch_size, std::int64_t batches_per_step) {
    const auto bert = configuration->make({.seed = 1, .batch_size = batch_size, .batches_per_step = batches_per_step, .epochs = 1});
    return std::pair(bert->size(engine::Split::train), bert->samples_per_epoch());
  };
  const std::int64_t size = epoch(1, 1).first;
  ASSERT_GT(size, 4);
  EXPECT_EQ(epoch(3, 1).second, size / 3 * 3);
  EXPECT_EQ(epoch(2, 2).second, size / 4 * 4);
  EXPECT_EQ(epoch(size - 1, 1).second, size - 1);
  EXPECT_EQ(epoch(size + 1, 1).second, size) << "a step that takes more than there is";
}

TEST_F(BertProgram, KeepsWhatTheEnginePromises) {
  scratch.write("text.txt", tiny_text());
  for (const std::string kind : {"dynamic", "original"})
    prove({.settings = joined(small(), {"instances.kind=" + kind, "instances.dupe_factor=3", "train.epochs=12", "data.held_out=0.5"}),
           .steps = 8,
           .stops = {3, 4},
           .input = "the cat [MASK] on the mat\na storm took them ||| two ships left\n",
           .name = kind});
}

TEST_F(BertProgram, MicroBatchesAddUpToTheBatch) {
  const std::vector<std::string> options{"model.hidden_dropout=0", "model.attention_dropout=0", "train.max_steps=3",
                                         "instances.kind=original"};
  auto parts_options = options;
  parts_options.push_back("train.micro_batch_size=1");
  ASSERT_EQ(train("whole", options), engine::kOk) << err.str();
  ASSERT_EQ(train("parts", parts_options), engine::kOk) << err.str();
  const auto whole = tensors(checkpoint("whole")), parts = tensors(checkpoint("parts"));
  for (const auto& [name, values] : whole) {
    if (name.ends_with("key/bias") || !name.starts_with("/model")) continue;  // the key bias has no gradient but rounding
    for (std::size_t i = 0; i < values.size(); ++i) ASSERT_NEAR(parts.at(name)[i], values[i], 2e-4) << name;
  }
}

TEST_F(BertProgram, EvaluatesAndReportsBaselines) {
  ASSERT_EQ(train("run", {"train.epochs=2", "data.held_out=0.5"}), engine::kOk) << err.str();
  for (const std::string precision : {"f32", "bf16"}) {
    ASSERT_EQ(
        capstan(with_small({"evaluate", config, "--checkpoint", checkpoint("run")}, {"data.held_out=0.5", "train.precision=" + precision})),
        engine::kOk)
        << err.str();
    EXPECT_THAT(out.str(), HasSubstr("masked tokens of held-out text"));
    EXPECT_NEAR(std::log(metric("perplexity")), metric("masked_lm_loss"), 1e-3);
    EXPECT_GT(metric("baseline/perplexity"), 1);
    EXPECT_GE(metric("baseline/next_sentence_accuracy"), 0.5);
  }
  std::vector<std::string> bench{"bench", config, "--steps", "1", "--json", "bench.vocab_size=100"};
  for (const std::string positions : {"absolute", "relative_key_query"}) {
    ASSERT_EQ(capstan(with_small(bench, {"model.positions=" + positions})), engine::kOk) << err.str();
    EXPECT_THAT(out.str(), HasSubstr("\"flops_per_step\""));
  }
}

TEST_F(BertProgram, PreparesOnceAndAgainWhenSomethingChanges) {
  const std::string text = scratch.write("text.txt", tiny_text());
  const std::vector<std::string> prepare = with_small({"prepare", config});
  ASSERT_EQ(capstan(prepare), engine::kOk) << err.str();
  EXPECT_THAT(out.str(), HasSubstr("tokens learned from"));
  EXPECT_THAT(out.str(), HasSubstr("train.corpus: 3 documents, 11 sentences"));
  EXPECT_THAT(out.str(), HasSubstr("instances an epoch"));
  ASSERT_EQ(capstan(prepare), engine::kOk) << err.str();
  EXPECT_THAT(out.str(), HasSubstr("was up to date"));

  scratch.write("text.txt", tiny_text() + "\nsomething new\nand more of it\n");
  ASSERT_EQ(capstan(prepare), engine::kOk) << err.str();
  EXPECT_THAT(out.str(), HasSubstr("train.corpus: 4 documents"));
  ASSERT_EQ(capstan(with_small({"prepare", config}, {"data.lower_case=no"})), engine::kOk) << err.str();
  EXPECT_THAT(out.str(), HasSubstr("tokens learned from"));

  // A vocabulary of one's own, and the prepared directory without its texts.
  const std::string vocabulary = scratch.write("v.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\ncat\nbird\nrain\nwine\n");
  ASSERT_EQ(capstan(with_small({"prepare", config}, {"data.vocabulary=" + vocabulary, "instances.kind=original"})), engine::kOk)
      << err.str();
  EXPECT_THAT(out.str(), HasSubstr("10 tokens of "));
  EXPECT_TRUE(fs::exists(scratch / "prepared/instances-00000-of-00001.h5"));
  fs::remove(text);
  ASSERT_EQ(train("moved", {"data.train=", "instances.kind=original", "train.max_steps=1"}), engine::kOk) << err.str();
}

std::string artifact(const std::string& checkpoint, const std::string& name) {
  return engine::tensor_text(data::Hdf5Reader(checkpoint).read("/artifacts/" + name));
}

const char* const kMixedCase = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\nThe\ncat\nbird\nrain\nwine\n";

TEST_F(BertProgram, PreparedDataSayHowTheirTextWasCut) {
  scratch.write("text.txt", "The cat\nthe bird\nThe rain\n\nthe wine\nThe bird\nThe cat\n");
  const std::vector<std::string> common{"data.vocabulary=" + scratch.write("v.txt", kMixedCase), "data.held_out=0", "train.max_steps=1",
                                        "instances.kind=original", "instances.dupe_factor=3"};
  ASSERT_EQ(capstan(joined(with_small({"prepare", config}, common), {"data.lower_case=no", "data.tokenizer=hf_slow"})), engine::kOk)
      << err.str();
  ASSERT_EQ(train("moved", joined(common, {"data.train="})), engine::kOk) << err.str();
  EXPECT_EQ(artifact(checkpoint("moved"), "lower_case"), "no");
  EXPECT_EQ(artifact(checkpoint("moved"), "tokenizer"), "hf_slow");
  // Instances that were made with other options, and a record that says nothing.
  EXPECT_EQ(train("bad", joined(common, {"data.train=", "instances.dupe_factor=4"})), engine::kUsage);
  EXPECT_THAT(err.str(), ::testing::AllOf(HasSubstr("passes 3"), HasSubstr("passes 4")));
  scratch.write("prepared/prepared.txt", "something else\n");
  EXPECT_EQ(train("bad", joined(common, {"data.train="})), engine::kData);
  EXPECT_THAT(err.str(), HasSubstr("prepared.txt: this is not a record of prepared data"));
  // A checkpoint meets the same vocabulary over text that was cut in another way.
  const auto evaluate = with_small({"evaluate", config, "--checkpoint", checkpoint("moved")}, common);
  EXPECT_EQ(capstan(evaluate), engine::kData);
  EXPECT_THAT(err.str(), HasSubstr("evaluate prepares nothing: run `capstan prepare` first"));
  ASSERT_EQ(capstan(with_small({"prepare", config}, common)), engine::kOk) << err.str();
  EXPECT_EQ(capstan(evaluate), engine::kUsage);
  EXPECT_THAT(err.str(), HasSubstr("data.lower_case yes and no, data.tokenizer google and hf_slow"));
}

TEST_F(BertProgram, SaysWhatItRead) {
  fs::create_directories(scratch / "texts/inside");
  scratch.write("texts/a.txt", tiny_text() + "caf\xE9 au lait\n\n");
  scratch.write("texts/b.jpg", "\xFF\xD8\xFF\xE0");
  scratch.write("texts/c.txt.xz", std::string("\xFD\x37zXZ\0\0\x04", 8));
  const std::vector<std::string> of_folder{"data.train=" + scratch / "texts", "data.vocab_size=40", "data.held_out=0"};
  for (int run = 0; run < 2; ++run) {  // made, and up to date
    ASSERT_EQ(capstan(with_small({"prepare", config}, of_folder)), engine::kOk) << err.str();
    EXPECT_THAT(out.str(), HasSubstr("left out    2 files of " + scratch / "texts that are no text"));
    EXPECT_THAT(out.str(), HasSubstr("left out    1 folders within " + scratch / "texts: they are not entered"));
    EXPECT_THAT(out.str(), HasSubstr("warning: data.train: " + scratch / "texts/b.jpg is left out: it is a JPEG picture"));
    EXPECT_THAT(out.str(), HasSubstr("c.txt.xz is left out: it is an xz file; unpack it by xz -d"));
    EXPECT_THAT(out.str(), HasSubstr("a.txt: 1 line is not UTF-8, it is line 15 (byte 0xe9)"));
    EXPECT_THAT(out.str(), HasSubstr("read as sentences, 3 documents, 13 sentences, "));
  }
  fs::remove(scratch / "texts/a.txt");
  EXPECT_EQ(capstan(with_small({"prepare", config}, of_folder)), engine::kData);
  EXPECT_THAT(err.str(), HasSubstr("texts: the directory holds no file, expected text files; 2 files there are something else"));
  EXPECT_EQ(capstan(with_small({"prepare", config}, {"data.train=" + scratch / "texts/b.jpg"})), engine::kData);
  EXPECT_THAT(err.str(), HasSubstr("data.train: " + scratch / "texts/b.jpg: is a JPEG picture"));
  // A vocabulary that lacks the words, and sentences that no instance has room for.
  const std::string vocabulary = "data.vocabulary=" + scratch.write("v.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\n");
  scratch.write("text.txt", "the the the the the the the the the the the the the the the cat\n");
  ASSERT_EQ(capstan(with_small({"prepare", config}, {vocabulary, "data.held_out=0"})), engine::kOk) << err.str();
  EXPECT_THAT(out.str(), HasSubstr("[UNK] is 6.2 % of it"));
  EXPECT_THAT(out.str(), HasSubstr("warning: 6.2 % of the training tokens are [UNK]"));
  EXPECT_THAT(out.str(), HasSubstr("warning: 37.5 % of the training tokens are rarely or never used"));
}

TEST_F(BertProgram, MasksTheWordsOfASegmentation) {
  const std::string words = "\u6211\u4eec \u7231 \u6563\u6b65 \u3002\n", letters = "\u6211\u4eec\u7231\u6563\u6b65\u3002\n";
  const auto prepared = [&](const std::string& text) {
    scratch.write("text.txt", text);
    EXPECT_EQ(capstan(with_small({"prepare", config}, {"data.held_out=0", "instances.whole_words=yes"})), engine::kOk) << err.str();
    return out.str();
  };
  EXPECT_THAT(prepared(words), HasSubstr("words       33.3 % of the tokens go on with a word"));
  EXPECT_THAT(prepared(letters), HasSubstr("warning: instances.whole_words: 83.3 % of the tokens are ideographs and each is a word"));
}

TEST_F(BertProgram, TakesAccentsOffApartFromCapitals) {
  scratch.write("text.txt", "\u00c9t\u00e9\n");
  const auto pieces = [&](const std::vector<std::string>& options) {
    EXPECT_EQ(capstan(with_small({"prepare", config}, joined({"data.held_out=0"}, options))), engine::kOk) << err.str();
    const auto bytes = data::read_file(scratch / "prepared/vocab.txt");
    const std::string all(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return all.substr(all.find("[MASK]\n") + 7);
  };
  EXPECT_EQ(pieces({"data.strip_accents=no"}), "t\n\u00e9\n##t\n##\u00e9\n");
  EXPECT_EQ(pieces({"data.lower_case=no", "data.strip_accents=yes"}), "E\ne\nt\n##E\n##e\n##t\n");
  ASSERT_EQ(train("run", {"data.strip_accents=no", "train.max_steps=1"}), engine::kOk) << err.str();
  EXPECT_EQ(artifact(checkpoint("run"), "strip_accents"), "no");
  ASSERT_TRUE(text::tokenizer_of({{"strip_accents", engine::text_tensor("no")}}).strip_accents.has_value());
}

TEST_F(BertProgram, TrainsWithoutPairs) {
  ASSERT_EQ(train("run", {"instances.next_sentence=no", "train.epochs=2", "data.held_out=0.5"}), engine::kOk) << err.str();
  ASSERT_EQ(
      capstan(with_small({"evaluate", config, "--checkpoint", checkpoint("run")}, {"instances.next_sentence=no", "data.held_out=0.5"})),
      engine::kOk)
      << err.str();
  EXPECT_THAT(out.str(), HasSubstr("masked_lm_loss"));
  EXPECT_THAT(out.str(), ::testing::Not(HasSubstr("next_sentence")));
  EXPECT_THAT(out.str(), ::testing::Not(HasSubstr("nan")));
}

TEST_F(BertProgram, TheTokenizerGoesWithTheCheckpoint) {
  using text::tokenizer_of;
  EXPECT_EQ(tokenizer_of({}).variant, data::TokenizerVariant::google);
  EXPECT_TRUE(tokenizer_of({}).lower_case);
  EXPECT_THROW(tokenizer_of({{"tokenizer", engine::text_tensor("other")}}), CheckpointError);
  const std::string vocabulary = "data.vocabulary=" + scratch.write("v.txt", kMixedCase);
  for (const std::string name : {"google", "hf_slow", "hf_fast"}) {
    ASSERT_EQ(train(name, {vocabulary, "data.tokenizer=" + name, "train.max_steps=1"}), engine::kOk) << err.str();
    EXPECT_EQ(artifact(checkpoint(name), "tokenizer"), name);
    // Characters for private use: HF drops them.
    ASSERT_EQ(capstan(with_small({"predict", config, "--checkpoint", checkpoint(name), "--input", "-", "--output", "-"},
                                 {"predict.task=features", "predict.layers=-1"}),
                      "c\ue000at\n"),
              engine::kOk)
        << err.str();
    EXPECT_THAT(out.str(), HasSubstr(name == "google" ? "\"token\":\"[UNK]\"" : "\"token\":\"cat\""));
  }
  EXPECT_EQ(train("bad", {"data.tokenizer=hf"}), engine::kUsage);
}

TEST_F(BertProgram, InstancesAreReadByTheRowAndOnlyToTrain) {
  scratch.write("text.txt", tiny_text());
  const std::vector<std::string> original{"instances.kind=original", "instances.dupe_factor=3", "train.max_steps=1"};
  ASSERT_EQ(capstan(with_small({"prepare", config}, original)), engine::kOk) << err.str();
  const auto vocabulary = data::Vocabulary::load(scratch / "prepared/vocab.txt");
  const std::vector<data::Instance> impossible(8, masked_lm::instance({2, 5, 3, 6, 3}, 0, false, {1}, {7}));
  data::write_instances(scratch / "prepared/instances-00000-of-00001.h5", impossible, {.max_seq_length = 24, .max_predictions_per_seq = 4},
                        vocabulary);
  ASSERT_EQ(capstan(with_small({"prepare", config}, original)), engine::kOk) << err.str();
  EXPECT_THAT(out.str(), HasSubstr("8 instances an epoch"));
  EXPECT_EQ(train("bad", original), engine::kData);
  EXPECT_THAT(err.str(), HasSubstr("has impossible lengths, positions or ids"));
}

TEST_F(BertProgram, NoticesMissingFiles) {
  scratch.write("text.txt", tiny_text());
  const std::vector<std::string> more{"instances.kind=original", "instances.dupe_factor=3", "data.held_out=0.4", "train.max_steps=1"};
  const std::vector<std::string> prepare = with_small({"prepare", config}, more);
  ASSERT_EQ(capstan(prepare), engine::kOk) << err.str();
  for (const std::string name : {"instances-00000-of-00001.h5", "validation.corpus", "vocab.txt"}) {
    const std::string file = scratch / "prepared/" + name;
    fs::remove(file);
    EXPECT_EQ(train("bad", joined(more, {"data.train="})), engine::kData);
    EXPECT_THAT(err.str(), HasSubstr(file + ": is missing, but"));
    ASSERT_EQ(capstan(prepare), engine::kOk) << err.str();
    EXPECT_THAT(out.str(), HasSubstr(file + ": is missing, all is made anew"));
    EXPECT_TRUE(fs::exists(file));
    ASSERT_EQ(capstan(prepare), engine::kOk) << err.str();
    EXPECT_THAT(out.str(), HasSubstr("was up to date"));
  }
  // The first records did not list the files; their data serve on under the same digest.
  ASSERT_EQ(train("new", more), engine::kOk) << err.str();
  std::ifstream in(scratch / "prepared/prepared.txt");
  std::stringstream record;
  record << in.rdbuf();
  scratch.write("prepared/prepared.txt", record.str().substr(0, record.str().find("made\n")));
  ASSERT_EQ(train("old", joined(more, {"data.train="})), engine::kOk) << err.str();
  const auto digest = [&](const std::string& run) { return data::Hdf5Reader(checkpoint(run)).text("/meta", "data_digest"); };
  EXPECT_EQ(digest("old"), digest("new"));
  ASSERT_EQ(capstan(prepare), engine::kOk) << err.str();
  EXPECT_THAT(out.str(), HasSubstr("the first of 1 files of instances"));  // in chunks of few rows
}

TEST_F(BertProgram, HeldOutLinesWithoutASentence) {
  const auto with_text = [&](const std::string& form, const std::string& text) {
    return capstan(
        with_small({"prepare", config}, {"data.form=" + form, "data.held_out=0.5", "data.train=" + scratch.write("odd.txt", text)}));
  };
  const std::string feeds = "\f\n\f\n\f\n\f\n";
  for (const auto& [form, text] : {std::pair<std::string, std::string>{"prose", "The cat sat.\nIt saw.\nThe bird.\nIt flew.\n" + feeds},
                                   {"sentences", "the cat sat\nit saw\nthe bird\nit flew\n" + feeds},
                                   {"wikitext", " \n = Cats = \n \n Cats sleep . They eat . \n \n = = Food = = \n \n \n"}}) {
    ASSERT_EQ(with_text(form, text), engine::kOk) << form << ": " << err.str();
    for (const std::string name : {"validation", "test"}) {
      EXPECT_THAT(out.str(),
                  HasSubstr(name + ".corpus: is not made, what is held out holds no text: 1 files, the first is " + scratch / "odd.txt"));
      EXPECT_FALSE(fs::exists(scratch / "prepared/" + name + ".corpus"));
    }
  }
  EXPECT_EQ(with_text("prose", feeds + "The cat sat.\nIt saw.\nThe bird.\nIt flew.\n"), engine::kData);
  EXPECT_THAT(err.str(), HasSubstr(scratch / "odd.txt"));
  scratch.write("text.txt", tiny_text());
  EXPECT_EQ(capstan(with_small({"prepare", config}, {"data.validation=" + scratch.write("feeds.txt", feeds)})), engine::kData);
  EXPECT_THAT(err.str(), HasSubstr("data.validation holds no text: 1 files, the first is " + scratch / "feeds.txt"));
}

TEST_F(BertProgram, TailsOfDifferentFilesAreDifferentDocuments) {
  fs::create_directory(scratch / "texts");
  for (const std::string name : {"one", "two"}) {
    std::string lines;
    for (int i = 0; i < 20; ++i) lines += name + " has a line number " + std::to_string(i) + "\n";
    scratch.write("texts/" + name + ".txt", lines);
  }
  const auto documents = [&](const std::string& part) { return data::Corpus(scratch / "prepared/" + part + ".corpus").documents(); };
  for (const std::string form : {"sentences", "paragraphs"}) {
    const auto prepared = [&](const std::string& held_out) {
      return capstan(
          with_small({"prepare", config}, {"data.form=" + form, "data.held_out=" + held_out, "data.train=" + scratch / "texts"}));
    };
    ASSERT_EQ(prepared("0.4"), engine::kOk) << err.str();
    for (const std::string part : {"train", "validation", "test"}) EXPECT_EQ(documents(part), 2) << part;
    ASSERT_EQ(prepared("0"), engine::kOk) << err.str();
    EXPECT_EQ(documents("train"), 1) << "as create_pretraining_data: a file goes on with the document of the one before";
  }
}

TEST_F(BertProgram, ConfigurationsHaveThePublishedShapes) {
  struct Size {
    std::string name;
    int layers, width, heads;
    std::string parameters;
  };
  for (const Size& s :
       {Size{"tiny", 2, 128, 2, "4,385,920"}, Size{"mini", 4, 256, 4, "11,170,560"}, Size{"small", 4, 512, 8, "28,763,648"},
        Size{"medium", 8, 512, 8, "41,373,184"}, Size{"base", 12, 768, 12, "109,482,240"}, Size{"large", 24, 1024, 16, "335,141,888"}}) {
    const std::string file = folder + "/" + s.name + ".cfg";
    ASSERT_EQ(capstan({"train", file, "--print-config"}), engine::kOk) << err.str();
    const std::string printed = out.str(), model = printed.substr(printed.find("[model]"));
    for (const auto& [key, value] : {std::pair<std::string, int>{"layers", s.layers},
                                     {"hidden_size", s.width},
                                     {"heads", s.heads},
                                     {"intermediate_size", 4 * s.width},
                                     {"max_positions", 512},
                                     {"token_types", 2}})
      EXPECT_THAT(model, ::testing::ContainsRegex("\n" + key + " = " + std::to_string(value) + "[ \n]")) << s.name;
    EXPECT_THAT(model, ::testing::ContainsRegex("\nactivation = gelu[ \n]")) << s.name;
    EXPECT_THAT(model, ::testing::ContainsRegex("\npositions = absolute[ \n]")) << s.name;
    EXPECT_THAT(printed, ::testing::ContainsRegex("\nvocab_size = 30522[ \n]")) << s.name;
    std::ifstream in(file);
    std::stringstream text;
    text << in.rdbuf();
    EXPECT_THAT(text.str(), HasSubstr("\n# " + s.parameters + " parameters in encoder and pooler")) << s.name;
  }
}

TEST_F(BertProgram, SplitsWikiTextIntoArticles) {
  scratch.write("wiki.txt",
                " \n = Cats = \n \n Cats <unk> well @-@ known . They sleep . \n \n = = Food = = \n \n They eat fish . \n"
                " \n = Ships = \n \n Ships sail . Some sink . \n");
  ASSERT_EQ(capstan(with_small({"prepare", config}, {"data.form=wikitext", "data.train=" + scratch / "wiki.txt", "data.held_out=0"})),
            engine::kOk)
      << err.str();
  EXPECT_THAT(out.str(), HasSubstr("train.corpus: 2 documents, 5 sentences"));
  EXPECT_THAT(out.str(), HasSubstr("1 of them [UNK]"));
  std::ifstream vocabulary(scratch / "prepared/vocab.txt");
  std::stringstream all;
  all << vocabulary.rdbuf();
  EXPECT_THAT(all.str(), ::testing::Not(HasSubstr("<"))) << "the learner does not see <unk>";
  EXPECT_FALSE(fs::exists(scratch / "prepared/validation.corpus"));
}

TEST_F(BertProgram, HoldsOutTheEndOfEveryFile) {
  fs::create_directory(scratch / "texts");
  std::string many;
  for (int i = 0; i < 40; ++i) many += "sentence number " + std::to_string(i) + "\n";
  scratch.write("texts/one.txt", many);
  scratch.write("texts/two.txt", many);
  scratch.write("texts/.hidden", "not this one\n");
  ASSERT_EQ(capstan(with_small({"prepare", config}, {"data.train=" + scratch / "texts", "data.held_out=0.2", "data.form=prose"})),
            engine::kOk)
      << err.str();
  const auto sentences = [&](const std::string& part) { return data::Corpus(scratch / "prepared/" + part + ".corpus").documents(); };
  EXPECT_EQ(sentences("train"), 2);
  EXPECT_EQ(sentences("validation"), 2);
  EXPECT_EQ(sentences("test"), 2);
}

TEST_F(BertProgram, SaysWhatIsWrong) {
  scratch.write("text.txt", tiny_text());
  EXPECT_EQ(train("bad", {"data.train=/nowhere/at.all"}), engine::kIo);
  EXPECT_THAT(err.str(), HasSubstr("/nowhere/at.all"));
  EXPECT_EQ(train("bad", {"data.train=" + scratch.write("empty.txt", "")}), engine::kData);
  EXPECT_THAT(err.str(), HasSubstr("data.train holds no text"));
  fs::create_directory(scratch / "nothing");
  EXPECT_EQ(train("bad", {"data.train=" + scratch / "nothing"}), engine::kData);
  EXPECT_THAT(err.str(), HasSubstr("the directory holds no file"));
  EXPECT_EQ(train("bad", {"data.train=", "data.prepared=" + scratch / "new"}), engine::kUsage);
  EXPECT_THAT(err.str(), HasSubstr("data.train must name text files"));
  EXPECT_EQ(train("bad", {"data.prepared="}), engine::kUsage);
  EXPECT_THAT(err.str(), HasSubstr("data.prepared must name the directory"));
  EXPECT_EQ(train("bad", {"data.vocab_size=33", "data.alphabet=1000"}), engine::kUsage);  // smaller than the alphabet
  EXPECT_EQ(train("bad", {"data.vocabulary=" + scratch.write("v.txt", "the\ncat\n")}), engine::kData);
  EXPECT_THAT(err.str(), HasSubstr("[UNK]"));
  for (const std::string kind : {"dynamic", "original"}) {
    const std::string no_padding = scratch.write("v.txt", "[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\ncat\n");
    EXPECT_EQ(train("bad", {"data.vocabulary=" + no_padding, "data.prepared=" + scratch / "none", "instances.kind=" + kind}),
              engine::kData);
    EXPECT_THAT(err.str(), HasSubstr(no_padding + ": the vocabulary of 6 tokens has no '[PAD]'"));
    EXPECT_FALSE(fs::exists(scratch / "none"));
  }
  EXPECT_EQ(train("bad", {"instances.max_length=65"}), engine::kUsage);
  EXPECT_THAT(err.str(), HasSubstr("must not exceed model.max_positions, got 65 and 64"));
  EXPECT_EQ(train("bad", {"model.heads=3"}), engine::kUsage);
  EXPECT_EQ(train("bad", {"schedule.warmup_steps=100000"}), engine::kUsage);
  EXPECT_THAT(err.str(), HasSubstr("the warm-up must end before the schedule does, got 100000 of"));
  EXPECT_EQ(train("bad", {"model.hiden_size=8"}), engine::kUsage);
  EXPECT_THAT(err.str(), HasSubstr("model.hidden_size"));
  // A checkpoint meets data with another vocabulary.
  ASSERT_EQ(train("good", {"train.max_steps=1"}), engine::kOk) << err.str();
  const std::string file = checkpoint("good");
  ASSERT_EQ(capstan(with_small({"prepare", config}, {"data.vocab_size=80", "data.held_out=0.5"})), engine::kOk) << err.str();
  EXPECT_EQ(capstan(with_small({"evaluate", config, "--checkpoint", file}, {"data.held_out=0.5"})), engine::kUsage);
  EXPECT_THAT(err.str(), HasSubstr("data.held_out = 0.5 (command line), the checkpoint has 0.1"));
  EXPECT_EQ(capstan(with_small({"evaluate", config, "--checkpoint", file}, {"data.train="})), engine::kData);
  EXPECT_THAT(err.str(), HasSubstr("another vocabulary than the checkpoint's"));
  ASSERT_EQ(train("alone", {"train.max_steps=1", "data.held_out=0"}), engine::kOk) << err.str();
  EXPECT_EQ(capstan(with_small({"evaluate", config, "--checkpoint", checkpoint("alone")}, {"data.held_out=0"})), engine::kData);
  EXPECT_THAT(err.str(), HasSubstr("there is no test part to evaluate on"));
}

TEST(BertSchedule, BothFormsOfTheOriginalAndItsPorts) {
  using engine::ScheduleKind;
  const engine::ScheduleOptions google{.kind = ScheduleKind::google, .warmup_steps = 10};
  const auto rate = [](const engine::ScheduleOptions& options, std::int64_t steps) {
    return engine::make_schedule(options, 5e-5, 1, steps);
  };
  const auto g = rate(google, 100), l = rate({.kind = ScheduleKind::linear, .warmup_steps = 10}, 100),
             s = rate({.kind = ScheduleKind::google, .warmup_share = 0.1}, 100);
  EXPECT_EQ(g(0), 0);
  EXPECT_NEAR(g(10), 4.5e-5, 1e-15);
  EXPECT_NEAR(l(10), 5e-5, 1e-15);
  EXPECT_NEAR(l(11), 4.9444444e-5, 1e-12);
  EXPECT_NEAR(g(99), 5e-7, 1e-15);
  EXPECT_EQ(g(150), 0);
  for (const int step : {1, 9, 10, 50}) EXPECT_EQ(s(step), g(step));
  EXPECT_THROW(rate(google, 10), ConfigError);
}

}  // namespace
}  // namespace capstan::bert
