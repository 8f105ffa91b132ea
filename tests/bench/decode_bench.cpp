// How fast a transformer writes: 6 + 6 post-norm layers of 512, ff 2048, 8 heads, ReLU, 8,000 words, a source of 20 tokens, exactly 64
// tokens written, greedy and with 4 beams, 1 and 32 lines, sources included. Tokens of the best hypotheses a second, best of three after
// one.
//     build/ci/tests/bench_decode [cpu] [f32] [bf16] [int8]
// With cpu the time is the processor's, of all threads: for OMP_NUM_THREADS=1 on a machine that others use too.
// With one line, a token costs the time to read the weights: beside the rate stands what was read, and what memory gives.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <limits>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "autograd/core/process.h"
#include "autograd/core/rng.h"
#include "nn/generation/generator.h"
#include "nn/generation/transformer_decoder.h"
#include "nn/init.h"

namespace capstan::nn {
namespace {

constexpr std::int64_t kLayers = 6, kWidth = 512, kHeads = 8, kInner = 2048, kVocabulary = 8000, kSource = 20, kTarget = 64;

enum class Clock { wall, processor };

double seconds(Clock clock) {
  if (clock == Clock::processor) return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}
double best_of_three(Clock clock, const auto& f) {
  f();
  double best = std::numeric_limits<double>::infinity();
  for (int i = 0; i < 3; ++i) {
    const double start = seconds(clock);
    f();
    best = std::min(best, seconds(clock) - start);
  }
  return best;
}

/// Bytes a second that all processors together read from memory.
double read_rate() {
  const std::size_t threads = std::max(1u, std::thread::hardware_concurrency()), size = std::size_t{1} << 25;
  const std::vector<std::uint64_t> data(threads * size, 1);
  std::vector<std::uint64_t> sums(threads * 64);
  const double time = best_of_three(Clock::wall, [&] {
    std::vector<std::jthread> all;
    for (std::size_t t = 0; t < threads; ++t)
      all.emplace_back([&, t] {
        std::uint64_t sum[16] = {};
        for (std::size_t i = t * size; i < (t + 1) * size; i += 16)
          for (std::size_t j = 0; j < 16; ++j) sum[j] += data[i + j];
        sums[t * 64] = std::accumulate(sum, sum + 16, std::uint64_t{0});
      });
  });
  return static_cast<double>(data.size() * sizeof(data[0])) / time;
}

Tensor sinusoids(std::int64_t positions) {
  const Tensor t(Shape{positions, kWidth});
  for (std::int64_t p = 0; p < positions; ++p)
    for (std::int64_t i = 0; i < kWidth; ++i) {
      const double angle = static_cast<double>(p) / std::pow(10000., static_cast<double>(i / 2 * 2) / kWidth);
      t.data<float>()[p * kWidth + i] = static_cast<float>(i % 2 == 0 ? std::sin(angle) : std::cos(angle));
    }
  return t;
}

void run(WeightStorage storage, Clock clock) {
  ParameterStore store(1);
  const TransformerStackOptions options{
      .layers = kLayers, .layer = {.width = kWidth, .heads = kHeads, .inner = kInner, .activation = Activation::relu}, .final_norm = false};
  const TransformerStack<EncoderLayer> encoder(store.root() / "encoder", options);
  const TransformerStack<DecoderLayer> decoder(store.root() / "decoder", options);
  const auto table = [&](const char* name) {
    return store.root().parameter(name, {kVocabulary, kWidth}, normal(1 / std::sqrt(double{kWidth}))).value().detach();
  };
  const TransformerTables source{.embedding = table("source"), .scale = std::sqrt(double{kWidth}), .positions = sinusoids(kTarget)},
      target{.embedding = table("target"), .scale = source.scale, .positions = source.positions, .output = table("output")};
  for (const std::int64_t lines : {1, 32})
    for (const std::int64_t beams : {1, 4}) {
      TransformerDecoder writes(encoder, source, decoder, target,
                                {.lines = lines, .beams = beams, .max_length = kTarget, .max_source = kSource, .weights = storage});
      const double time = best_of_three(clock, [&] {
        Generator generator(writes, {.deliver = [](const Generation&) {}});
        Rng rng(1);
        for (std::int64_t i = 0; i < lines; ++i) {
          GenerationRequest r{.prompt = {1}, .options = {.beams = beams, .min_length = kTarget, .max_length = kTarget, .stop_tokens = {2}}};
          for (std::int64_t t = 0; t < kSource; ++t) r.source.push_back(3 + static_cast<std::int64_t>(rng.below(7000)));
          generator.submit(std::move(r));
        }
        generator.finish();
      });
      std::printf("%-5s %-6s %2d lines %8.1f tokens/s   %5.2f ms a step, weights read at %.1f GB/s\n", to_text(storage).c_str(),
                  beams == 1 ? "greedy" : "beam 4", static_cast<int>(lines), static_cast<double>(lines * kTarget) / time,
                  1e3 * time / kTarget, static_cast<double>(writes.weight_bytes() * kTarget) / time * 1e-9);
      std::fflush(stdout);
    }
}

}  // namespace
}  // namespace capstan::nn

int main(int argc, char** argv) {
  capstan::limit_busy_waiting(argv);
  capstan::flush_denormals();
  std::vector<std::string> storages(argv + 1, argv + argc);
  const bool of_processor = std::erase(storages, "cpu") > 0;
  if (storages.empty()) storages = {"f32", "bf16", "int8"};
  std::printf("memory is read at %.1f GB/s\n", capstan::nn::read_rate() * 1e-9);
  for (const std::string& s : storages)
    capstan::nn::run(capstan::weight_storage(s), of_processor ? capstan::nn::Clock::processor : capstan::nn::Clock::wall);
}
