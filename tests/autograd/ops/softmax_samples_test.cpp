#include <limits>

#include "autograd/core/rng.h"
#include "autograd/ops/softmax.h"
#include "tests/autograd/ops/op_table.h"

namespace capstan::testing {
namespace {

// 1 with probability 0.7, and at least one 1 in the first column.
Tensor keep(const Shape& shape, std::uint64_t seed = 5) {
  Rng rng(random_key(seed, "keep"));
  Tensor t(shape, DType::u8);
  const std::int64_t n = shape[-1];
  for (std::int64_t i = 0; i < t.numel(); ++i) t.data<std::uint8_t>()[i] = i % n == 0 || rng.uniform() < 0.7;
  return t;
}

template <class O>
std::vector<BadSample<O>> bad_samples() {
  return {
      {.name = "axis beyond", .args = {.axis = 2}, .inputs = {uniform({3, 5}), {}}, .message = "x f64[3, 5] has 2 axes, axis 2"},
      {.name = "scalar", .args = {.axis = -1}, .inputs = {uniform({}), {}}, .message = "x f64[] has 0 axes, axis -1"},
      {.name = "integers", .args = {}, .inputs = {Tensor::zeros({3}, DType::i64), {}}, .message = "must be of a floating type: x i64[3]"},
      {.name = "mask shape", .args = {}, .inputs = {uniform({3, 5}), keep({4})}, .message = "must broadcast to x: x f64[3, 5], mask u8[4]"},
      {.name = "mask type", .args = {}, .inputs = {uniform({3, 5}), Tensor::zeros({3, 5}, DType::f32)}, .message = "mask f32[3, 5]"}};
}

template <class O>
std::vector<Sample<O>> common_samples() {
  return {{.name = "row", .args = {}, .inputs = {uniform({5}), {}}},
          {.name = "odd rows", .args = {.axis = 1}, .inputs = {uniform({3, 37}), {}}},
          {.name = "first axis", .args = {.axis = 0}, .inputs = {uniform({7, 3}), {}}},
          {.name = "middle axis", .args = {.axis = -2}, .inputs = {uniform({2, 5, 3}), {}}},
          {.name = "size 1", .args = {}, .inputs = {uniform({4, 1}), {}}},
          {.name = "no rows", .args = {}, .inputs = {uniform({0, 3}), {}}},
          {.name = "empty rows", .args = {}, .inputs = {uniform({3, 0}), {}}},
          {.name = "large scores", .args = {}, .inputs = {uniform({2, 4, 9}, -8, 8), {}}, .f32_tolerance = 1e-4, .bf16 = false},
          {.name = "added mask", .args = {}, .inputs = {uniform({2, 2, 3, 5}), uniform({2, 1, 3, 5}, -1, 1, 2)}},
          {.name = "added mask, other axis", .args = {.axis = 1}, .inputs = {uniform({2, 4, 3}), uniform({4, 1}, -1, 1, 2)}}};
}

}  // namespace

template <>
struct Samples<ops::Softmax> {
  static constexpr std::array<std::size_t, 1> takes_scalar{1};
  static std::vector<Sample<ops::Softmax>> good() {
    auto list = common_samples<ops::Softmax>();
    list.push_back({.name = "kept", .args = {}, .inputs = {uniform({2, 3, 17}), keep({2, 3, 17})}, .bf16_tolerance = 6e-2});
    list.push_back({.name = "kept keys", .args = {}, .inputs = {uniform({2, 2, 3, 17}), keep({2, 1, 1, 17})}, .bf16_tolerance = 6e-2});
    list.push_back({.name = "kept queries", .args = {}, .inputs = {uniform({2, 3, 5}), keep({3, 1})}});
    list.push_back({.name = "kept, middle axis", .args = {.axis = 1}, .inputs = {uniform({2, 5, 3}), keep({5, 3})}});
    list.push_back({.name = "nothing kept", .args = {}, .inputs = {uniform({2, 5}), Tensor::zeros({2, 5}, DType::u8)}});
    return list;
  }
  static Sample<ops::Softmax> large() {
    return {.name = "large", .args = {}, .inputs = {uniform(kLarge), keep(kLarge)}, .bf16_tolerance = 6e-2};
  }
  static std::vector<BadSample<ops::Softmax>> bad() { return bad_samples<ops::Softmax>(); }
};

template <>
struct Samples<ops::LogSoftmax> {
  static constexpr std::array<std::size_t, 1> takes_scalar{1};
  static std::vector<Sample<ops::LogSoftmax>> good() { return common_samples<ops::LogSoftmax>(); }
  static Sample<ops::LogSoftmax> large() {  // y near -6, rounded to bf16, is what the gradient's exp(y) is taken of
    return {.name = "large", .args = {.axis = 0}, .inputs = {uniform(kLarge), {}}, .bf16_tolerance = 6e-2};
  }
  static std::vector<BadSample<ops::LogSoftmax>> bad() { return bad_samples<ops::LogSoftmax>(); }
};

namespace {
[[maybe_unused]] const bool registered = register_family<ops::SoftmaxOps>();
}  // namespace

}  // namespace capstan::testing
