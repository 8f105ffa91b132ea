#include "recipes/engine/profile/rates.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <string_view>
#include <vector>

#include "autograd/core/rng.h"
#include "autograd/core/tensor.h"
#include "autograd/kernels/accumulate.h"
#include "autograd/kernels/matmul.h"
#include "recipes/engine/system.h"

namespace capstan::engine {
namespace {

/// Of a call, after two that are not timed.
std::vector<double> seconds_of(const std::function<void()>& call, int count) {
  constexpr int kWarmUp = 2;
  std::vector<double> seconds;
  for (int i = 0; i < kWarmUp + count; ++i) {
    const double start = wall_seconds();
    call();
    if (i >= kWarmUp) seconds.push_back(wall_seconds() - start);
  }
  std::ranges::sort(seconds);
  return seconds;
}

/// Bytes a second of a copy, both sides together `bytes`.
double copy_rate(double bytes) {
  constexpr double kWorkload = 1 << 26;  // bytes of a measurement, for small sizes many calls
  const auto half = static_cast<std::int64_t>(bytes / 2 / sizeof(float));
  const Tensor from = Tensor::zeros({half}, DType::f32), to = Tensor::zeros({half}, DType::f32);
  const auto calls = static_cast<int>(std::max(1.0, kWorkload / bytes));
  const auto copies = [&] {
    for (int i = 0; i < calls; ++i) kernels::copy(from, to);
  };
  return bytes * calls / seconds_of(copies, 5).front();
}

}  // namespace

double matmul_rate(DType precision) {
  constexpr std::int64_t kSize = 1024;  // three f32 matrices of 4 MB, 2 GFLOP: large enough to reach the rate of still larger ones
  const auto random = [&](std::string_view name) {
    const Tensor t(Shape{kSize, kSize}, precision);
    Rng rng(random_key(1, name));
    dispatch_floating("bench", precision, [&](auto zero) {
      using T = decltype(zero);
      for (T& v : t.span<T>()) v = static_cast<T>(static_cast<float>(rng.uniform(-1, 1)));
    });
    return t;
  };
  const Tensor a = random("a"), b = random("b"), c(Shape{kSize, kSize}, precision);
  const kernels::MatrixLayout rows{.row = kSize, .column = 1, .batch = {}};
  const kernels::MatmulProblem problem{
      .in = precision, .out = precision, .rows = kSize, .columns = kSize, .depth = kSize, .a = rows, .b = rows, .c = rows};
  const auto product = [&] { kernels::matmul(problem, a.storage().data(), b.storage().data(), c.storage().data()); };
  constexpr int kCalls = 9;
  return 1e-9 * kernels::Matmul::work(problem).flops / seconds_of(product, kCalls)[kCalls / 2];
}

double Rates::bytes_per_second(double of_bytes) const {
  const double place = std::clamp(std::log(std::max(of_bytes, 1.0) / kSmallest) / std::log(kRatio), 0.0, static_cast<double>(kSizes - 1));
  const auto below = std::min(static_cast<std::size_t>(place), kSizes - 2);
  const double share = place - static_cast<double>(below);
  return (1 - share) * bytes[below] + share * bytes[below + 1];
}

double Rates::seconds(const profile::Work& work) const { return std::max(work.flops / flops, work.bytes / bytes_per_second(work.bytes)); }

Rates measure_rates(DType precision) {
  Rates rates;
  rates.flops = 1e9 * matmul_rate(precision);
  double size = Rates::kSmallest;
  for (double& rate : rates.bytes) {
    rate = copy_rate(size);
    size *= Rates::kRatio;
  }
  return rates;
}

}  // namespace capstan::engine
