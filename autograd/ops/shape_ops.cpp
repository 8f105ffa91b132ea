#include "autograd/ops/shape_ops.h"

#include <algorithm>
#include <numeric>

#include "autograd/kernels/accumulate.h"
#include "autograd/kernels/indexed_rows.h"
#include "autograd/kernels/indexing.h"
#include "autograd/ops/operands.h"

namespace capstan {
namespace ops {
namespace {

void check_axis_indices(std::string_view op, const Tensor& x, int axis, std::span<const std::int64_t> indices) {
  const std::int64_t size = x.size(axis);
  for (std::size_t i = 0; i < indices.size(); ++i)
    require(indices[i] >= 0 && indices[i] < size, op, ": every index must name an element of the axis: x ", x, ", axis ", axis, " has ",
            size, ", index ", i, " is ", indices[i]);
}

// x as [outer, size of the axis, inner].
struct AxisView {
  std::int64_t outer, size, inner;
  AxisView(const Shape& shape, int axis)
      : outer(shape.sub(0, shape.normalize(axis)).numel()),
        size(shape[axis]),
        inner(shape.sub(shape.normalize(axis) + 1, shape.rank()).numel()) {}
};

// y[a, n, b] = x[a, indices[n], b]
Tensor take(const Tensor& x, int axis, std::span<const std::int64_t> indices) {
  const Tensor from = dense(x), y(x.shape().with(axis, static_cast<std::int64_t>(indices.size())), x.dtype());
  const AxisView v(x.shape(), axis);
  if (y.numel() == 0) return y;
  kernels::take(v.outer, v.size, y.size(axis), v.inner * static_cast<std::int64_t>(size_of(x.dtype())), indices.data(), raw_pointer(from),
                raw_pointer(y));
  return y;
}

template <class Word>
void gather_words(const AxisView& v, const Tensor& indices, std::int64_t count, const Tensor& x, const Tensor& y) {
  const auto first = [](const Tensor& t) { return reinterpret_cast<Word*>(raw_pointer(t)); };
  kernels::gather(v.outer, v.size, count, v.inner, indices.data<const std::int64_t>(), static_cast<const Word*>(first(x)), first(y));
}

}  // namespace

// ---- views ----

Spec Reshape::spec(const Args& args, const Spec& x) {
  check_present(name, "x", x);
  require(args.shape.numel() == x.shape.numel(), name, ": the number of elements must not change: x ", x, " has ", x.shape.numel(), ", ",
          args.shape, " has ", args.shape.numel());
  return {args.shape, x.dtype};
}

Tensor Reshape::forward(const Args& args, const Tensor& x, const Call<1>&, Saved& saved) {
  saved.from = x.shape();
  return reshaped(x, args.shape);
}

// The elements go back where they came from: here and below the gradient of a move is the move back.
Grads<1> Reshape::backward(const Args&, const Saved& saved, const Gradient& dy, Needs<1>) { return {reshaped(dy.to_dense(), saved.from)}; }

Spec Permute::spec(const Args& args, const Spec& x) {
  check_present(name, "x", x);
  for (const int axis : args.order) check_axis(name, x, axis);
  return {Layout(x.shape).permute(args.order).shape(), x.dtype};
}

Tensor Permute::forward(const Args& args, const Tensor& x, const Call<1>&, Saved&) { return x.view(x.layout().permute(args.order)); }

Grads<1> Permute::backward(const Args& args, const Saved&, const Gradient& dy, Needs<1>) {
  const Tensor g = dy.to_dense();
  std::vector<int> back(args.order.size());
  for (std::size_t i = 0; i < back.size(); ++i) back[static_cast<std::size_t>(g.shape().normalize(args.order[i]))] = static_cast<int>(i);
  return {g.view(g.layout().permute(back))};
}

Spec Slice::spec(const Args& args, const Spec& x) {
  check_axis(name, x, args.axis);
  return {Layout(x.shape).slice(args.axis, args.start, args.length, args.step).shape(), x.dtype};
}

Tensor Slice::forward(const Args& args, const Tensor& x, const Call<1>&, Saved& saved) {
  saved.from = x.shape();
  return slice_view(x, args.axis, args.start, args.length, args.step);
}

// What was left out had no influence: dy, at its place among zeros that nobody writes out.
Grads<1> Slice::backward(const Args& args, const Saved& saved, const Gradient& dy, Needs<1>) {
  return {Gradient::slice(dy.to_dense(), Layout(saved.from).slice(args.axis, args.start, args.length, args.step), saved.from)};
}

std::vector<Spec> Split::spec(const Args& args, const Spec& x) {
  check_axis(name, x, args.axis);
  const std::int64_t total = std::accumulate(args.sizes.begin(), args.sizes.end(), std::int64_t{0});
  require(total == x.shape[args.axis] && std::ranges::all_of(args.sizes, [](std::int64_t size) { return size >= 0; }), name,
          ": the pieces must make up the axis: x ", x, ", axis ", args.axis, " has ", x.shape[args.axis], ", the pieces ", total);
  std::vector<Spec> out;
  for (const std::int64_t size : args.sizes) out.push_back({x.shape.with(args.axis, size), x.dtype});
  return out;
}

std::vector<Tensor> Split::forward(const Args& args, const Tensor& x, const Call<1, std::vector<Spec>>&, Saved& saved) {
  saved.from = x.spec();
  std::vector<Tensor> out;
  std::int64_t start = 0;
  for (const std::int64_t size : args.sizes) {
    out.push_back(slice_view(x, args.axis, start, size));
    start += size;
  }
  return out;
}

// The pieces side by side; zeros where nothing arrived.
Grads<1> Split::backward(const Args& args, const Saved& saved, std::span<const Tensor> dy, Needs<1>) {
  const bool complete = std::ranges::all_of(dy, [](const Tensor& t) { return t.defined(); });
  const Tensor dx = complete ? Tensor(saved.from) : Tensor::zeros(saved.from.shape, saved.from.dtype);
  std::int64_t start = 0;
  for (std::size_t k = 0; k < dy.size(); ++k) {
    if (dy[k].defined()) kernels::copy(dy[k], slice_view(dx, args.axis, start, args.sizes[k]));
    start += args.sizes[k];
  }
  return {dx};
}

Spec Contiguous::spec(const Args&, const Spec& x) {
  check_present(name, "x", x);
  return x;
}

Tensor Contiguous::forward(const Args&, const Tensor& x, const Call<1>&, Saved&) { return dense(x); }

Grads<1> Contiguous::backward(const Args&, const Saved&, const Gradient& dy, Needs<1>) { return {dy}; }

Spec Expand::spec(const Args& args, const Spec& x) {
  check_present(name, "x", x);
  return {Layout(x.shape).expand(args.shape).shape(), x.dtype};
}

Tensor Expand::forward(const Args& args, const Tensor& x, const Call<1>&, Saved&) { return x.view(x.layout().expand(args.shape)); }

// An element was used several times: the tape sums over the axes that were broadcast.
Grads<1> Expand::backward(const Args&, const Saved&, const Tensor& dy, Needs<1>) { return {dy}; }

// ---- copies ----

Spec Concat::spec(const Args& args, std::span<const Spec> parts) {
  require(!parts.empty(), name, ": there must be at least one part");
  const int axis = check_axis(name, parts[0], args.axis);
  std::int64_t size = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const bool fits = parts[i].dtype == parts[0].dtype && parts[i].shape.rank() == parts[0].shape.rank() &&
                      parts[i].shape.without(axis) == parts[0].shape.without(axis);
    require(fits, name, ": the parts must agree in type and in all axes but axis ", axis, ": part 0 ", parts[0], ", part ", i, " ",
            parts[i]);
    size += parts[i].shape[axis];
  }
  return {parts[0].shape.with(axis, size), parts[0].dtype};
}

Tensor Concat::forward(const Args& args, std::span<const Tensor> parts, const ListCall<>& call, Saved& saved) {
  const Tensor y(call.out);
  std::int64_t start = 0;
  for (const Tensor& part : parts) {
    saved.sizes.push_back(part.size(args.axis));
    kernels::copy(part, slice_view(y, args.axis, start, part.size(args.axis)));
    start += part.size(args.axis);
  }
  return y;
}

std::vector<Gradient> Concat::backward(const Args& args, const Saved& saved, const Tensor& dy, const std::vector<bool>& needs) {
  std::vector<Gradient> d(saved.sizes.size());
  std::int64_t start = 0;
  for (std::size_t i = 0; i < d.size(); ++i) {
    if (needs[i]) d[i] = slice_view(dy, args.axis, start, saved.sizes[i]);
    start += saved.sizes[i];
  }
  return d;
}

Spec IndexSelect::spec(const Args& args, const Spec& x, const Spec& indices) {
  const int axis = check_axis(name, x, args.axis);
  require(indices.dtype == DType::i64 && indices.shape.rank() == 1, name, ": the indices must be i64 [N]: indices ", indices);
  return {x.shape.with(axis, indices.shape[0]), x.dtype};
}

Tensor IndexSelect::forward(const Args& args, const Tensor& x, const Tensor& indices, const Call<2>&, Saved& saved) {
  saved = {dense(indices), x.shape()};
  const auto numbers = saved.indices.span<const std::int64_t>();
  check_axis_indices(name, x, args.axis, numbers);
  return take(x, args.axis, numbers);
}

// dx[a, v, b] = the sum of dy[a, n, b] over all n with indices[n] = v.
Grads<2> IndexSelect::backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<2>) {
  const Tensor rows = dense(dy), dx = Tensor::zeros(saved.from, dy.dtype());
  const AxisView v(saved.from, args.axis);
  const Tensor from = rows.view(*rows.layout().reshape({v.outer, rows.size(args.axis), v.inner}));
  const Tensor to = dx.view(Layout(Shape{v.outer, v.size, v.inner}));
  const auto plane = [](const Tensor& t, std::int64_t a) {
    const Tensor one = slice_view(t, 0, a, 1);
    return one.view(*one.layout().reshape(one.shape().without(0)));
  };
  for (std::int64_t a = 0; a < v.outer; ++a) kernels::scatter_add_rows(saved.indices, plane(from, a), plane(to, a));
  return {dx, Gradient{}};
}

