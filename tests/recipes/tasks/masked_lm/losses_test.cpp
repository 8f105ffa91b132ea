// The losses with BERT's network: against numbers computed by hand, against PyTorch, and against themselves in the two forms of a batch.
#include "recipes/tasks/masked_lm/losses.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "autograd/ops/elementwise.h"
#include "autograd/ops/shape_ops.h"
#include "autograd/tape/tape.h"
#include "optim/adam.h"
#include "optim/clip.h"
#include "recipes/bert/recipe.h"
#include "recipes/engine/system.h"
#include "recipes/engine/train/schedule.h"
#include "tests/nn/golden.h"
#include "tests/nn/models/bert_fixtures.h"
#include "tests/recipes/tasks/masked_lm/fixtures.h"

namespace capstan::masked_lm {
namespace {

using nn::BertOptions;
using nn::fill_bert_by_formula;
using nn::Golden;
using nn::worked_options;

using Losses = std::array<Tensor, 2>;

/// The two means that the released code reports.
struct Means {
  double masked_lm, next_sentence;
};
Means means(const Losses& losses, const Batch& batch) {
  return {losses[0].item() / (static_cast<double>(batch.predictions()) + 1e-5),
          losses[1].item() / static_cast<double>(batch.layout.sequences)};
}

struct Expected {
  Activation activation;
  double masked_lm, next_sentence, norm, total_after_a_step;
};

TEST(MaskedLmLosses, ComputesTheWorkedExample) {
  for (const Expected& expected : {Expected{Activation::gelu, 3.163678, .704519, 2.715938, 2.957177},
                                   Expected{Activation::gelu_tanh, 3.163713, .704519, 2.7159, 2.957168}}) {
    nn::ParameterStore store(1, DType::f64);
    const Network network = bert::network(worked_options(expected.activation), store.root(), 20, DType::f32);
    fill_bert_by_formula(store);
    const Batch batch = make_batch(worked_instances(), 10, /*packed=*/false, 0);
    optim::BertAdam optimizer(store.parameters());
    Tape tape;
    const Losses losses = loss_sums(network, batch, {});
    const Means before = means(losses, batch);
    EXPECT_NEAR(before.masked_lm, expected.masked_lm, 1e-6);
    EXPECT_NEAR(before.next_sentence, expected.next_sentence, 1e-6);
    const std::array<Tensor, 2> cotangents{Tensor::scalar(1 / (3 + 1e-5), DType::f64), Tensor::scalar(0.5, DType::f64)};
    auto gradients = store.gradients(tape.backward(losses, cotangents));
    const optim::Clipped clipped = optim::clip_global_norm(gradients, 1);
    EXPECT_NEAR(clipped.norm, expected.norm, 1e-6);
    optimizer.step(gradients, 0.01, clipped.scale);
    const NoGrad paused;
    const Means after = means(loss_sums(network, batch, {}), batch);
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

TEST(MaskedLmLosses, FollowsPyTorch) {
  nn::in_both_precisions([](DType dtype, double) {
    for (const std::string name : {"gelu", "gelu_tanh", "relative_key", "relative_key_query"}) {
      for (const bool packed : {false, true}) {
        if (packed && name.starts_with("relative")) continue;
        SCOPED_TRACE(name + (packed ? ", packed" : ", padded"));
        const Golden golden("model/" + name, dtype, "bert");
        nn::ParameterStore store(1, dtype);
        BertOptions options{.layers = 2,
                            .hidden_size = 8,
                            .heads = 2,
                            .intermediate_size = 12,
                            .max_positions = 10,
                            .activation = name == "gelu_tanh" ? Activation::gelu_tanh : Activation::gelu,
                            .packed = packed};
        if (name == "relative_key") options.positions = nn::RelativePositions::key;
        if (name == "relative_key_query") options.positions = nn::RelativePositions::key_query;
        const Network network = bert::network(options, store.root(), 23, DType::f32);
        const Batch batch = make_batch(instances_of(golden), 9, packed, 0);
        golden.expect(store, dtype == DType::f64 ? 1e-10 : 1e-4, [&] {
          const Losses sums = loss_sums(network, batch, {});
          const Tensor masked = mul(sums[0], Tensor::scalar(1 / (static_cast<double>(batch.predictions()) + 1e-5), dtype));
          const Tensor next = mul(sums[1], Tensor::scalar(1.0 / 3, dtype));
          return stack({masked, next}, 0);
        });
      }
    }
  });
}

// Fifty steps of training, dropout 0, the same instances: the curve of an independent program in f64.
TEST(MaskedLmLosses, TrainsLikePyTorch) {
  engine::set_threads(1);
  const Golden golden("curve", DType::f32, "bert");
  nn::ParameterStore store(1);
  const auto words = golden.values("parameter/bert/embeddings/word_embeddings");
  const auto curve = golden.values("output");
  const auto instances = instances_of(golden);
  ASSERT_EQ(curve.size(), 100u);
  ASSERT_EQ(instances.size(), 192u);
  const std::int64_t length = golden.input("input_ids").size(1);
  const BertOptions options{.layers = 2,
                            .hidden_size = 32,
                            .heads = 2,
                            .intermediate_size = 64,
                            .max_positions = length,
                            .hidden_dropout = 0,
                            .attention_dropout = 0};
  const Network network = bert::network(options, store.root(), static_cast<std::int64_t>(words.size()) / 32, DType::f32);
  golden.load(store);
  optim::BertAdam optimizer(store.parameters());
  const optim::Schedule rate = engine::make_schedule({.kind = engine::ScheduleKind::google, .warmup_steps = 5}, 2e-3, 1, 50);
  for (std::int64_t step = 0; step < 50; ++step) {
    std::vector<data::Instance> some;
    for (std::int64_t i = 0; i < 16; ++i) some.push_back(instances[static_cast<std::size_t>(step * 16 + i) % instances.size()]);
    const Batch batch = make_batch(some, length, /*packed=*/true, 0);
    Tape tape;
    const Losses losses = loss_sums(network, batch, {.training = true});
    const Means mean = means(losses, batch);
    ASSERT_NEAR(mean.masked_lm, curve[static_cast<std::size_t>(2 * step)], 1e-3) << "step " << step;
    ASSERT_NEAR(mean.next_sentence, curve[static_cast<std::size_t>(2 * step + 1)], 1e-3) << "step " << step;
    const std::array<Tensor, 2> cotangents{Tensor::scalar(1 / (static_cast<double>(batch.predictions()) + 1e-5)), Tensor::scalar(1.0 / 16)};
    auto gradients = store.gradients(tape.backward(losses, cotangents));
    const optim::Clipped clipped = optim::clip_global_norm(gradients, 1);
    optimizer.step(gradients, rate(step), clipped.scale);
  }
  EXPECT_LT(curve[98], curve[0] - 0.5) << "the golden itself learns";
}

TEST(MaskedLmLosses, PackedAndPaddedGiveTheSameNumbers) {
  BertOptions options = worked_options(Activation::gelu);
  options.hidden_dropout = options.attention_dropout = 0.2;
  std::vector<std::vector<double>> results;
  for (const bool packed : {false, true}) {
    options.packed = packed;
    nn::ParameterStore store(4, DType::f64);
    const Network network = bert::network(options, store.root(), 20, DType::f32);
    const Batch batch = make_batch(worked_instances(), 10, packed, 0);
    EXPECT_EQ(batch.layout.tokens(), packed ? 18 : 20);
    EXPECT_EQ(batch.layout.real_tokens(), 18);
    Tape tape;
    const Losses losses = loss_sums(network, batch, {.training = true, .seed = 9, .step = 0, .token_ids = batch.layout.keys});
    const std::array<Tensor, 2> cotangents{Tensor::scalar(1, DType::f64), Tensor::scalar(1, DType::f64)};
    std::vector<double> all{losses[0].item(), losses[1].item()};
    const Gradients gradients = tape.backward(losses, cotangents);
    for (const Parameter& p : store.parameters())
      for (const double v : nn::dense(gradients.of(p.value()), DType::f64).to_vector()) all.push_back(v);
    results.push_back(std::move(all));
  }
  nn::expect_close(results[1], results[0], 1e-12, "packed");
}

TEST(MaskedLmLosses, ComputesInBfloat16CloseToF32) {
  std::vector<double> losses;
  for (const DType precision : {DType::f32, DType::bf16}) {
    nn::ParameterStore store(4);
    BertOptions options = worked_options(Activation::gelu);
    options.hidden_size = 32;
    options.packed = true;
    const Network network = bert::network(options, store.root(), 20, precision);
    const Batch batch = make_batch(worked_instances(), 10, true, 0);
    Tape tape;
    const Losses sums = loss_sums(network, batch, {});
    losses.push_back(sums[0].item() + sums[1].item());
    const std::array<Tensor, 2> cotangents{Tensor::scalar(1), Tensor::scalar(1)};
    for (const Gradient& g : store.gradients(tape.backward(sums, cotangents))) EXPECT_TRUE(g.defined());
  }
  EXPECT_NEAR(losses[1], losses[0], 0.02 * losses[0]);
  EXPECT_NE(losses[1], losses[0]);
}

TEST(MaskedLmLosses, RefusesSequencesBeyondItsPositions) {
  nn::ParameterStore store;
  BertOptions options = worked_options(Activation::gelu);
  options.max_positions = 9;
  const Network network = bert::network(options, store.root(), 20, DType::f32);
  EXPECT_THROW(loss_sums(network, make_batch(worked_instances(), 10, false, 0), {}), ShapeError);
  EXPECT_THROW(make_batch(worked_instances(), 9, false, 0), ShapeError);
}

}  // namespace
}  // namespace capstan::masked_lm
