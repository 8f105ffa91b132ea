#include "autograd/ops/pool.h"
#include "tests/autograd/ops/op_table.h"

namespace capstan::testing {
namespace {

const Window kUneven{.stride = {2, 1}, .before = {0, 1}, .after = {1, 0}};
const Window kDilated{.stride = {1, 2}, .before = {1, 1}, .after = {1, 1}, .dilation = {2, 1}};

// Distinct values a whole step apart: no window is near a tie, in bf16 too.
Tensor distinct(const Shape& shape) {
  Tensor t(shape, DType::f64);
  std::vector<double> values;
  for (std::int64_t i = 0; i < shape.numel(); ++i) values.push_back(static_cast<double>(i * 37 % 101) / 8 - 6);
  return shape.numel() == 0 ? t : Tensor::from(values, shape);
}

template <class O>
std::vector<Sample<O>> pool_samples() {
  return {{.name = "halves", .args = {.window = square_window(2)}, .inputs = {distinct({2, 3, 4, 6})}},
          {.name = "overlap", .args = {.kernel = {3, 3}, .window = square_window(2, 1)}, .inputs = {distinct({1, 2, 5, 7})}},
          {.name = "uneven", .args = {.kernel = {3, 2}, .window = kUneven}, .inputs = {distinct({1, 2, 4, 3})}},
          {.name = "dilated", .args = {.kernel = {2, 3}, .window = kDilated}, .inputs = {distinct({1, 1, 4, 5})}},
          {.name = "one element", .args = {.kernel = {1, 1}}, .inputs = {distinct({2, 1, 1, 1})}},
          {.name = "no images", .args = {}, .inputs = {distinct({0, 2, 3, 3})}}};
}

template <class O>
Sample<O> large_pool_sample() {
  return {.name = "large", .args = {.kernel = {3, 2}, .window = kUneven}, .inputs = {distinct({4, 17, 58, 53})}};
}

template <class O>
std::vector<BadSample<O>> bad_pool_samples() {
  const Tensor x = uniform({1, 2, 3, 3});
  return {{.name = "rank", .args = {}, .inputs = {uniform({2, 3, 3})}, .message = "x must be [B, C, H, W]: x f64[2, 3, 3]"},
          {.name = "integers", .args = {}, .inputs = {Tensor::zeros({1, 2, 3, 3}, DType::i64)}, .message = "must be of a floating type"},
          {.name = "size", .args = {.kernel = {2, 4}}, .inputs = {x}, .message = "width 3 with padding 0 and 0, window 4"},
          {.name = "padding", .args = {.window = square_window(1, 2)}, .inputs = {x}, .message = "no window may lie in the padding"},
          {.name = "kernel", .args = {.kernel = {0, 1}}, .inputs = {x}, .message = "height kernel 0"}};
}

}  // namespace

template <>
struct Samples<ops::MaxPool2d> {
  static auto good() { return pool_samples<ops::MaxPool2d>(); }
  static auto large() { return large_pool_sample<ops::MaxPool2d>(); }
  static auto bad() { return bad_pool_samples<ops::MaxPool2d>(); }
};

template <>
struct Samples<ops::AvgPool2d> {
  static std::vector<Sample<ops::AvgPool2d>> good() {
    std::vector<Sample<ops::AvgPool2d>> list = pool_samples<ops::AvgPool2d>();
    for (const std::size_t i : {1u, 3u}) {
      list.push_back(list[i]);
      list.back().args.count_padding = false;
    }
    return list;
  }
  static auto large() { return large_pool_sample<ops::AvgPool2d>(); }
  static auto bad() { return bad_pool_samples<ops::AvgPool2d>(); }
};

namespace {
[[maybe_unused]] const bool registered = register_family<ops::PoolOps>();
}  // namespace

}  // namespace capstan::testing