Spec Gather::spec(const Args& args, const Spec& x, const Spec& indices) {
  const int axis = check_axis(name, x, args.axis);
  const bool fits =
      indices.dtype == DType::i64 && indices.shape.rank() == x.shape.rank() && indices.shape.without(axis) == x.shape.without(axis);
  require(fits, name, ": the indices must be i64 and have x's shape but for axis ", axis, ": x ", x, ", indices ", indices);
  return {indices.shape, x.dtype};
}

Tensor Gather::forward(const Args& args, const Tensor& x, const Tensor& indices, const Call<2>& call, Saved& saved) {
  saved = {dense(indices), x.shape()};
  check_axis_indices(name, x, args.axis, saved.indices.span<const std::int64_t>());
  const Tensor from = dense(x), y(call.out);
  const AxisView v(x.shape(), args.axis);
  const std::int64_t count = indices.size(args.axis);
  switch (size_of(x.dtype())) {
    case 1: gather_words<std::uint8_t>(v, saved.indices, count, from, y); break;
    case 2: gather_words<std::uint16_t>(v, saved.indices, count, from, y); break;
    case 4: gather_words<std::uint32_t>(v, saved.indices, count, from, y); break;
    default: gather_words<std::uint64_t>(v, saved.indices, count, from, y); break;
  }
  return y;
}

