#include "autograd/ops/loss.h"
#include "tests/autograd/ops/op_table.h"

namespace capstan::testing {
namespace {

Tensor classes(std::initializer_list<std::int64_t> values, const Shape& shape) { return Tensor::from<std::int64_t>(values, shape); }

}  // namespace

template <>
struct Samples<ops::CrossEntropy> {
  static std::vector<Sample<ops::CrossEntropy>> good() {
    const Tensor weights = Tensor::from<double>({1, .5, 2, 0, 1.5}, {5});
    const Tensor wide = uniform({2, 2053});  // more than one chunk, and not a whole number of vectors
    return {
        {.name = "mean", .args = {}, .inputs = {uniform({4, 5}), classes({0, 4, 2, 2}, {4}), {}}},
        {.name = "sum", .args = {.reduction = Reduction::sum()}, .inputs = {uniform({4, 5}), classes({0, 4, 2, 2}, {4}), {}}},
        {.name = "over", .args = {.reduction = Reduction::over(7)}, .inputs = {uniform({2, 2, 5}), classes({0, 4, 2, 2}, {2, 2}), {}}},
        {.name = "one example", .args = {}, .inputs = {uniform({5}), classes({3}, {}), {}}},
        {.name = "one class", .args = {}, .inputs = {uniform({2, 1}), classes({0, 0}, {2}), {}}, .f32 = false, .bf16 = false},
        {.name = "ignored", .args = {.ignore_index = 0}, .inputs = {uniform({4, 5}), classes({0, 4, 0, 2}, {4}), {}}},
        {.name = "all ignored", .args = {}, .inputs = {uniform({2, 5}), classes({-100, -100}, {2}), {}}},
        {.name = "no examples", .args = {}, .inputs = {uniform({0, 5}), classes({}, {0}), {}}},
        {.name = "smoothing", .args = {.label_smoothing = .1}, .inputs = {uniform({3, 5}), classes({1, -100, 4}, {3}), {}}},
        {.name = "class weights", .args = {}, .inputs = {uniform({3, 5}), classes({1, 2, 4}, {3}), weights}},
        {.name = "smoothed class weights", .args = {.label_smoothing = .2}, .inputs = {uniform({3, 5}), classes({1, 3, 4}, {3}), weights}},
        {.name = "wide", .args = {}, .inputs = {wide, classes({2052, 0}, {2}), {}}}};
  }
  static Sample<ops::CrossEntropy> large() {
    return {.name = "large",
            .args = {.ignore_index = 4, .label_smoothing = .1},
            .inputs = {uniform(kLarge), some_indices({kLarge[0]}, kLarge[1]), uniform({kLarge[1]}, .5, 1.5, 2)}};
  }
  static std::vector<BadSample<ops::CrossEntropy>> bad() {
    const Tensor x = uniform({2, 5});
    return {
        {.name = "beyond", .args = {}, .inputs = {x, classes({0, 5}, {2}), {}}, .message = "position 1 holds 5, V is 5"},
        {.name = "negative", .args = {}, .inputs = {x, classes({-1, 0}, {2}), {}}, .message = "ignore index -100: position 0 holds -1"},
        {.name = "count", .args = {}, .inputs = {x, classes({0}, {1}), {}}, .message = "logits f64[2, 5], targets i64[1]"},
        {.name = "type", .args = {}, .inputs = {x, Tensor::zeros({2}, DType::i32), {}}, .message = "targets must be i64: targets i32[2]"},
        {.name = "no classes", .args = {}, .inputs = {uniform({2, 0}), classes({0, 0}, {2}), {}}, .message = "with V > 0"},
        {.name = "smoothing", .args = {.label_smoothing = 2}, .inputs = {x, classes({0, 0}, {2}), {}}, .message = "must lie in [0, 1]: 2"},
        {.name = "weights", .args = {}, .inputs = {x, classes({0, 0}, {2}), Tensor::zeros({4})}, .message = "class_weights f32[4]"}};
  }
};

template <>
struct Samples<ops::SoftCrossEntropy> {
  static std::vector<Sample<ops::SoftCrossEntropy>> good() {
    return {{.name = "mean", .args = {}, .inputs = {uniform({3, 7}), uniform({3, 7}, 0, 1, 2)}},
            {.name = "sum", .args = {.reduction = Reduction::sum()}, .inputs = {uniform({2, 2, 17}), uniform({2, 2, 17}, 0, 1, 2)}},
            {.name = "wide", .args = {}, .inputs = {uniform({1, 1029}), uniform({1, 1029}, 0, .002, 2)}},
            {.name = "no examples", .args = {}, .inputs = {uniform({0, 5}), uniform({0, 5})}}};
  }
  static Sample<ops::SoftCrossEntropy> large() {
    return {.name = "large", .args = {}, .inputs = {uniform(kLarge), uniform(kLarge, 0, .007, 2)}};
  }
  static std::vector<BadSample<ops::SoftCrossEntropy>> bad() {
    return {{.name = "shape", .args = {}, .inputs = {uniform({2, 5}), uniform({5})}, .message = "logits f64[2, 5], targets f64[5]"},
            {.name = "type", .args = {}, .inputs = {uniform({2, 5}), Tensor::zeros({2, 5}, DType::i64)}, .message = "targets i64[2, 5]"}};
  }
};

template <>
struct Samples<ops::BceWithLogits> {
  static constexpr std::array<std::size_t, 1> takes_scalar{2};  // beside a scalar
  static std::vector<Sample<ops::BceWithLogits>> good() {
    return {{.name = "mean", .args = {}, .inputs = {uniform({3, 7}), uniform({3, 7}, 0, 1, 2), {}}},
            {.name = "scalar", .args = {.reduction = Reduction::sum()}, .inputs = {uniform({}), uniform({}, 0, 1, 2), {}}},
            {.name = "weights",
             .args = {},
             .inputs = {uniform({2, 2}), uniform({2, 2}, 0, 1, 2), Tensor::from<double>({1, 0, 2.5, .5}, {2, 2})}},
            {.name = "nothing", .args = {}, .inputs = {uniform({0}), uniform({0}), {}}}};
  }
  static Sample<ops::BceWithLogits> large() {
    return {.name = "large", .args = {}, .inputs = {uniform(kLarge), uniform(kLarge, 0, 1, 2), uniform(kLarge, 0, 2, 3)}};
  }
  static std::vector<BadSample<ops::BceWithLogits>> bad() {
    return {{.name = "shape", .args = {}, .inputs = {uniform({2, 5}), uniform({5}), {}}, .message = "logits f64[2, 5], targets f64[5]"},
            {.name = "weights",
             .args = {},
             .inputs = {uniform({2}), uniform({2}), Tensor::zeros({3})},
             .message = "logits f64[2], weights f32[3]"}};
  }
};

namespace {
[[maybe_unused]] const bool registered = register_family<ops::LossOps>();
}  // namespace

}  // namespace capstan::testing
