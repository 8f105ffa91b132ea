// Fifty steps of training, dropout 0, the same padded windows: the curve of BertForQuestionAnswering of transformers, in f64.
#include <gtest/gtest.h>

#include "autograd/tape/tape.h"
#include "optim/adam.h"
#include "optim/clip.h"
#include "recipes/bert_spans/recipe.h"
#include "recipes/engine/system.h"
#include "recipes/engine/train/schedule.h"
#include "recipes/tasks/span_extraction/batch.h"
#include "tests/nn/golden.h"
#include "tests/recipes/tasks/span_extraction/fixtures.h"

namespace capstan::span_extraction {
namespace {

std::vector<Window> windows_of(const nn::Golden& golden) {
  const std::vector<double> ids = golden.values("ids"), lengths = golden.values("lengths"), first = golden.values("first");
  const std::vector<double> answers = golden.values("answers");
  const std::size_t length = ids.size() / lengths.size();
  std::vector<Window> out;
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    out.push_back({.ids = {},
                   .first = static_cast<std::int64_t>(first[i]),
                   .start = static_cast<std::int64_t>(answers[2 * i]),
                   .end = static_cast<std::int64_t>(answers[2 * i + 1])});
    for (std::size_t k = 0; k < static_cast<std::size_t>(lengths[i]); ++k)
      out.back().ids.push_back(static_cast<std::int32_t>(ids[i * length + k]));
  }
  return out;
}

void expect_curve(const std::string& name, std::int64_t padding_token) {
  engine::set_threads(1);
  const nn::Golden golden("curve", DType::f32, "spans");
  const std::vector<Window> windows = windows_of(golden);
  const std::vector<double> curve = golden.values(name);
  ASSERT_EQ(curve.size(), 50u);
  nn::ParameterStore store(1);
  const nn::BertOptions options{.layers = 2,
                                .hidden_size = 24,
                                .heads = 2,
                                .intermediate_size = 48,
                                .max_positions = 32,
                                .hidden_dropout = 0,
                                .attention_dropout = 0,
                                .padding_token = padding_token};
  const Network network = bert_spans::network(options, store.root(), golden_vocabulary().size(), DType::f32);
  golden.load(store);
  optim::BertAdam optimizer(store.parameters());
  const optim::Schedule rate = engine::make_schedule({.kind = engine::ScheduleKind::google, .warmup_steps = 5}, 5e-3, 1, 50);
  double largest = 0;
  for (std::int64_t step = 0; step < 50; ++step) {
    std::vector<Window> some;
    for (std::int64_t i = 0; i < 8; ++i) some.push_back(windows[static_cast<std::size_t>(step * 8 + i) % windows.size()]);
    const Batch batch = make_batch(some, 32, 0);
    EXPECT_EQ(batch.layout.tokens(), 8 * 32) << "padding is there";
    Tape tape;
    const Tensor loss = loss_sum(network, batch, {.training = true});
    const double mean = loss.item() / 8;
    largest = std::max(largest, std::abs(mean - curve[static_cast<std::size_t>(step)]));
    ASSERT_NEAR(mean, curve[static_cast<std::size_t>(step)], 1e-4) << "step " << step;
    const Tensor cotangent = Tensor::scalar(1.0 / 8);
    auto gradients = store.gradients(tape.backward(std::span(&loss, 1), std::span(&cotangent, 1)));
    const optim::Clipped clipped = optim::clip_global_norm(gradients, 1);
    optimizer.step(gradients, rate(step), clipped.scale);
  }
  testing::Test::RecordProperty(name + "_largest_difference", std::to_string(largest));
  EXPECT_LT(curve[49], curve[0] - 1) << "the golden itself learns";
}

TEST(SpanLoss, TrainsAsTheOriginal) { expect_curve("output", -1); }
TEST(SpanLoss, TrainsAsTransformersWhichLeavesThePaddingAsItIs) { expect_curve("output_fixed_padding", 0); }

}  // namespace
}  // namespace capstan::span_extraction
