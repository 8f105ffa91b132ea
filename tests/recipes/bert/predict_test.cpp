// A trained BERT in use: masks filled, pairs judged, features written, and lines that cannot be answered.
#include <cmath>

#include "data/hdf5/hdf5.h"
#include "data/json.h"
#include "data/npy.h"
#include "data/safetensors.h"
#include "data/text/unicode.h"
#include "tests/recipes/bert/fixtures.h"

namespace capstan::bert {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::StartsWith;

/// A model that has only begun to learn the tiny text: enough where nothing is asked that it must know.
struct BertPredict : BertProgram {
  std::string file, epochs = "2";
  void SetUp() override {
    static const data::Scratch shared;
    file = shared / ("model" + epochs + ".h5");
    if (std::filesystem::exists(file)) return;
    std::string vocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n";
    std::istringstream words(tiny_text());
    for (std::string word; words >> word;) vocabulary += word + "\n";
    ASSERT_EQ(train("run", {"data.vocabulary=" + scratch.write("v.txt", vocabulary), "data.held_out=0", "instances.kind=original",
                            "instances.dupe_factor=40", "train.epochs=" + epochs, "train.batch_size=16", "optimizer.learning_rate=0.0015",
                            "model.initializer_range=0.04", "model.hidden_dropout=0", "model.attention_dropout=0", "model.hidden_size=64",
                            "model.intermediate_size=128"}),
              engine::kOk)
        << err.str();
    std::filesystem::copy(checkpoint("run"), file);
  }
  int predict(const std::string& input, const std::vector<std::string>& more = {}) {
    std::vector<std::string> all{"model.hidden_size=64", "model.intermediate_size=128"};
    all.insert(all.end(), more.begin(), more.end());
    return capstan(with_small({"predict", config, "--checkpoint", file, "--input", "-", "--output", "-"}, all), input);
  }
};

/// A model that knows the tiny text by heart.
struct BertPredictByHeart : BertPredict {
  BertPredictByHeart() { epochs = "30"; }
};

TEST_F(BertPredictByHeart, FillsMasksJudgesPairsAndWritesFeatures) {
  ASSERT_EQ(predict("the cat sat on the [MASK] ||| it saw a [MASK] bird\r\n"
                    "two ships left the port ||| one carried salt and iron the other carried wine a storm took them both\n"
                    "Two ships left the PORT\train fell on the old town the river rose by night men built a wall\n",
                    {"predict.top=2"}),
            engine::kOk)
      << err.str();
  std::istringstream lines(out.str());
  std::string fill, next, random;
  std::getline(lines, fill);
  std::getline(lines, next);
  std::getline(lines, random);
  EXPECT_THAT(fill, MatchesRegex("the cat sat on the mat \\|\\|\\| it saw a [a-z]+ bird\t\\[MASK\\]\tmat\t[^\t]+\t[^\t]+\t[^\t]+"
                                 "\t\\[MASK\\]\t[a-z]+\t[^\t]+\t[^\t]+\t[^\t]+"));
  EXPECT_THAT(next, MatchesRegex("next\t(0\\.[5-9].*|1)"));
  EXPECT_THAT(random, MatchesRegex("random\t(0\\.[0-4].*|[0-9.]+e-.*)"));

  ASSERT_EQ(predict("rain fell on the \"old\" [MASK]\na ||| b\n", {"predict.format=jsonl", "predict.top=1"}), engine::kOk) << err.str();
  EXPECT_THAT(out.str(), StartsWith("{\"line\":1,\"text\":\"rain fell on the \\\"old\\\" "));
  EXPECT_THAT(out.str(), HasSubstr("\"masks\":[[{\"token\":\""));
  EXPECT_THAT(out.str(), HasSubstr("{\"line\":2,\"label\":\""));

  // Answers do not depend on how lines are computed together, nor on padding.
  const std::string text = "the cat [MASK] on the mat\nmen built a wall of [MASK]\nrain [MASK]\n";
  ASSERT_EQ(predict(text, {"predict.batch_size=1"}), engine::kOk);
  const std::string one_by_one = out.str();
  for (const char* form : {"model.packed=yes", "model.packed=no"}) {
    ASSERT_EQ(predict(text, {form}), engine::kOk);
    std::istringstream a(one_by_one), b(out.str());
    for (std::string x, y; std::getline(a, x) && std::getline(b, y);) EXPECT_EQ(x.substr(0, x.find('\t')), y.substr(0, y.find('\t')));
  }

  ASSERT_EQ(predict("the cat ||| a [MASK]\n\n", {"predict.task=features", "predict.layers=-1,-3", "predict.max_length=8"}), engine::kOk)
      << err.str();
  std::istringstream rows(out.str());
  std::string first, second;
  std::getline(rows, first);
  std::getline(rows, second);
  EXPECT_THAT(first, StartsWith("{\"linex_index\":0,\"features\":[{\"token\":\"[CLS]\",\"layers\":[{\"index\":-1,\"values\":["));
  EXPECT_THAT(first, HasSubstr("{\"index\":-3,\"values\":["));
  EXPECT_THAT(first, ::testing::Not(HasSubstr("[MASK]"))) << "extract_features knows no special tokens in text";
  EXPECT_THAT(second, StartsWith("{\"linex_index\":1,\"features\":[{\"token\":\"[CLS]\""));
  std::size_t tokens = 0, numbers = 0;
  for (auto at = first.find("\"token\""); at != std::string::npos; at = first.find("\"token\"", at + 1)) ++tokens;
  for (const char c : second.substr(0, second.find("]}"))) numbers += c == ',';
  EXPECT_EQ(tokens, 8u) << "three special tokens, and five of the text";
  EXPECT_GE(numbers, 63u);
}

TEST_F(BertPredict, WritesJsonWhateverALineHolds) {
  ASSERT_EQ(predict("the \xFF\xC3 [MASK] \xE2\x82\n", {"predict.format=jsonl", "predict.top=1"}), engine::kOk) << err.str();
  EXPECT_TRUE(data::unicode::is_valid_utf8(out.str()));
  EXPECT_THAT(out.str(), StartsWith("{\"line\":1,\"text\":\"the \uFFFD\uFFFD "));
}

TEST_F(BertPredict, KeepsSpecialTokensOfALine) {
  // A line with its own [CLS] and [SEP] is the pair that it says.
  const auto probabilities = [&](const std::string& line) {
    EXPECT_EQ(predict(line + "\n", {"predict.top=2"}), engine::kOk) << err.str();
    return out.str().substr(out.str().find('\t'));
  };
  const std::string pair = probabilities("the cat [MASK] on the mat ||| it saw");
  EXPECT_EQ(probabilities("[CLS] the cat [MASK] on the mat [SEP] it saw [SEP]"), pair);
  EXPECT_EQ(probabilities("[CLS] the cat [MASK] on the mat [SEP] it saw"), pair);
  EXPECT_NE(probabilities("the cat [MASK] on the mat it saw"), pair);
}

TEST_F(BertPredict, WritesAVectorForALine) {
  const auto values = [&](const std::string& vector) {
    EXPECT_EQ(predict("the cat\tsat\nmen ||| wine\n", {"predict.task=vectors", "predict.vector=" + vector}), engine::kOk) << err.str();
    std::vector<std::vector<double>> rows;
    std::istringstream lines(out.str());
    for (std::string line; std::getline(lines, line);) {
      std::istringstream columns(line);
      rows.emplace_back();
      for (double x = 0; columns >> x;) rows.back().push_back(x);
    }
    return rows;
  };
  const auto mean = values("mean"), cls = values("cls");
  ASSERT_EQ(mean.size(), 2u);
  ASSERT_EQ(cls[1].size(), 64u);
  ASSERT_EQ(mean[0].size(), 64u);
  // The same from the hidden states.
  ASSERT_EQ(predict("the cat\tsat\n", {"predict.task=features", "predict.layers=-1"}), engine::kOk) << err.str();
  double sum = 0;
  std::size_t tokens = 0;
  const std::string text = out.str(), start = "\"values\":[";
  for (auto at = text.find(start); at != std::string::npos; at = text.find(start, at + 1), ++tokens) {
    const double x = std::stod(text.substr(at + start.size(), 20));
    if (tokens == 0) {
      EXPECT_NEAR(cls[0][0], x, 2e-6);
    }
    sum += x;
  }
  ASSERT_EQ(tokens, 5u);
  EXPECT_NEAR(mean[0][0], sum / 5, 2e-6);
  ASSERT_EQ(predict("the cat\n", {"predict.task=vectors", "predict.format=jsonl"}), engine::kOk) << err.str();
  EXPECT_THAT(out.str(), MatchesRegex("\\{\"line\":1,\"vector\":\\[.*\\]\\}\n"));
}

TEST_F(BertPredict, WritesVectorsAsAnArray) {
  const std::string lines = "the cat sat\nmen built a wall of stone\n\n";
  const auto vectors = [&](const std::string& output, std::vector<std::string> more) {
    std::vector<std::string> all{"model.hidden_size=64", "model.intermediate_size=128"};
    all.insert(all.end(), more.begin(), more.end());
    return capstan(with_small({"predict", config, "--checkpoint", file, "--input", "-", "--output", output, "--what", "vectors"}, all),
                   lines);
  };
  // One by one from the hidden states, which features writes.
  ASSERT_EQ(predict(lines, {"predict.task=features", "predict.layers=-1"}), engine::kOk) << err.str();
  std::vector<std::vector<std::vector<double>>> hidden;  // line, token, column
  std::istringstream features(out.str());
  for (std::string line; std::getline(features, line);) {
    hidden.emplace_back();
    const data::Json json = data::parse_json(line, "features");
    for (const data::Json& token : json["features"].items()) {
      hidden.back().emplace_back();
      const std::vector<data::Json> layers = token["layers"].items();
      for (const data::Json& value : layers[0]["values"].items()) hidden.back().back().push_back(value.number());
    }
  }
  ASSERT_EQ(hidden.size(), 3u);
  const std::string npy = scratch / "v.npy", h5 = scratch / "v.h5";
  for (const std::string kind : {"mean", "max", "cls"}) {
    ASSERT_EQ(vectors(npy, {"predict.vector=" + kind}), engine::kOk) << err.str();
    EXPECT_EQ(out.str(), "");
    const Tensor rows = data::read_npy(npy);
    ASSERT_EQ(rows.shape(), (Shape{3, 64}));
    for (std::size_t i = 0; i < 3; ++i)
      for (std::size_t c = 0; c < 64; ++c) {
        double sum = 0, greatest = -1e9;
        for (const auto& token : hidden[i]) {
          sum += token[c];
          greatest = std::max(greatest, token[c]);
        }
        const double expected = kind == "mean" ? sum / static_cast<double>(hidden[i].size()) : kind == "max" ? greatest : hidden[i][0][c];
        ASSERT_NEAR(rows.to_vector()[i * 64 + c], expected, 2e-6) << kind << " " << i << " " << c;
      }
  }
  // HDF5 holds the same, and the norm is 1 where it is asked for.
  ASSERT_EQ(vectors(h5, {"predict.vector=pooled", "predict.normalize=yes"}), engine::kOk) << err.str();
  ASSERT_EQ(vectors(npy, {"predict.vector=pooled"}), engine::kOk) << err.str();
  const std::vector<double> unit = data::Hdf5Reader(h5).read("/vectors").to_vector(), pooled = data::read_npy(npy).to_vector();
  ASSERT_EQ(unit.size(), 3 * 64u);
  for (std::size_t i = 0; i < 3; ++i) {
    double norm = 0, squares = 0;
    for (std::size_t c = 0; c < 64; ++c) {
      EXPECT_LT(std::abs(pooled[i * 64 + c]), 1) << "a tanh";
      norm += pooled[i * 64 + c] * pooled[i * 64 + c];
      squares += unit[i * 64 + c] * unit[i * 64 + c];
    }
    EXPECT_NEAR(squares, 1, 1e-6);
    for (std::size_t c = 0; c < 64; ++c) EXPECT_NEAR(unit[i * 64 + c], pooled[i * 64 + c] / std::sqrt(norm), 1e-6);
  }
  // What is not in numbers is refused before anything is written, and so is what is no file.
  const auto refused = [&](const std::string& output, const std::vector<std::string>& more) {
    EXPECT_EQ(vectors(output, more), engine::kUsage) << output;
    return err.str();
  };
  EXPECT_THAT(refused(npy, {"predict.format=jsonl"}), HasSubstr("predict.format = jsonl does not fit --output "));
  EXPECT_THAT(refused("-", {"predict.format=npy"}), HasSubstr("predict.format = npy needs --output FILE"));
  EXPECT_EQ(vectors("/dev/null", {"predict.format=npy"}), engine::kIo);
  EXPECT_EQ(predict("the [MASK]\n", {"predict.format=jsonl"}), engine::kOk);
  EXPECT_EQ(capstan(with_small({"predict", config, "--checkpoint", file, "--input", "-", "--output", npy},
                               {"model.hidden_size=64", "model.intermediate_size=128"}),
                    lines),
            engine::kUsage);
  EXPECT_THAT(err.str(), HasSubstr("npy and hdf5 hold rows of numbers, but the answers of bert with predict.task = auto are text"));
  EXPECT_EQ(predict("the [MASK]\n", {"--what", "vector"}), engine::kUsage);
  EXPECT_THAT(err.str(), HasSubstr("predict.task"));
  EXPECT_EQ(data::read_npy(npy).to_vector(), pooled) << "the file that was there stays";
}

// A masked language model of transformers has neither a pooler nor the head of pairs.
TEST_F(BertProgram, AModelAnswersWhatItHasTheHeadFor) {
  const std::string golden = std::string(CAPSTAN_SOURCE_DIR) + "/tests/goldens/foreign/bert_pretraining", model = scratch / "model";
  std::filesystem::copy(golden, model);
  std::vector<data::NamedTensor> kept;
  {
    const data::SafetensorsSet file(golden + "/model.safetensors");
    for (const auto& [name, spec] : file.tensors())
      if (!name.starts_with("bert.pooler") && !name.starts_with("cls.seq_relationship")) kept.push_back({name, file.read(name)});
  }
  data::write_safetensors(model + "/model.safetensors", kept);
  const auto predicts = [&](const Arguments& settings) {
    return capstan(joined({"predict", "--checkpoint", model, "--input", "-", "--output", "-"}, settings), "a [MASK] cafe\n");
  };
  EXPECT_EQ(predicts({"predict.task=fill"}), engine::kOk) << err.str();
  EXPECT_EQ(predicts({"predict.task=vectors"}), engine::kOk) << err.str();
  EXPECT_EQ(predicts({"predict.task=features", "predict.layers=-1"}), engine::kOk) << err.str();
  EXPECT_EQ(predicts({"predict.task=next_sentence"}), engine::kBadCheckpoint);
  EXPECT_EQ(predicts({"predict.task=vectors", "predict.vector=pooled"}), engine::kBadCheckpoint);
  EXPECT_THAT(err.str(), AllOf(HasSubstr("lacks a head"), HasSubstr("bert/pooler/dense/weight"), Not(HasSubstr("seq_relationship"))));
  EXPECT_EQ(predicts({}), engine::kBadCheckpoint) << "which answer is wanted depends on the line";
}

TEST_F(BertPredict, FeaturesTakeATabForWhiteSpace) {
  const auto tokens = [&](const std::string& line) {
    EXPECT_EQ(predict(line + "\n", {"predict.task=features", "predict.layers=-1"}), engine::kOk) << err.str();
    std::string all;
    for (auto at = out.str().find("\"token\":\""); at != std::string::npos; at = out.str().find("\"token\":\"", at + 1))
      all += out.str().substr(at + 9, out.str().find('"', at + 9) - at - 9) + " ";
    return all;
  };
  EXPECT_EQ(tokens("the cat\tsat"), "[CLS] the cat sat [SEP] ");
  EXPECT_EQ(tokens("the cat\tsat ||| it"), "[CLS] the cat sat [SEP] it [SEP] ");
}

TEST_F(BertPredict, ALineWithoutAnAnswerCostsNoOther) {
  EXPECT_EQ(predict("the cat [MASK] on the mat\na ||| b\nno mask\nthe [MASK]\n\n", {"predict.top=1"}), engine::kOk);
  EXPECT_THAT(out.str(), MatchesRegex("the cat [a-z]+ on the mat\t[^\n]*\n(next|random)\t[^\n]*\nno mask\t-\tline 3: found 'no mask', "
                                      "expected[^\n]*\nthe [^\n]*\n\t-\tline 5: [^\n]*\n"));
  EXPECT_THAT(err.str(), HasSubstr("2 of 5 lines could not be answered, the first: line 3: found 'no mask', expected"));
}

TEST_F(BertPredict, QuotesOnlyTheBeginningOfALine) {
  std::string start, rest(100'000, 'x');
  for (int i = 0; i < 60; ++i) start += "\u00e9";
  for (const std::string task : {"auto", "next_sentence", "fill"}) {
    EXPECT_EQ(predict(start + rest + "\n", {"predict.task=" + task}), engine::kData);
    EXPECT_THAT(err.str(), HasSubstr("'" + start + "...'")) << task;
    EXPECT_LT(err.str().size(), 500u);
    EXPECT_EQ(predict("a \xFF\n", {"predict.task=" + task}), engine::kData);
    EXPECT_THAT(err.str(), HasSubstr("'a \uFFFD'")) << task;
  }
}

TEST_F(BertPredict, NamesTheLineThatItCannotAnswer) {
  EXPECT_EQ(predict("a ||| b\nno mask and no pair\n"), engine::kOk);
  EXPECT_THAT(err.str(), HasSubstr("line 2: found 'no mask and no pair', expected two texts"));
  EXPECT_EQ(predict("nothing hidden\n", {"predict.task=fill"}), engine::kData);
  EXPECT_THAT(err.str(), HasSubstr("line 1: there is no [MASK] to fill"));
  std::string text = "[MASK]";
  for (int i = 0; i < 80; ++i) text += " the";
  EXPECT_EQ(predict(text + "\n"), engine::kData);
  EXPECT_THAT(err.str(), HasSubstr("line 1: the text has 81 tokens, the model reads 62"));
  ASSERT_EQ(predict(text + "\n", {"predict.task=features", "predict.layers=-1"}), engine::kOk) << err.str();
  EXPECT_EQ(predict("", {}), engine::kOk);
  EXPECT_EQ(out.str(), "");
  EXPECT_EQ(predict("x\n", {"predict.task=features", "predict.layers=-9"}), engine::kUsage);
}

}  // namespace
}  // namespace capstan::bert