// dx[a, v, b] = the sum of dy[a, n, b] over all n with indices[a, n, b] = v.
Grads<2> Gather::backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<2>) {
  const Tensor from = dense(dy), dx(saved.from, dy.dtype());
  const AxisView v(saved.from, args.axis);
  dispatch_floating(name, dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::gather_gradient(v.outer, v.size, dy.size(args.axis), v.inner, saved.indices.data<const std::int64_t>(), from.data<const T>(),
                             dx.data<T>());
  });
  return {dx, Gradient{}};
}

namespace {

Tensor flipped(const Tensor& x, int axis) {
  std::vector<std::int64_t> indices(static_cast<std::size_t>(x.size(axis)));
  std::iota(indices.rbegin(), indices.rend(), std::int64_t{0});
  return take(x, axis, indices);
}

Tensor rolled(const Tensor& x, int axis, std::int64_t shift) {
  const std::int64_t size = x.size(axis), up = size == 0 ? 0 : (shift % size + size) % size;
  Tensor y(x.spec());
  kernels::copy(slice_view(x, axis, 0, size - up), slice_view(y, axis, up, size - up));
  kernels::copy(slice_view(x, axis, size - up, up), slice_view(y, axis, 0, up));
  return y;
}

}  // namespace

Spec Flip::spec(const Args& args, const Spec& x) {
  check_axis(name, x, args.axis);
  return x;
}

