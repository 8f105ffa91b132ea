// Forward and backward of single ops at the shapes of the recipes. Rates are items = multiply-adds * 2 for products ("FLOP/s"),
// elements touched otherwise.
//     build/ci/tests/bench_ops --benchmark_filter=linear
// Compare with linear/large, which is the oneDNN matmul rate of the machine, not with figures of another day.

#include <benchmark/benchmark.h>

#include <functional>

#include "autograd/core/rng.h"
#include "autograd/ops/all.h"

namespace capstan {
namespace {

Tensor random(const Shape& shape, std::uint64_t seed = 1) {
  Rng rng(random_key(seed, "bench"));
  Tensor t(shape);
  for (float& v : t.span<float>()) v = static_cast<float>(rng.uniform(-1, 1));
  return t;
}
Tensor random_ids(const Shape& shape, std::int64_t limit) {
  Rng rng(random_key(1, "bench ids"));
  Tensor t(shape, DType::i64);
  for (std::int64_t& v : t.span<std::int64_t>()) v = static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(limit)));
  return t;
}

/// One forward and one backward an iteration; `items` a pass counts for the rate.
void run(benchmark::State& state, double items, const std::function<Tensor()>& forward) {
  for (auto _ : state) {
    Tape tape;
    const Tensor y = forward(), dy = Tensor::full(y.shape(), 1.0);
    benchmark::DoNotOptimize(tape.backward(std::span(&y, 1), std::span(&dy, 1)));
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(items * static_cast<double>(state.iterations())));
}

void linear_bench(benchmark::State& state) {
  const std::int64_t rows = state.range(0), in = state.range(1), out = state.range(2);
  const Tensor x = make_leaf(random({rows, in})), w = make_leaf(random({out, in}, 2)), b = make_leaf(random({out}, 3));
  run(state, 6.0 * static_cast<double>(rows * in * out), [&] { return linear(x, w, b); });
}
BENCHMARK(linear_bench)->Name("linear/large")->Args({4096, 1024, 1024});
BENCHMARK(linear_bench)->Name("linear/sasrec")->Args({25600, 50, 50});
BENCHMARK(linear_bench)->Name("linear/bert_mini")->Args({4096, 256, 1024});
BENCHMARK(linear_bench)->Name("linear/gru4rec")->Args({128, 100, 300});

void attention_bench(benchmark::State& state) {
  const std::int64_t batch = state.range(0), time = state.range(1), heads = state.range(2), width = state.range(3);
  const bool causal = state.range(4) != 0;
  const Shape shape{batch, time, heads, width};
  const Tensor q = make_leaf(random(shape)), k = make_leaf(random(shape, 2)), v = make_leaf(random(shape, 3));
  const double products = 6.0 * 2.0 * static_cast<double>(shape.numel() * time) * (causal ? 0.5 : 1.0);
  run(state, products, [&] { return scaled_dot_product_attention(q, k, v, {.causal = causal, .dropout = 0.2, .key = 7}); });
}
BENCHMARK(attention_bench)->Name("attention/sasrec")->Args({128, 200, 1, 50, 1});
BENCHMARK(attention_bench)->Name("attention/bert_base")->Args({8, 128, 12, 64, 0});
BENCHMARK(attention_bench)->Name("attention/vit_tiny")->Args({16, 197, 3, 64, 0});

void layer_norm_bench(benchmark::State& state) {
  const std::int64_t rows = state.range(0), width = state.range(1);
  const Tensor x = make_leaf(random({rows, width})), gamma = make_leaf(random({width})), beta = make_leaf(random({width}));
  run(state, static_cast<double>(rows * width), [&] { return layer_norm(x, gamma, beta, 1e-8); });
}
BENCHMARK(layer_norm_bench)->Name("layer_norm/sasrec")->Args({25600, 50});
BENCHMARK(layer_norm_bench)->Name("layer_norm/bert_base")->Args({1024, 768});

void gelu_bench(benchmark::State& state) {
  const Tensor x = make_leaf(random({state.range(0)}));
  run(state, static_cast<double>(x.numel()), [&] { return gelu(x); });
}
BENCHMARK(gelu_bench)->Name("gelu/bert_base")->Args({1024 * 3072});

void dropout_bench(benchmark::State& state) {
  const Tensor x = make_leaf(random({state.range(0), state.range(1)}));
  run(state, static_cast<double>(x.numel()), [&] { return dropout(x, 0.2, 7); });
}
BENCHMARK(dropout_bench)->Name("dropout/sasrec")->Args({25600, 50});

void embedding_bench(benchmark::State& state) {
  const Tensor table = make_leaf(random({state.range(0), state.range(1)})), ids = random_ids({state.range(2)}, state.range(0));
  run(state, static_cast<double>(ids.numel() * state.range(1)), [&] { return embedding(table, ids); });
}
BENCHMARK(embedding_bench)->Name("embedding/sasrec")->Args({3417, 50, 25600});

void output_loss_bench(benchmark::State& state) {
  const std::int64_t rows = state.range(0), width = state.range(1), classes = state.range(2);
  const Tensor x = make_leaf(random({rows, width})), table = make_leaf(random({classes, width})), targets = random_ids({rows}, classes);
  run(state, 6.0 * static_cast<double>(rows * width * classes), [&] { return linear_cross_entropy(x, table, {}, targets).value; });
}
BENCHMARK(output_loss_bench)->Name("linear_cross_entropy/sasrec")->Args({25600, 50, 3417});
BENCHMARK(output_loss_bench)->Name("linear_cross_entropy/bert_mini")->Args({640, 256, 30522});

}  // namespace
}  // namespace capstan

BENCHMARK_MAIN();
