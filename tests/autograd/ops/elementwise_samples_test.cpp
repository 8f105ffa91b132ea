// Samples of the elementwise ops; see op_table.h.

#include "autograd/ops/elementwise_op.h"

#include <cmath>

#include "autograd/core/rng.h"
#include "tests/autograd/ops/op_table.h"

namespace capstan::testing {
namespace {

// Magnitudes in [0.3, 1.5] of either sign: away from the kinks and poles at 0.
Tensor away_from_zero(const Shape& shape, std::uint64_t seed = 1) {
  Tensor t = uniform(shape, -1.2, 1.2, seed);
  for (double& v : t.span<double>()) v += v < 0 ? -0.3 : 0.3;
  return t;
}

Tensor mask(const Shape& shape) {
  Tensor t(shape, DType::u8);
  Rng rng(random_key(7, "mask"));
  for (std::uint8_t& v : t.span<std::uint8_t>()) v = rng.uniform() < 0.4 ? 1 : 0;
  return t;
}

template <class O>
std::vector<Sample<O>> unary(const typename O::Args& args, bool positive = false) {
  const auto x = [&](const Shape& shape) { return positive ? uniform(shape, 0.3, 2.5) : away_from_zero(shape); };
  return {{.name = "scalar", .args = args, .inputs = {x({})}},
          {.name = "row", .args = args, .inputs = {x({37})}},
          {.name = "one", .args = args, .inputs = {x({1, 1})}},
          {.name = "empty", .args = args, .inputs = {x({3, 0})}},
          {.name = "rank 4", .args = args, .inputs = {x({2, 3, 1, 7})}}};
}

template <class O>
Sample<O> large_unary(const typename O::Args& args, bool positive = false) {
  return {.name = "large", .args = args, .inputs = {positive ? uniform(kLarge, 0.3, 2.5) : away_from_zero(kLarge)}};
}

template <class O>
std::vector<BadSample<O>> unary_bad() {
  return {
      {.name = "integers", .args = {}, .inputs = {Tensor::zeros({2}, DType::i64)}, .message = "x must be of a floating type: x i64[2]"}};
}

// The operands are at least 0.01 apart, so that maximum and minimum stay on one side.
template <class O>
std::vector<Sample<O>> binary() {
  const std::pair<Shape, Shape> shapes[] = {
      {{}, {}},         {{5, 7}, {5, 7}}, {{4, 19}, {19}}, {{19}, {4, 19}},           {{3, 5}, {}},       {{1}, {2, 3}},
      {{3, 5}, {3, 1}}, {{4, 1}, {1, 6}}, {{0, 3}, {3}},   {{2, 3, 4, 5}, {3, 1, 5}}, {{3, 4}, {2, 1, 4}}};
  std::vector<Sample<O>> samples;
  for (const auto& [a, b] : shapes) {
    const Tensor first = away_from_zero(a, 1);
    Tensor second = away_from_zero(b, 2);
    for (bool close = true; close;) {
      close = false;
      for (double& v : second.span<double>())
        for (const double u : first.to_vector())
          if (std::abs(u - v) < 0.004) v += v < 0 ? -0.01 : 0.01, close = true;
    }
    // In bf16 the terms of a sum over broadcast axes are rounded before they cancel.
    samples.push_back({.name = to_text(a) + " and " + to_text(b), .args = {}, .inputs = {first, second}, .bf16_tolerance = 0.08});
  }
  return samples;
}

template <class O>
std::vector<BadSample<O>> binary_bad() {
  return {{.name = "shapes", .args = {}, .inputs = {uniform({2, 3}), uniform({2})}, .message = "a [2, 3], b [2]: axis -1 has 3 and 2"},
          {.name = "types",
           .args = {},
           .inputs = {uniform({2}), Tensor::zeros({2})},
           .message = "the same floating element type: a f64[2], b f32[2]"},
          {.name = "integers",
           .args = {},
           .inputs = {Tensor::zeros({2}, DType::i32), Tensor::zeros({2}, DType::i32)},
           .message = "floating element type"}};
}

}  // namespace

template <class F>
struct Samples<ops::BinaryOp<F>> {
  static auto good() { return binary<ops::BinaryOp<F>>(); }
  static Sample<ops::BinaryOp<F>> large() {
    return {.name = "large", .args = {}, .inputs = {away_from_zero(kLarge), away_from_zero({kLarge[-1]}, 2)}, .bf16_tolerance = 0.08};
  }
  static auto bad() { return binary_bad<ops::BinaryOp<F>>(); }
};

template <>
struct Samples<ops::Affine> {
  static auto good() { return unary<ops::Affine>({.scale = -1.7, .shift = 0.25}); }
  static auto large() { return large_unary<ops::Affine>({.scale = -1.7, .shift = 0.25}); }
  static auto bad() { return unary_bad<ops::Affine>(); }
};
template <>
struct Samples<ops::Neg> {
  static auto good() { return unary<ops::Neg>({}); }
  static auto large() { return large_unary<ops::Neg>({}); }
  static auto bad() { return unary_bad<ops::Neg>(); }
};
template <>
struct Samples<ops::Abs> {
  static auto good() { return unary<ops::Abs>({}); }
  static auto large() { return large_unary<ops::Abs>({}); }
  static auto bad() { return unary_bad<ops::Abs>(); }
};
template <>
struct Samples<ops::Square> {
  static auto good() { return unary<ops::Square>({}); }
  static auto large() { return large_unary<ops::Square>({}); }
  static auto bad() { return unary_bad<ops::Square>(); }
};
template <>
struct Samples<ops::Sqrt> {
  static auto good() { return unary<ops::Sqrt>({}, true); }
  static auto large() { return large_unary<ops::Sqrt>({}, true); }
  static auto bad() { return unary_bad<ops::Sqrt>(); }
};
template <>
struct Samples<ops::Rsqrt> {
  static auto good() { return unary<ops::Rsqrt>({}, true); }
  static auto large() { return large_unary<ops::Rsqrt>({}, true); }
  static auto bad() { return unary_bad<ops::Rsqrt>(); }
};
template <>
struct Samples<ops::Pow> {
  static auto good() {
    auto samples = unary<ops::Pow>({.exponent = 3});
    samples.push_back({.name = "square root of a cube", .args = {.exponent = 1.5}, .inputs = {uniform({9}, 0.3, 2.0)}});
    samples.push_back({.name = "reciprocal", .args = {.exponent = -1}, .inputs = {away_from_zero({9})}});
    samples.push_back({.name = "constant", .args = {.exponent = 0}, .inputs = {away_from_zero({9})}});
    return samples;
  }
  static auto large() { return large_unary<ops::Pow>({.exponent = 3}); }
  static auto bad() { return unary_bad<ops::Pow>(); }
};

template <>
struct Samples<ops::Where> {
  static std::vector<Sample<ops::Where>> good() {
    return {{.name = "same shapes", .args = {}, .inputs = {mask({5, 7}), uniform({5, 7}), uniform({5, 7}, -1, 1, 2)}},
            {.name = "scalar b", .args = {}, .inputs = {mask({4, 19}), uniform({4, 19}), uniform({})}},
            {.name = "mask of columns", .args = {}, .inputs = {mask({4, 1}), uniform({2, 4, 5}), uniform({5})}},
            {.name = "wide mask", .args = {}, .inputs = {mask({3, 4}), uniform({4}), uniform({1})}},
            {.name = "empty", .args = {}, .inputs = {mask({0, 3}), uniform({0, 3}), uniform({3})}}};
  }
  static Sample<ops::Where> large() {
    return {.name = "large", .args = {}, .inputs = {mask(kLarge), uniform(kLarge), uniform({kLarge[-1]}, -1, 1, 2)}};
  }
  static std::vector<BadSample<ops::Where>> bad() {
    return {{.name = "mask type",
             .args = {},
             .inputs = {uniform({2}), uniform({2}), uniform({2})},
             .message = "the mask must be u8: mask f64[2]"},
            {.name = "types", .args = {}, .inputs = {mask({2}), uniform({2}), Tensor::zeros({2})}, .message = "a f64[2], b f32[2]"},
            {.name = "shapes", .args = {}, .inputs = {mask({3}), uniform({2}), uniform({2})}, .message = "axis -1 has 3 and 2"}};
  }
};

template <>
struct Samples<ops::MaskedFill> {
  static std::vector<Sample<ops::MaskedFill>> good() {
    return {{.name = "same shapes", .args = {.value = -2.5}, .inputs = {uniform({5, 7}), mask({5, 7})}},
            {.name = "rows", .args = {.value = 0.5}, .inputs = {uniform({2, 4, 19}), mask({4, 1})}},
            {.name = "columns", .args = {.value = 0}, .inputs = {uniform({4, 19}), mask({19})}},
            {.name = "empty", .args = {.value = 1}, .inputs = {uniform({0, 2}), mask({2})}}};
  }
  static Sample<ops::MaskedFill> large() {
    return {.name = "large", .args = {.value = 0.5}, .inputs = {uniform(kLarge), mask({kLarge[0], 1})}};
  }
  static std::vector<BadSample<ops::MaskedFill>> bad() {
    return {{.name = "mask type", .args = {}, .inputs = {uniform({2}), uniform({2})}, .message = "the mask must be u8: mask f64[2]"},
            {.name = "wider mask", .args = {}, .inputs = {uniform({2}), mask({3, 2})}, .message = "x f64[2], mask u8[3, 2]"},
            {.name = "integers", .args = {}, .inputs = {Tensor::zeros({2}, DType::i64), mask({2})}, .message = "floating"}};
  }
};

template <>
struct Samples<ops::Cast> {
  static std::vector<Sample<ops::Cast>>
  good() {  // to f64: other targets round, which central differences would see; they are in elementwise_test.cpp
    return {{.name = "matrix", .args = {.dtype = DType::f64}, .inputs = {uniform({5, 7})}},
            {.name = "scalar", .args = {.dtype = DType::f64}, .inputs = {uniform({})}},
            {.name = "empty", .args = {.dtype = DType::f64}, .inputs = {uniform({0})}}};
  }
  static Sample<ops::Cast> large() { return {.name = "large", .args = {.dtype = DType::bf16}, .inputs = {uniform(kLarge)}, .bf16 = false}; }
  static std::vector<BadSample<ops::Cast>> bad() {
    return {{.name = "integers", .args = {.dtype = DType::i64}, .inputs = {uniform({2})}, .message = "x f64[2], to i64"}};
  }
};

template <>
struct Samples<ops::Convert> {
  static std::vector<Sample<ops::Convert>> good() {
    return {{.name = "toward zero", .args = {.dtype = DType::i32}, .inputs = {uniform({5, 7}, -90, 90)}},
            {.name = "mask to numbers", .args = {.dtype = DType::f32}, .inputs = {mask({9})}}};
  }
  static Sample<ops::Convert> large() {
    return {.name = "large", .args = {.dtype = DType::i32}, .inputs = {uniform(kLarge, -90, 90)}, .threads = false};
  }
  static std::vector<BadSample<ops::Convert>> bad() {
    return {{.name = "floating", .args = {.dtype = DType::f32}, .inputs = {uniform({2})}, .message = "between floating types it is cast"}};
  }
};

namespace {
const bool registered = register_family<ops::ElementwiseOps>();
}

}  // namespace capstan::testing
