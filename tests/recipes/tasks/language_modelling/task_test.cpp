// Windows, vocabularies, evaluation and writing of the language-modelling task, with a model small enough to be worked out by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <vector>

#include "autograd/core/rng.h"
#include "autograd/ops/shape_ops.h"
#include "recipes/tasks/language_modelling/evaluation.h"
#include "recipes/tasks/language_modelling/text_stream.h"
#include "recipes/tasks/language_modelling/windows.h"
#include "recipes/tasks/language_modelling/writer.h"

namespace capstan::language_modelling {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Windows, OfAnEpochLieSideBySide) {
  for (const std::int64_t tokens : {9, 16, 17, 100, 1000}) {
    const TrainingWindows windows(tokens, 8, 5);
    std::vector<std::int64_t> offsets;
    for (std::int64_t epoch = 0; epoch < 200; ++epoch) {
      std::vector<int> predicted(static_cast<std::size_t>(tokens));
      for (std::int64_t i = 0; i < windows.count(); ++i) {
        const Window w = windows.at(epoch, i);
        ASSERT_EQ(w.length, 8);
        for (std::int64_t t = w.begin + 1; t <= w.begin + w.length; ++t) ++predicted.at(static_cast<std::size_t>(t));
      }
      EXPECT_EQ(std::ranges::count(predicted, 1), windows.count() * 8) << "no token twice";
      EXPECT_LE(tokens - windows.count() * 8, 16) << "all but the ends";
      offsets.push_back(windows.offset(epoch));
      EXPECT_EQ(windows.offset(epoch), TrainingWindows(tokens, 8, 5).offset(epoch));
    }
    std::ranges::sort(offsets);
    EXPECT_EQ(offsets.front(), 0);
    EXPECT_EQ(offsets.back(), std::min<std::int64_t>(7, tokens - 1 - windows.count() * 8)) << "epochs are cut differently";
  }
}

TEST(Windows, ThatSlideScoreEachTokenOnce) {
  for (const std::int64_t tokens : {2, 8, 9, 10, 57})
    for (const std::int64_t stride : {1, 3, 4, 8}) {
      const SlidingWindows windows(tokens, 8, stride);
      std::vector<int> scored(static_cast<std::size_t>(tokens));
      for (std::int64_t i = 0; i < windows.count(); ++i) {
        const Window w = windows.at(i);
        EXPECT_GT(w.length, w.skipped) << "a window without a new token";
        for (std::int64_t t = w.skipped; t < w.length; ++t) ++scored.at(static_cast<std::size_t>(w.begin + t + 1));
      }
      EXPECT_EQ(scored[0], 0);
      EXPECT_EQ(std::ranges::count(scored, 1), tokens - 1) << tokens << " by " << stride;
    }
}

constexpr std::int64_t kVocabulary = 7, kWidth = 3;

Tensor table(std::uint64_t seed) {
  const Tensor t(Shape{kVocabulary, kWidth}, DType::f32);
  Rng rng(random_key(seed, "table"));
  for (float& v : t.span<float>()) v = static_cast<float>(rng.uniform(-2, 2));
  return t;
}

/// The mean of the vectors of what stands in a window up to a token: its logits depend on where the window begins.
std::vector<float> mean_vector(const Tensor& e, std::span<const std::int64_t> tokens) {
  std::vector<float> h(kWidth);
  for (const std::int64_t t : tokens)
    for (std::int64_t c = 0; c < kWidth; ++c)
      h[static_cast<std::size_t>(c)] += e.data<const float>()[t * kWidth + c] / static_cast<float>(tokens.size());
  return h;
}

