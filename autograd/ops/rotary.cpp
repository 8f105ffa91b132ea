#include "autograd/ops/rotary.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>
#include <mutex>
#include <tuple>

#include "autograd/kernels/rotary.h"
#include "autograd/ops/operands.h"

namespace capstan {
namespace {

RotaryTable made(std::int64_t places, std::int64_t width, double base, DType dtype) {
  const std::int64_t half = width / 2;
  const RotaryTable table{Tensor({places, half}, dtype), Tensor({places, half}, dtype)};
  for (std::int64_t i = 0; i < half; ++i) {
    const double frequency = std::pow(base, -2 * static_cast<double>(i) / static_cast<double>(width));
    for (std::int64_t t = 0; t < places; ++t) {
      const double angle = static_cast<double>(t) * frequency;
      if (dtype == DType::f64) {
        table.cosines.data<double>()[t * half + i] = std::cos(angle);
        table.sines.data<double>()[t * half + i] = std::sin(angle);
      } else {
        table.cosines.data<float>()[t * half + i] = static_cast<float>(std::cos(angle));
        table.sines.data<float>()[t * half + i] = static_cast<float>(std::sin(angle));
      }
    }
  }
  return table;
}

}  // namespace

RotaryTable rotary_table(std::int64_t places, std::int64_t width, double base, DType dtype) {
  require<ArgumentError>(width > 0 && width % 2 == 0, "rotary: the width is turned in pairs and must be even: width ", width);
  require<ArgumentError>(base > 0, "rotary: the base must be positive: base ", base);
  require<ArgumentError>(dtype == DType::f32 || dtype == DType::f64, "rotary: tables are of f32 or f64");
  static std::mutex mutex;
  static std::map<std::tuple<std::int64_t, double, DType>, RotaryTable> tables;
  const std::scoped_lock lock(mutex);
  RotaryTable& table = tables[{width, base, dtype}];
  if (!table.cosines.defined() || table.cosines.size(0) < places)
    table =
        made(static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(std::max<std::int64_t>(places, 64)))), width, base, dtype);
  return table;
}

namespace ops {
namespace {

Tensor turned(const Rotary::Args& args, const Tensor& x, bool inverse) {
  const Tensor from = dense(x), y(x.spec());
  const std::int64_t tokens = x.size(-3), heads = x.size(-2), width = x.size(-1), row = tokens * heads * width;
  const RotaryTable table = rotary_table(args.first + tokens, width, args.base, compute_type(x.dtype()));
  dispatch_floating(Rotary::name, x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using C = kernels::Compute<T>;
    const std::int64_t at = args.first * width / 2;
    kernels::rotary(from.data<const T>(), table.cosines.data<const C>() + at, table.sines.data<const C>() + at, inverse, y.data<T>(),
                    {.batch = row == 0 ? 0 : x.numel() / row, .tokens = tokens, .heads = heads, .width = width});
  });
  return y;
}

}  // namespace

Spec Rotary::spec(const Args& args, const Spec& x) {
  check_floating(name, "x", x);
  require(x.shape.rank() >= 3 && x.shape[-1] > 0 && x.shape[-1] % 2 == 0, name,
          ": x must be [..., tokens, heads, width] with an even width: x ", x);
  require<ArgumentError>(args.base > 0 && args.first >= 0, name, ": base and first place must not be negative: base ", args.base,
                         ", first place ", args.first);
  return x;
}

Tensor Rotary::forward(const Args& args, const Tensor& x, const Call<1>&, Saved&) { return turned(args, x, false); }

// y = R x with a rotation R of every pair, so dx = R^T dy: the rotation by the opposite angle.
Grads<1> Rotary::backward(const Args& args, const Saved&, const Tensor& dy, Needs<1>) { return {turned(args, dy, true)}; }

}  // namespace ops

Tensor rotary(const Tensor& x, double base, std::int64_t first) { return apply<ops::Rotary>({.base = base, .first = first}, x); }

}  // namespace capstan
