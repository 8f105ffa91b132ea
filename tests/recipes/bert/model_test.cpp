// The BERT network against numbers computed by hand, against PyTorch, and against itself in its two forms.
#include "recipes/bert/model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "autograd/ops/elementwise.h"
#include "autograd/ops/shape_ops.h"
#include "autograd/tape/tape.h"
#include "optim/adam.h"
#include "optim/clip.h"
#include "tests/nn/golden.h"
#include "tests/recipes/bert/fixtures.h"

namespace capstan::bert {
namespace {

using nn::Golden;

double sum_of(const std::vector<double>& v, bool absolute = false) {
  double sum = 0;
  for (const double x : v) sum += absolute ? std::abs(x) : x;
  return sum;
}

/// The two means that the released code reports.
struct Means {
  double masked_lm, next_sentence;
};
Means means(const Model::Losses& losses, const Batch& batch) {
  return {losses.masked_lm.item() / (static_cast<double>(batch.predictions()) + 1e-5),
          losses.next_sentence.item() / static_cast<double>(batch.sequences)};
}

struct Expected {
  Activation activation;
  double masked_lm, next_sentence, norm, total_after_a_step;
};

TEST(BertModel, ComputesTheWorkedExample) {
  for (const Expected& expected : {Expected{Activation::gelu, 3.163678, .704519, 2.715938, 2.957177},
                                   Expected{Activation::gelu_tanh, 3.163713, .704519, 2.7159, 2.957168}}) {
    nn::ParameterStore store(1, DType::f64);
    const Model model(store.root(), 20, worked_options(expected.activation));
    fill_by_formula(store);
    const Batch batch = make_batch(worked_instances(), 10, /*packed=*/false, 0);
    if (expected.activation == Activation::gelu) {
      const Tensor x = model.encode(batch, {});
      const auto values = x.to_vector();
      nn::expect_rounded({values.begin() + 8, values.begin() + 16},
                         {.890086, .772581, .462452, .469799, .248486, -.761089, -1.703772, -1.204916}, 6, "sequence[0, 1]");
      EXPECT_NEAR(sum_of(values), 2.139546, 2e-6);
      EXPECT_NEAR(sum_of(values, true), 143.313984, 2e-6);
      const auto pooled = model.pooled(x, batch).to_vector();
      nn::expect_rounded({pooled.begin(), pooled.begin() + 8},
                         {.456547, -.081661, -.549981, -.705772, -.634149, -.278703, .292672, .637462}, 6, "pooled[0]");
    }
    optim::BertAdam optimizer(store.parameters());
    Tape tape;
    const Model::Losses losses = model.losses(batch, {});
    const Means before = means(losses, batch);
    EXPECT_NEAR(before.masked_lm, expected.masked_lm, 1e-6);
    EXPECT_NEAR(before.next_sentence, expected.next_sentence, 1e-6);
    const std::array<Tensor, 2> sums{losses.masked_lm, losses.next_sentence};
    const std::array<Tensor, 2> cotangents{Tensor::scalar(1 / (3 + 1e-5), DType::f64), Tensor::scalar(0.5, DType::f64)};
    auto gradients = store.gradients(tape.backward(sums, cotangents));
    const optim::Clipped clipped = optim::clip_global_norm(gradients, 1);
    EXPECT_NEAR(clipped.norm, expected.norm, 1e-6);
    optimizer.step(gradients, 0.01, clipped.scale);
    const NoGrad paused;
    const Means after = means(model.losses(batch, {}), batch);
    EXPECT_NEAR(after.masked_lm + after.next_sentence, expected.total_after_a_step, 1e-6);
  }
}

/// The instances of a golden case, from arrays as they stand in instance files.
std::vector<data::Instance> instances_of(const Golden& golden) {
  const auto column = [&](const std::string& name) { return golden.input(name).to_vector(); };
  const auto ids = column("input_ids"), lengths = column("lengths"), first = column("first_segment"), next = column("next_sentence_labels");
  const auto positions = column("masked_positions"), labels = column("masked_ids"), counts = column("masked_counts");
  std::vector<data::Instance> out(lengths.size());
  const auto part = [](const std::vector<double>& from, std::size_t row, std::size_t width, double count) {
    const auto begin = from.begin() + static_cast<std::ptrdiff_t>(row * width);
    return std::vector<std::int32_t>(begin, begin + static_cast<std::ptrdiff_t>(count));
  };
  for (std::size_t r = 0; r < out.size(); ++r) {
    out[r].ids = part(ids, r, ids.size() / out.size(), lengths[r]);
    out[r].positions = part(positions, r, positions.size() / out.size(), counts[r]);
    out[r].labels = part(labels, r, labels.size() / out.size(), counts[r]);
    out[r].first_segment = static_cast<std::int32_t>(first[r]);
    out[r].random_next = next[r] != 0;
  }
  return out;
}

TEST(BertModel, FollowsPyTorch) {
  nn::in_both_precisions([](DType dtype, double) {
    for (const std::string name : {"gelu", "gelu_tanh", "relative_key", "relative_key_query"}) {
      for (const bool packed : {false, true}) {
        if (packed && name.starts_with("relative")) continue;
        SCOPED_TRACE(name + (packed ? ", packed" : ", padded"));
        const Golden golden("model/" + name, dtype, "bert");
        nn::ParameterStore store(1, dtype);
        ModelOptions options{.layers = 2,
                             .hidden_size = 8,
                             .heads = 2,
                             .intermediate_size = 12,
                             .max_positions = 10,
                             .activation = name == "gelu_tanh" ? Activation::gelu_tanh : Activation::gelu,
                             .packed = packed};
        if (name == "relative_key") options.positions = nn::RelativePositions::key;
        if (name == "relative_key_query") options.positions = nn::RelativePositions::key_query;
        const Model model(store.root(), 23, options);
        const Batch batch = make_batch(instances_of(golden), 9, packed, 0);
        golden.expect(store, dtype == DType::f64 ? 1e-10 : 1e-4, [&] {
          const Model::Losses sums = model.losses(batch, {});
          const Tensor masked = mul(sums.masked_lm, Tensor::scalar(1 / (static_cast<double>(batch.predictions()) + 1e-5), dtype));
          const Tensor next = mul(sums.next_sentence, Tensor::scalar(1.0 / 3, dtype));
          return stack({masked, next}, 0);
        });
      }
    }
  });
}

// Fifty steps of training, dropout 0, the same instances: the curve of an independent program in f64.
TEST(BertModel, TrainsLikePyTorch) {
  engine::set_threads(1);
  const Golden golden("curve", DType::f32, "bert");
  nn::ParameterStore store(1);
  const auto words = golden.values("parameter/bert/embeddings/word_embeddings");
  const auto curve = golden.values("output");
  const auto instances = instances_of(golden);
  ASSERT_EQ(curve.size(), 100u);
  ASSERT_EQ(instances.size(), 192u);
  const std::int64_t length = golden.input("input_ids").size(1);
  const Model model(store.root(), static_cast<std::int64_t>(words.size()) / 32,
                    {.layers = 2,
                     .hidden_size = 32,
                     .heads = 2,
                     .intermediate_size = 64,
                     .max_positions = length,
                     .hidden_dropout = 0,
                     .attention_dropout = 0});
  golden.load(store);
  optim::BertAdam optimizer(store.parameters());
  const optim::Schedule rate = make_schedule({.learning_rate = 2e-3, .schedule = ScheduleKind::google, .warmup_steps = 5}, 50);
  for (std::int64_t step = 0; step < 50; ++step) {
    std::vector<data::Instance> some;
    for (std::int64_t i = 0; i < 16; ++i) some.push_back(instances[static_cast<std::size_t>(step * 16 + i) % instances.size()]);
    const Batch batch = make_batch(some, length, /*packed=*/true, 0);
    Tape tape;
    const Model::Losses losses = model.losses(batch, {.training = true});
    const Means mean = means(losses, batch);
    ASSERT_NEAR(mean.masked_lm, curve[static_cast<std::size_t>(2 * step)], 1e-3) << "step " << step;
    ASSERT_NEAR(mean.next_sentence, curve[static_cast<std::size_t>(2 * step + 1)], 1e-3) << "step " << step;
    const std::array<Tensor, 2> sums{losses.masked_lm, losses.next_sentence};
    const std::array<Tensor, 2> cotangents{Tensor::scalar(1 / (static_cast<double>(batch.predictions()) + 1e-5)), Tensor::scalar(1.0 / 16)};
    auto gradients = store.gradients(tape.backward(sums, cotangents));
    const optim::Clipped clipped = optim::clip_global_norm(gradients, 1);
    optimizer.step(gradients, rate(step), clipped.scale);
  }
  EXPECT_LT(curve[98], curve[0] - 0.5) << "the golden itself learns";
}

TEST(BertModel, PackedAndPaddedGiveTheSameNumbers) {
  ModelOptions options = worked_options(Activation::gelu);
  options.hidden_dropout = options.attention_dropout = 0.2;
  std::vector<std::vector<double>> results;
  for (const bool packed : {false, true}) {
    options.packed = packed;
    nn::ParameterStore store(4, DType::f64);
    const Model model(store.root(), 20, options);
    const Batch batch = make_batch(worked_instances(), 10, packed, 0);
    EXPECT_EQ(batch.ids.numel(), packed ? 18 : 20);
    EXPECT_EQ(batch.real_tokens(), 18);
    Tape tape;
    const Model::Losses losses = model.losses(batch, {.training = true, .seed = 9, .step = 0, .token_ids = batch.keys});
    const std::array<Tensor, 2> sums{losses.masked_lm, losses.next_sentence};
    const std::array<Tensor, 2> cotangents{Tensor::scalar(1, DType::f64), Tensor::scalar(1, DType::f64)};
    std::vector<double> all{losses.masked_lm.item(), losses.next_sentence.item()};
    const Gradients gradients = tape.backward(sums, cotangents);
    for (const Parameter& p : store.parameters())
      for (const double v : nn::dense(gradients.of(p.value()), DType::f64).to_vector()) all.push_back(v);
    results.push_back(std::move(all));
  }
  nn::expect_close(results[1], results[0], 1e-12, "packed");
}

/// Parameters of encoder and pooler by formula: for sizes too large to be built in a test.
std::int64_t encoder_parameters(const ModelOptions& o, std::int64_t vocabulary) {
  const std::int64_t h = o.hidden_size, inner = o.intermediate_size, norm = 2 * h;
  const std::int64_t layer = 4 * (h * h + h) + norm + (h * inner + inner) + (inner * h + h) + norm;
  return (vocabulary + o.max_positions + o.token_types) * h + norm + o.layers * layer + h * h + h;
}

TEST(BertModel, HasTheParametersOfTheReleasedSizes) {
  struct Size {
    std::int64_t layers, width, heads, vocabulary, parameters;
  };
  for (const Size& s :
       {Size{2, 128, 2, 30522, 4385920}, Size{4, 256, 4, 30522, 11170560}, Size{4, 512, 8, 30522, 28763648},
        Size{8, 512, 8, 30522, 41373184}, Size{12, 768, 12, 30522, 109482240}, Size{24, 1024, 16, 30522, 335141888},
        Size{12, 768, 12, 21128, 102267648}, Size{12, 768, 12, 119547, 177853440}, Size{2, 128, 2, 21128, 4385920 - 9394 * 128}}) {
    const ModelOptions options{.layers = s.layers, .hidden_size = s.width, .heads = s.heads, .intermediate_size = 4 * s.width};
    EXPECT_EQ(encoder_parameters(options, s.vocabulary), s.parameters);
    if (s.parameters > 20'000'000) continue;  // the small ones show that the formula is the model's
    nn::ParameterStore store;
    const Model model(store.root(), s.vocabulary, options);
    const std::int64_t heads = s.width * s.width + 3 * s.width + s.vocabulary + 2 * s.width + 2;
    EXPECT_EQ(store.numel() - heads, s.parameters);
  }
}

TEST(BertModel, NamesDecayAndStartOfParameters) {
  nn::ParameterStore store(7);
  const Model model(store.root(), 50, worked_options(Activation::gelu));
  for (const Parameter& p : store.parameters()) {
    const auto values = p.value().to_vector();
    const bool plain = p.name().find("bias") != std::string::npos || p.name().find("LayerNorm/") != std::string::npos ||
                       p.name().find("_norm/") != std::string::npos;
    EXPECT_EQ(p.decay(), !plain) << p.name();
    const auto [low, high] = std::ranges::minmax(values);
    if (!plain) {
      EXPECT_GE(low, -0.04) << p.name();
      EXPECT_LE(high, 0.04) << p.name();
      EXPECT_GT(high - low, 0.02) << p.name();
    } else {
      EXPECT_EQ(low, p.name().ends_with("orm/weight") ? 1 : 0) << p.name();
      EXPECT_EQ(high, low) << p.name();
    }
  }
  for (const char* name :
       {"bert/embeddings/word_embeddings", "bert/embeddings/position_embeddings", "bert/embeddings/token_type_embeddings",
        "bert/embeddings/LayerNorm/weight", "bert/encoder/layer_1/attention/query/weight", "bert/encoder/layer_0/feed_forward/outer/bias",
        "bert/pooler/dense/weight", "cls/predictions/output_bias", "cls/predictions/transform/dense/weight",
        "cls/predictions/transform/LayerNorm/bias", "cls/seq_relationship/weight"})
    EXPECT_NO_THROW(store.find(name)) << name;
}

TEST(BertModel, ComputesInBfloat16CloseToF32) {
  std::vector<double> losses;
  for (const DType precision : {DType::f32, DType::bf16}) {
    nn::ParameterStore store(4);
    ModelOptions options = worked_options(Activation::gelu);
    options.hidden_size = 32;
    options.packed = true;
    const Model model(store.root(), 20, options, precision);
    const Batch batch = make_batch(worked_instances(), 10, true, 0);
    Tape tape;
    const Model::Losses l = model.losses(batch, {});
    losses.push_back(l.masked_lm.item() + l.next_sentence.item());
    const std::array<Tensor, 2> sums{l.masked_lm, l.next_sentence};
    const std::array<Tensor, 2> cotangents{Tensor::scalar(1), Tensor::scalar(1)};
    for (const Gradient& g : store.gradients(tape.backward(sums, cotangents))) EXPECT_TRUE(g.defined());
  }
  EXPECT_NEAR(losses[1], losses[0], 0.02 * losses[0]);
  EXPECT_NE(losses[1], losses[0]);
}

TEST(BertModel, RefusesSequencesBeyondItsPositions) {
  nn::ParameterStore store;
  ModelOptions options = worked_options(Activation::gelu);
  options.max_positions = 9;
  const Model model(store.root(), 20, options);
  EXPECT_THROW(model.encode(make_batch(worked_instances(), 10, false, 0), {}), ShapeError);
  EXPECT_THROW(make_batch(worked_instances(), 9, false, 0), ShapeError);
}

}  // namespace
}  // namespace capstan::bert