TEST(Evaluation, BySlidingWindowIsThatOfEachTokenAlone) {
  nn::ParameterStore store(1);
  const Tensor e = table(1);
  const Parameter o = store.root().parameter("output", {kVocabulary, kWidth}, [](const Tensor& t, std::uint64_t) {
    std::ranges::copy(table(2).span<const float>(), t.span<float>().begin());
  });
  const Network network{.hidden =
                            [&](const Batch& batch, const nn::Run&) {
                              std::vector<float> all;
                              const std::int64_t length = batch.ids.size(1);
                              for (std::int64_t i = 0; i < batch.ids.numel(); ++i) {
                                const std::int64_t* const row = batch.ids.data<const std::int64_t>() + i / length * length;
                                const std::vector<float> h = mean_vector(e, std::span(row, static_cast<std::size_t>(i % length + 1)));
                                all.insert(all.end(), h.begin(), h.end());
                              }
                              const Tensor h = Tensor::from(all, {batch.ids.numel(), kWidth});
                              return batch.predicted.defined() ? index_select(h, 0, batch.predicted) : h;
                            },
                        .output_weight = o};
  Rng rng(random_key(3, "text"));
  std::vector<std::int32_t> text;
  for (int i = 0; i < 61; ++i) text.push_back(static_cast<std::int32_t>(rng.below(kVocabulary)));
  const std::vector<std::int64_t> tokens(text.begin(), text.end());
  for (const std::int64_t stride : {1, 3, 8}) {
    double nats = 0;
    int right = 0;
    for (std::int64_t i = 1; i < std::ssize(tokens); ++i) {
      const std::int64_t begin = i <= 8 ? 0 : (i - 8 + stride - 1) / stride * stride;  // of the first window that reaches it
      const std::vector<float> h =
          mean_vector(e, std::span(tokens).subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(i - begin)));
      std::vector<double> logits;
      for (std::int64_t v = 0; v < kVocabulary; ++v)
        logits.push_back(std::inner_product(h.begin(), h.end(), o.value().data<const float>() + v * kWidth, 0.0));
      double sum = 0;
      for (const double l : logits) sum += std::exp(l);
      nats += std::log(sum) - logits[static_cast<std::size_t>(tokens[static_cast<std::size_t>(i)])];
      right += std::ranges::max_element(logits) - logits.begin() == tokens[static_cast<std::size_t>(i)] ? 1 : 0;
    }
    Evaluation evaluation{.text = TextLoss(100, 20)};
    const SlidingWindows windows(std::ssize(text), 8, stride);
    for (std::int64_t first = 0; first < windows.count(); first += 4) {
      std::vector<Window> some;
      std::vector<std::int64_t> numbers;
      for (std::int64_t i = first; i < std::min(first + 4, windows.count()); ++i) {
        some.push_back(windows.at(i));
        numbers.push_back(i);
      }
      evaluate_batch(network, make_batch(text, some, numbers), evaluation, {});
    }
    const auto accumulators = evaluation.accumulators();
    const engine::Metrics metrics = engine::reported(accumulators);
    EXPECT_NEAR(engine::value_of(metrics, "loss"), nats / 60, 1e-5) << stride;
    EXPECT_NEAR(engine::value_of(metrics, "perplexity"), std::exp(nats / 60), 1e-4);
    EXPECT_NEAR(engine::value_of(metrics, "accuracy"), right / 60.0, 1e-6);
    EXPECT_NEAR(engine::value_of(metrics, "bits_per_byte"), nats / 100 / std::log(2.0), 1e-5);
    EXPECT_NEAR(engine::value_of(metrics, "word_perplexity"), std::exp(nats / 20), 1e-2);
  }
}

DataOptions with(TokenKind kind) {
  DataOptions data;
  data.tokens = kind;
  data.subwords.size = 40;
  return data;
}

constexpr std::string_view kText = "der Käse\nund die Grüße\n\nund das Öl der Käse und das\n";

