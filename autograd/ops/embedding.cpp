#include "autograd/ops/embedding.h"

#include <algorithm>

#include "autograd/kernels/indexed_rows.h"
#include "autograd/ops/operands.h"

namespace capstan {
namespace ops {

Spec Embedding::spec(const Args& args, const Spec& weight, const Spec& indices) {
  check_floating(name, "weight", weight);
  require(weight.shape.rank() == 2, name, ": the table must be [V, D]: weight ", weight);
  require<DTypeError>(indices.dtype == DType::i64, name, ": indices must be i64: indices ", indices);
  require<ArgumentError>(args.padding_index >= -1 && args.padding_index < weight.shape[0], name,
                         ": the padding index must be a row of the table or -1: weight ", weight, ", padding_index ", args.padding_index);
  return {indices.shape.inserted(indices.shape.rank(), weight.shape[1]), weight.dtype};
}

Tensor Embedding::forward(const Args& args, const Tensor& weight, const Tensor& indices, const Call<2>& call, Saved& saved) {
  saved = {dense(indices), weight.spec()};
  const auto rows = saved.indices.span<const std::int64_t>();
  check_indices(name, "indices", rows, weight.size(0));
  const Tensor table = dense(weight), y(call.out);
  dispatch_floating(name, weight.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::gather_rows(table.data<const T>(), {rows, args.padding_index}, table.size(1), args.scale, y.data<T>());
  });
  return y;
}

// y_i = scale * weight[indices_i], so dweight[v] = scale * (the sum of dy_i over all i with indices_i = v); nothing for the padding index.
Grads<2> Embedding::backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<2> needs) {
  if (!needs[0]) return {};
  const std::int64_t n = saved.indices.numel(), width = saved.weight.shape[1];
  const Tensor rows = dense(dy);
  Tensor counted(Shape{n}, DType::i64);  // -1 where the padding index stands
  std::ranges::transform(saved.indices.span<const std::int64_t>(), counted.data<std::int64_t>(),
                         [&](std::int64_t i) { return i == args.padding_index ? -1 : i; });
  const auto counts = counted.span<const std::int64_t>();
  const std::int64_t kept = n - std::ranges::count(counts, -1);

  if (args.sparse && kept == n && args.scale == 1.0)
    return {Gradient::rows(counted, rows.view(*rows.layout().reshape({n, width})), saved.weight.shape), {}};
  Gradient result;
  dispatch_floating(name, dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if (args.sparse) {
      const Tensor positions(Shape{kept}, DType::i64), indices(Shape{kept}, DType::i64), values({kept, width}, dy.dtype());
      for (std::int64_t i = 0, to = 0; i < n; ++i) {
        if (counts[static_cast<std::size_t>(i)] < 0) continue;
        indices.data<std::int64_t>()[to] = counts[static_cast<std::size_t>(i)];
        positions.data<std::int64_t>()[to++] = i;
      }
      kernels::gather_rows(rows.data<const T>(), {positions.span<const std::int64_t>()}, width, args.scale, values.data<T>());
      result = Gradient::rows(indices, values, saved.weight.shape);
    } else {
      const Tensor dense = Tensor::zeros(saved.weight.shape, dy.dtype());
      const kernels::RowGroups groups(counts, saved.weight.shape[0]);
      kernels::sum_groups(groups, {.rows = rows.data<const T>(), .scale = args.scale}, width, kernels::GroupTarget::table_row,
                          dense.data<T>());
      result = dense;
    }
  });
  return {std::move(result), {}};
}

}  // namespace ops

Tensor embedding(const Tensor& weight, const Tensor& indices, const ops::Embedding::Args& options) {
  return apply<ops::Embedding>(options, weight, indices);
}

}  // namespace capstan
