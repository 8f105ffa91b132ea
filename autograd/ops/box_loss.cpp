#include "autograd/ops/box_loss.h"

#include <algorithm>

#include "autograd/ops/operands.h"

namespace capstan {
namespace ops {
namespace {

struct Corners {
  double x1, y1, x2, y2;
};

Corners corners_of(const double* box, BoxForm form) {
  if (form == BoxForm::corners) return {box[0], box[1], box[2], box[3]};
  return {box[0] - 0.5 * box[2], box[1] - 0.5 * box[3], box[0] + 0.5 * box[2], box[1] + 0.5 * box[3]};
}

/// The quantities of a pair: sides of both boxes, of what they have in common and of the box around both.
struct Pair {
  Corners a, b;
  double width_a, height_a, width_b, height_b, inner_width, inner_height, outer_width, outer_height;
  Pair(const Corners& first, const Corners& second)
      : a(first),
        b(second),
        width_a(a.x2 - a.x1),
        height_a(a.y2 - a.y1),
        width_b(b.x2 - b.x1),
        height_b(b.y2 - b.y1),
        inner_width(std::min(a.x2, b.x2) - std::max(a.x1, b.x1)),
        inner_height(std::min(a.y2, b.y2) - std::max(a.y1, b.y1)),
        outer_width(std::max(a.x2, b.x2) - std::min(a.x1, b.x1)),
        outer_height(std::max(a.y2, b.y2) - std::min(a.y1, b.y1)) {}

  // A NaN stays one: only what is known to be below 0 is cut.
  double common() const { return (inner_width < 0 ? 0 : inner_width) * (inner_height < 0 ? 0 : inner_height); }
  double all() const { return width_a * height_a + width_b * height_b - common(); }
  double around() const { return outer_width * outer_height; }
};

double loss_of(const Pair& p) {
  const double all = p.all(), around = p.around();
  if (around == 0) return 1;
  return 1 - (all == 0 ? 0 : p.common() / all) + (around - all) / around;
}

/// What max(x, y) passes to x.
double share_of_larger(double x, double y) { return x > y ? 1 : x == y ? 0.5 : 0; }

// loss = 2 - I/U - U/C with U = A + B - I, so dL/dC = U/C^2, dL/dA = dL/dB = I/U^2 - 1/C =: u and dL/dI = -1/U - u. I is a product of
// sides min(x2, x2') - max(x1, x1'), each 0 with no gradient where it is negative; C one of max(x2, x2') - min(x1, x1'); A of x2 - x1.
void add_gradient(const Pair& p, double factor, Corners& da, Corners& db) {
  const double common = p.common(), all = p.all(), around = p.around();
  if (around == 0) return;
  const double u = (all == 0 ? 0 : common / (all * all)) - 1 / around, i = (all == 0 ? 0 : -1 / all) - u, c = all / (around * around);
  const bool meets_x = !(p.inner_width < 0), meets_y = !(p.inner_height < 0);
  const double inner_x = meets_x && meets_y ? factor * i * p.inner_height : 0,
               inner_y = meets_x && meets_y ? factor * i * p.inner_width : 0;
  const double outer_x = factor * c * p.outer_height, outer_y = factor * c * p.outer_width;
  const auto side = [](double inner, double outer, double own, double a1, double a2, double b1, double b2, double& d1, double& d2) {
    d2 += inner * share_of_larger(b2, a2) + outer * share_of_larger(a2, b2) + own;
    d1 -= inner * share_of_larger(a1, b1) + outer * share_of_larger(b1, a1) + own;
  };
  side(inner_x, outer_x, factor * u * p.height_a, p.a.x1, p.a.x2, p.b.x1, p.b.x2, da.x1, da.x2);
  side(inner_y, outer_y, factor * u * p.width_a, p.a.y1, p.a.y2, p.b.y1, p.b.y2, da.y1, da.y2);
  side(inner_x, outer_x, factor * u * p.height_b, p.b.x1, p.b.x2, p.a.x1, p.a.x2, db.x1, db.x2);
  side(inner_y, outer_y, factor * u * p.width_b, p.b.y1, p.b.y2, p.a.y1, p.a.y2, db.y1, db.y2);
}

void write_gradient(const Corners& d, BoxForm form, double* out) {
  if (form == BoxForm::corners) {
    out[0] = d.x1, out[1] = d.y1, out[2] = d.x2, out[3] = d.y2;
  } else {
    out[0] = d.x1 + d.x2, out[1] = d.y1 + d.y2, out[2] = 0.5 * (d.x2 - d.x1), out[3] = 0.5 * (d.y2 - d.y1);
  }
}

}  // namespace

std::array<Spec, 2> GeneralizedIouLoss::spec(const Args&, const Spec& boxes, const Spec& targets) {
  check_floating(name, "boxes", boxes);
  require<DTypeError>(targets.dtype == boxes.dtype, name, ": element types must agree: boxes ", boxes, ", targets ", targets);
  require(boxes.shape.rank() == 2 && boxes.shape[1] == 4 && targets.shape == boxes.shape, name,
          ": boxes and targets must be [N, 4]: boxes ", boxes, ", targets ", targets);
  return loss_specs(boxes.dtype);
}

std::array<Tensor, 2> GeneralizedIouLoss::forward(const Args& args, const Tensor& boxes, const Tensor& targets,
                                                  const Call<2, std::array<Spec, 2>>& call, Saved& saved) {
  const Tensor from = converted(boxes, DType::f64), wanted = converted(targets, DType::f64);
  const auto* a = from.data<const double>();
  const auto* b = wanted.data<const double>();
  double sum = 0;
  for (std::int64_t i = 0; i < boxes.size(0); ++i) sum += loss_of({corners_of(a + 4 * i, args.form), corners_of(b + 4 * i, args.form)});
  const auto count = static_cast<double>(boxes.size(0));
  const double scale = args.reduction.scale(count);
  if (call.records()) saved = {.boxes = boxes, .targets = targets, .scale = scale};
  return loss_outputs(boxes.dtype(), sum * scale, count);
}

// Row by row, by the rules above add_gradient.
Grads<2> GeneralizedIouLoss::backward(const Args& args, const Saved& saved, const std::array<Tensor, 2>& dy, Needs<2> needs) {
  const Tensor from = converted(saved.boxes, DType::f64), wanted = converted(saved.targets, DType::f64);
  const Tensor da(from.shape(), DType::f64), db(from.shape(), DType::f64);
  const auto* a = from.data<const double>();
  const auto* b = wanted.data<const double>();
  const double factor = saved.scale * loss_gradient(dy);
  for (std::int64_t i = 0; i < from.size(0); ++i) {
    Corners first{}, second{};
    add_gradient({corners_of(a + 4 * i, args.form), corners_of(b + 4 * i, args.form)}, factor, first, second);
    write_gradient(first, args.form, da.data<double>() + 4 * i);
    write_gradient(second, args.form, db.data<double>() + 4 * i);
  }
  const DType dtype = saved.boxes.dtype();
  return {needs[0] ? converted(da, dtype) : Tensor{}, needs[1] ? converted(db, dtype) : Tensor{}};
}

}  // namespace ops

Loss generalized_iou_loss(const Tensor& boxes, const Tensor& targets, const ops::GeneralizedIouLoss::Args& options) {
  return as_loss(apply<ops::GeneralizedIouLoss>(options, boxes, targets));
}

}  // namespace capstan