TEST(Vocabularies, GiveBackTheTextAndLiveInACheckpoint) {
  for (const TokenKind kind : {TokenKind::byte, TokenKind::character, TokenKind::subword}) {
    const SharedVocabulary made = make_vocabulary(with(kind), kText);
    engine::NamedTensors artifacts;
    store(*made, artifacts);
    const SharedVocabulary v = of_artifacts(artifacts);
    ASSERT_NE(v, nullptr);
    EXPECT_EQ(v->kind(), made->kind());
    EXPECT_EQ(v->decode(v->encode(kText)), kText) << v->kind();
    std::vector<std::string> names = token_names(artifacts);
    EXPECT_EQ(std::ssize(names), v->size());
    std::ranges::sort(names);
    EXPECT_EQ(std::ranges::adjacent_find(names), names.end()) << "names are unique";
    EXPECT_EQ(v->decode(std::vector{v->line_end()}), "\n");
  }
  DataOptions bytes = with(TokenKind::subword);
  bytes.subwords.size = 300;
  bytes.subwords.byte_fallback = true;
  const SharedVocabulary v = make_vocabulary(bytes, kText);
  EXPECT_EQ(v->decode(v->encode("das 漢\n der\n")), "das 漢\nder\n") << "unknown characters as bytes; a blank before a line is lost";
  EXPECT_EQ(make_vocabulary(with(TokenKind::byte), "")->size(), 256);
  const SharedVocabulary characters = make_vocabulary(with(TokenKind::character), "ba\nä");
  EXPECT_EQ(characters->size(), 5);
  EXPECT_THAT(characters->encode("aäbx"), ElementsAre(2, 4, 3, 0));
}

