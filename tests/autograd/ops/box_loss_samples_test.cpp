#include "autograd/ops/box_loss.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <vector>

#include "data/hdf5/hdf5.h"
#include "tests/autograd/ops/op_table.h"

namespace capstan::testing {
namespace {

/// n boxes as centre and size.
Tensor boxes(std::int64_t n, std::uint64_t seed) {
  const Tensor centres = uniform({n, 2}, .2, .8, seed), sizes = uniform({n, 2}, .05, .6, seed + 1), all(Shape{n, 4}, DType::f64);
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t k = 0; k < 2; ++k) {
      all.data<double>()[4 * i + k] = centres.data<const double>()[2 * i + k];
      all.data<double>()[4 * i + 2 + k] = sizes.data<const double>()[2 * i + k];
    }
  return all;
}

}  // namespace

template <>
struct Samples<ops::GeneralizedIouLoss> {
  static std::vector<Sample<ops::GeneralizedIouLoss>> good() {
    const Tensor a = Tensor::from<double>({.1, .2, .5, .6, 0, 0, 1, 1}, {2, 4}),
                 b = Tensor::from<double>({.3, .1, .7, .5, 2, 2.5, 3, 3.5}, {2, 4});
    return {{.name = "mean", .args = {}, .inputs = {boxes(9, 1), boxes(9, 3)}},
            {.name = "sum", .args = {.reduction = Reduction::sum()}, .inputs = {boxes(2, 5), boxes(2, 7)}},
            {.name = "over", .args = {.reduction = Reduction::over(5)}, .inputs = {boxes(3, 9), boxes(3, 11)}},
            {.name = "corners", .args = {.form = BoxForm::corners}, .inputs = {a, b}},
            {.name = "no boxes", .args = {}, .inputs = {uniform({0, 4}), uniform({0, 4})}}};
  }
  static Sample<ops::GeneralizedIouLoss> large() {
    return {.name = "large", .args = {}, .inputs = {boxes(20011, 1), boxes(20011, 3)}, .threads = false};
  }
  static std::vector<BadSample<ops::GeneralizedIouLoss>> bad() {
    const Tensor x = uniform({2, 4});
    return {
        {.name = "shape", .args = {}, .inputs = {x, uniform({3, 4})}, .message = "boxes f64[2, 4], targets f64[3, 4]"},
        {.name = "width", .args = {}, .inputs = {uniform({2, 5}), uniform({2, 5})}, .message = "must be [N, 4]: boxes f64[2, 5]"},
        {.name = "type", .args = {}, .inputs = {x, Tensor::zeros({2, 4}, DType::f32)}, .message = "boxes f64[2, 4], targets f32[2, 4]"}};
  }
};

namespace {

[[maybe_unused]] const bool registered = register_family<ops::BoxLossOps>();

// Values and gradients of PyTorch (tests/goldens/make_detection.py), at kinks too; the last pair has a box without area.
TEST(BoxLoss, EqualsPytorch) {
  const data::Hdf5Reader golden(CAPSTAN_SOURCE_DIR "/tests/goldens/detection.h5", {.require_seal = false});
  const Tensor all_boxes = golden.read("/giou/boxes"), all_targets = golden.read("/giou/targets");
  const auto expected = golden.read("/giou/loss").to_vector();
  const std::array gradients{golden.read("/giou/boxes_gradient").to_vector(), golden.read("/giou/targets_gradient").to_vector()};
  for (std::int64_t i = 0; i < all_boxes.size(0); ++i) {
    const Tensor a = make_leaf(all_boxes.view(all_boxes.layout().slice(0, i, 1)).clone()),
                 b = make_leaf(all_targets.view(all_targets.layout().slice(0, i, 1)).clone());
    const double times = static_cast<double>(i) + 1;
    Tape tape;
    const Tensor loss = generalized_iou_loss(a, b, {.reduction = Reduction::over(1 / times)}).value;
    EXPECT_NEAR(loss.item() / times, expected[static_cast<std::size_t>(i)], 1e-12) << i;
    const Gradients g = tape.backward(loss);
    const auto da = dense_values(g.of(a)), db = dense_values(g.of(b));
    for (std::size_t k = 0; k < 4; ++k) {
      const std::size_t at = 4 * static_cast<std::size_t>(i) + k;
      EXPECT_NEAR(da[k], gradients[0][at], 1e-9) << i << " " << k;
      EXPECT_NEAR(db[k], gradients[1][at], 1e-9) << i << " " << k;
    }
  }
}

TEST(BoxLoss, BoxesWithoutArea) {
  const Tensor a = make_leaf(Tensor::from<double>({.5, .5, 0, 0, .5, .5, 0, 0}, {2, 4})),
               b = Tensor::from<double>({.5, .5, 0, 0, .25, .25, 0, 0}, {2, 4});
  Tape tape;
  const Tensor loss = generalized_iou_loss(a, b, {.reduction = Reduction::sum()}).value;
  EXPECT_EQ(loss.item(), 1 + 2) << "at one place, and apart";
  for (const double d : dense_values(tape.backward(loss).of(a))) EXPECT_TRUE(std::isfinite(d));
}

}  // namespace
}  // namespace capstan::testing