Tensor Flip::forward(const Args& args, const Tensor& x, const Call<1>&, Saved&) { return flipped(x, args.axis); }

Grads<1> Flip::backward(const Args& args, const Saved&, const Tensor& dy, Needs<1>) { return {flipped(dy, args.axis)}; }

Spec Roll::spec(const Args& args, const Spec& x) {
  check_axis(name, x, args.axis);
  return x;
}

Tensor Roll::forward(const Args& args, const Tensor& x, const Call<1>&, Saved&) { return rolled(x, args.axis, args.shift); }

Grads<1> Roll::backward(const Args& args, const Saved&, const Tensor& dy, Needs<1>) { return {rolled(dy, args.axis, -args.shift)}; }

}  // namespace ops

// ---- compositions ----

Tensor reshape(const Tensor& x, std::span<const std::int64_t> sizes) {
  std::vector<std::int64_t> all(sizes.begin(), sizes.end());
  const auto open = std::ranges::find(all, -1);
  if (open != all.end()) {
    *open = 1;
    const std::int64_t rest = Shape(std::span<const std::int64_t>(all)).numel();
    require(rest != 0 && x.numel() % rest == 0, "reshape: the size given as -1 must follow from the others: x ", x, ", which has ",
            x.numel(), " elements, the other sizes make ", rest);
    *open = x.numel() / rest;
  }
  return reshape(x, Shape(std::span<const std::int64_t>(all)));
}

Tensor transpose(const Tensor& x, int a, int b) {
  std::vector<int> order(static_cast<std::size_t>(x.rank()));
  std::iota(order.begin(), order.end(), 0);
  std::swap(order[static_cast<std::size_t>(ops::check_axis("transpose", x.spec(), a))],
            order[static_cast<std::size_t>(ops::check_axis("transpose", x.spec(), b))]);
  return permute(x, std::move(order));
}

Tensor select(const Tensor& x, int axis, std::int64_t index) {
  ops::check_axis("select", x.spec(), axis);
  return reshape(slice(x, axis, index, 1), x.shape().without(axis));
}

Tensor unsqueeze(const Tensor& x, int axis) { return reshape(x, x.shape().inserted(axis, 1)); }

Tensor squeeze(const Tensor& x, int axis) {
  ops::check_axis("squeeze", x.spec(), axis);
  require(x.size(axis) == 1, "squeeze: the axis must have size 1: x ", x, ", axis ", axis, " has ", x.size(axis));
  return reshape(x, x.shape().without(axis));
}

Tensor flatten(const Tensor& x, int first, int last) {
  const int from = ops::check_axis("flatten", x.spec(), first), to = ops::check_axis("flatten", x.spec(), last);
  require(from <= to, "flatten: the first axis must not come after the last: x ", x, ", first ", first, ", last ", last);
  std::vector<std::int64_t> sizes(x.shape().begin(), x.shape().begin() + from);
  sizes.push_back(x.shape().sub(from, to + 1).numel());
  sizes.insert(sizes.end(), x.shape().begin() + to + 1, x.shape().end());
  return reshape(x, Shape(std::span<const std::int64_t>(sizes)));
}

Tensor stack(std::span<const Tensor> parts, int axis) {
  require(!parts.empty(), "stack: there must be at least one part");
  const int at = axis < 0 ? axis + parts[0].rank() + 1 : axis;
  std::vector<Tensor> thick;
  for (const Tensor& part : parts) {
    require(part.spec() == parts[0].spec(), "stack: the parts must have one shape and type: part 0 ", parts[0], ", part ", thick.size(),
            " ", part);
    thick.push_back(unsqueeze(part, at));
  }
  return concat(thick, at);
}

std::vector<Tensor> split(const Tensor& x, std::span<const std::int64_t> sizes, int axis) {
  return apply<ops::Split>({.axis = axis, .sizes = {sizes.begin(), sizes.end()}}, x);
}

std::vector<Tensor> split(const Tensor& x, std::int64_t size, int axis) {
  ops::check_axis("split", x.spec(), axis);
  require<ArgumentError>(size > 0, "split: the size of a piece must be positive, got ", size);
  std::vector<std::int64_t> sizes;
  for (std::int64_t rest = x.size(axis); rest > 0; rest -= size) sizes.push_back(std::min(rest, size));
  return split(x, sizes, axis);
}

}  // namespace capstan