TEST(Vocabularies, RefusePromptsTheyCannotRead) {
  const auto fault = [](TokenKind kind, std::string_view prompt) -> std::string {
    try {
      make_vocabulary(with(kind), kText)->encode_prompt(prompt);
    } catch (const DataError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(fault(TokenKind::character, "der Käse"), "");
  EXPECT_THAT(fault(TokenKind::character, "Käse?"), HasSubstr("the prompt has the character '?' (U+003F), which no token"));
  EXPECT_THAT(fault(TokenKind::subword, "der 漢"), HasSubstr("the character '漢' (U+6F22)"));
  for (const TokenKind kind : {TokenKind::byte, TokenKind::character, TokenKind::subword})
    EXPECT_THAT(fault(kind, "K\xC3s"), HasSubstr("the prompt is not UTF-8: its byte 2 is 0xC3"));
  EXPECT_EQ(fault(TokenKind::byte, "漢"), "");
}

std::vector<std::string> pieces(std::string_view text, const std::string& stop) {
  const SharedVocabulary bytes = make_vocabulary(with(TokenKind::byte), "");
  TextStream stream(*bytes, std::vector<std::int64_t>{'x'}, stop);
  std::vector<std::string> out;
  for (const char c : text) out.emplace_back(stream.add(static_cast<unsigned char>(c)));
  out.emplace_back(stream.finish());
  return out;
}

TEST(TextStreams, ShowWholeCharactersUpToTheStop) {
  EXPECT_THAT(pieces("é漢!", ""), ElementsAre("", "é", "", "", "漢", "!", ""));
  EXPECT_THAT(pieces("a\xE6z", ""), ElementsAre("a", "", "\uFFFDz", ""));
  EXPECT_THAT(pieces("\xFF\xE6", ""), ElementsAre("\uFFFD", "", "\uFFFD"));
  EXPECT_THAT(pieces("ab--c", "---"), ElementsAre("a", "b", "", "", "--c", ""));
  EXPECT_THAT(pieces("ab--", "---"), ElementsAre("a", "b", "", "", "--"));
  EXPECT_THAT(pieces("ab---c", "---"), ElementsAre("a", "b", "", "", "", "", ""));
}

/// Always writes the next byte of the alphabet, and remembers what its lines began with.
class Alphabet final : public nn::Decoder {
 public:
  Alphabet(const DecoderSize& size, std::vector<std::vector<std::int64_t>>* seen) : size_(size), seen_(seen) {}
  std::int64_t vocabulary() const override { return 256; }
  std::int64_t max_lines() const override { return size_.lines; }
  std::int64_t max_beams() const override { return size_.beams; }
  std::int64_t max_length() const override { return size_.max_length; }
  std::int64_t max_source() const override { return 0; }
  std::int64_t source_vocabulary() const override { return 0; }
  void begin(std::span<const Line> lines) override {
    for (const Line& line : lines) seen_->emplace_back(line.before.begin(), line.before.end());
  }
  std::span<float> step(std::span<const Row> rows) override {
    logits_.assign(rows.size() * 256, 0);
    for (std::size_t r = 0; r < rows.size(); ++r) {
      EXPECT_LT(rows[r].position, size_.max_length);
      logits_[r * 256 + static_cast<std::size_t>(rows[r].token == 'z' ? 'a' : rows[r].token + 1)] = 30;
    }
    return logits_;
  }

 private:
  DecoderSize size_;
  std::vector<std::vector<std::int64_t>>* seen_;
  std::vector<float> logits_;
};

struct WriterTest : testing::Test {
  std::vector<std::vector<std::int64_t>> seen;
  const Network network{.max_positions = 8, .decoder = [this](const DecoderSize& size) { return std::make_unique<Alphabet>(size, &seen); }};
  const SharedVocabulary bytes = make_vocabulary(with(TokenKind::byte), "");

  std::vector<std::string> written(const GenerationOptions& options, const std::vector<std::string>& prompts, std::int64_t lines = 2) {
    Writer writer(network, bytes, options, lines);
    std::vector<Prompt> given;
    for (const std::string& p : prompts) given.push_back({.tokens = writer.prompt(p), .number = std::ssize(given)});
    std::vector<std::string> out;
    for (const auto& best : writer(given)) out.push_back(best.front().text);
    return out;
  }
};

TEST_F(WriterTest, GoesOnBehindTheWindow) {
  GenerationOptions options;
  options.max_length = 20;
  EXPECT_THAT(written(options, {"abc", "k", "wxyz"}), ElementsAre("defghijklmnopqrstuvw", "lmnopqrstuvwxyzabcde", "abcdefghijklmnopqrst"));
  seen.clear();
  options.max_length = 12;
  EXPECT_THAT(written(options, {"abc"}), ElementsAre("defghijklmno"));
  // abc + 6 fill the window but for the last; then its last four, of which the last one is given to the first step, and 5 more.
  EXPECT_THAT(seen, ElementsAre(ElementsAre('a', 'b'), ElementsAre('f', 'g', 'h'), ElementsAre('k', 'l', 'm')));
}

TEST_F(WriterTest, EndsAtAStopAndWhereNobodyReads) {
  GenerationOptions options;
  options.stop = "hij";
  EXPECT_THAT(written(options, {"abc", "x"}), ElementsAre("defg", "yzabcdefg"));
  options.stop = "";
  Writer writer(network, bytes, options, 1);
  const Prompt prompt{.tokens = {'a'}};
  std::string shown;
  const auto two = [&](std::size_t, std::string_view text) { return (shown += text).size() < 2; };
  EXPECT_EQ(writer(std::span(&prompt, 1), two).front().front().text, "bc");
  EXPECT_EQ(shown, "bc");
  options.beams = 2;
  options.top_k = 1;
  options.max_length = 50;
  options.stop = "gh";
  EXPECT_THAT(written(options, {"cd"}), ElementsAre("ef")) << "a search of beams";
}

TEST_F(WriterTest, RefusesWhatDoesNotFitTheWindow) {
  EXPECT_THAT(written({}, {"abcdefgh"}).front(), HasSubstr("ijklm"));
  try {
    written({}, {"abcdefghi"});
    FAIL();
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("the prompt has 9 tokens, the model's window 8"));
  }
  EXPECT_EQ(written({}, {""}).front()[0], '\v') << "nothing stands for a line end";
}

}  // namespace
}  // namespace capstan::language_modelling
