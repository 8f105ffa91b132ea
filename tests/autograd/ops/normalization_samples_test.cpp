#include "autograd/ops/normalization.h"

#include <array>

#include "tests/autograd/ops/op_table.h"

namespace capstan::testing {
namespace {

Tensor ids(std::initializer_list<std::int64_t> values) {
  return Tensor::from<std::int64_t>(values, {static_cast<std::int64_t>(values.size())});
}

template <class O>
std::vector<Sample<O>> fused_samples() {
  const auto inputs = [](const Shape& shape, const Tensor& row_ids) {
    const Shape row{shape[-1]};
    return std::vector<Tensor>{uniform(shape),           uniform(row, -1, 1, 2), uniform(shape, -1, 1, 3),
                               uniform(row, .5, 1.5, 4), uniform(row, -1, 1, 5), row_ids};
  };
  std::vector<Sample<O>> list{
      {.name = "no dropout", .args = {}, .inputs = inputs({3, 5}, {}), .bf16_tolerance = 6e-2},
      {.name = "dropout", .args = {.p = .3, .key = 4}, .inputs = inputs({2, 3, 17}, {}), .bf16_tolerance = 6e-2},
      {.name = "row ids", .args = {.p = .3, .key = 4}, .inputs = inputs({3, 2, 9}, ids({7, 1, 8})), .bf16_tolerance = 6e-2},
      {.name = "drop all", .args = {.p = 1, .key = 4}, .inputs = inputs({2, 6}, {}), .bf16_tolerance = 6e-2},
      {.name = "no rows", .args = {.p = .5}, .inputs = inputs({0, 6}, {})}};
  for (const std::size_t absent : {1u, 4u}) {
    list.push_back(list[1]);
    list.back().name = absent == 1 ? "no bias" : "no beta";
    list.back().inputs[absent] = {};
  }
  for (const std::size_t like : {0u, 2u, 4u, 6u}) {
    list.push_back(list[like]);
    list.back().name = "rms, " + list[like].name;
    list.back().args.kind = NormKind::rms;
  }
  return list;
}

template <class O>
Sample<O> large_fused_sample() {
  const Shape row{kLarge[-1]};
  return {
      .name = "large",
      .args = {.p = .3, .key = 4},
      .inputs = {uniform(kLarge), uniform(row, -1, 1, 2), uniform(kLarge, -1, 1, 3), uniform(row, .5, 1.5, 4), uniform(row, -1, 1, 5), {}},
      .bf16_tolerance = 6e-2};
}

template <class O>
std::vector<BadSample<O>> fused_bad_samples() {
  const Tensor x = uniform({3, 4}), row = uniform({4});
  return {
      {.name = "residual", .args = {}, .inputs = {x, row, uniform({3, 5}), row, row, {}}, .message = "x f64[3, 4], residual f64[3, 5]"},
      {.name = "bias", .args = {}, .inputs = {x, uniform({3}), x, row, row, {}}, .message = "bias must be [4]: x f64[3, 4], bias f64[3]"},
      {.name = "p", .args = {.p = -1}, .inputs = {x, row, x, row, row, {}}, .message = "p -1"},
      {.name = "ids", .args = {.p = .1}, .inputs = {x, row, x, row, row, ids({1, 2, 3, 4, 5})}, .message = "row_ids i64[5]"}};
}

}  // namespace

template <>
struct Samples<ops::LayerNorm> {
  static constexpr std::array<std::size_t, 2> parameters{1, 2};
  static std::vector<Sample<ops::LayerNorm>> good() {
    const auto inputs = [](const Shape& shape) {
      return std::vector<Tensor>{uniform(shape), uniform({shape[-1]}, .5, 1.5, 2), uniform({shape[-1]}, -1, 1, 3)};
    };
    std::vector<Sample<ops::LayerNorm>> list{
        {.name = "row", .args = {}, .inputs = inputs({7})},
        {.name = "rows", .args = {.eps = 1e-12}, .inputs = inputs({3, 2, 37}), .bf16_tolerance = 6e-2},
        {.name = "large eps", .args = {.eps = 1}, .inputs = inputs({2, 5})},
        {.name = "several blocks of rows", .args = {}, .inputs = inputs({101, 3}), .f32_tolerance = 2e-4, .bf16 = false},
        {.name = "size 1", .args = {}, .inputs = inputs({4, 1}), .f32 = false, .bf16 = false},
        {.name = "no rows", .args = {}, .inputs = inputs({0, 4})},
        {.name = "empty rows", .args = {}, .inputs = inputs({3, 0})}};
    list.push_back({.name = "no beta", .args = {}, .inputs = {uniform({3, 5}), uniform({5}, .5, 1.5, 2), {}}});
    for (const std::size_t like : {0u, 1u, 2u, 3u, 5u, 6u, 7u}) {
      list.push_back(list[like]);
      list.back().name = "rms, " + list[like].name;
      list.back().args.kind = NormKind::rms;
    }
    list.push_back({.name = "rms, size 1", .args = {.eps = .5, .kind = NormKind::rms}, .inputs = inputs({4, 1})});
    return list;
  }
  static Sample<ops::LayerNorm> large() {
    const Shape row{kLarge[-1]};
    return {
        .name = "large", .args = {}, .inputs = {uniform(kLarge), uniform(row, .5, 1.5, 2), uniform(row, -1, 1, 3)}, .bf16_tolerance = 6e-2};
  }
  static std::vector<BadSample<ops::LayerNorm>> bad() {
    const Tensor x = uniform({3, 4}), row = uniform({4});
    return {{.name = "scalar", .args = {}, .inputs = {uniform({}), row, row}, .message = "x must have an axis to normalise over"},
            {.name = "gamma", .args = {}, .inputs = {x, uniform({3}), row}, .message = "gamma must be [4]: x f64[3, 4], gamma f64[3]"},
            {.name = "beta", .args = {}, .inputs = {x, row, uniform({1, 4})}, .message = "beta f64[1, 4]"},
            {.name = "type",
             .args = {},
             .inputs = {x, Tensor::zeros({4}), row},
             .message = "element types must agree: x f64[3, 4], gamma f32[4]"},
            {.name = "eps", .args = {.eps = -1}, .inputs = {x, row, row}, .message = "eps -1"}};
  }
};

template <>
struct Samples<ops::DropoutResidualLayerNorm> {
  static constexpr std::array<std::size_t, 3> parameters{1, 3, 4};
  static auto good() { return fused_samples<ops::DropoutResidualLayerNorm>(); }
  static auto large() { return large_fused_sample<ops::DropoutResidualLayerNorm>(); }
  static auto bad() { return fused_bad_samples<ops::DropoutResidualLayerNorm>(); }
};

template <>
struct Samples<ops::DropoutResidualLayerNormWithSum> {
  static constexpr std::array<std::size_t, 3> parameters{1, 3, 4};
  static auto good() { return fused_samples<ops::DropoutResidualLayerNormWithSum>(); }
  static auto large() { return large_fused_sample<ops::DropoutResidualLayerNormWithSum>(); }
  static auto bad() { return fused_bad_samples<ops::DropoutResidualLayerNormWithSum>(); }
};

namespace {
[[maybe_unused]] const bool registered = register_family<ops::NormalizationOps>();
}  // namespace

}  // namespace capstan::testing
