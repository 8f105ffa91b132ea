#include "recipes/engine/distributed/shares.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "autograd/core/error.h"
#include "autograd/kernels/optimizer_update.h"

namespace capstan::engine {
namespace {

/// What each of the loads gets of `amount`, so that they become as even as it can make them.
std::vector<double> levelled(const std::vector<std::int64_t>& loads, std::int64_t amount) {
  std::vector<std::int64_t> sorted = loads;
  std::ranges::sort(sorted);
  double below = 0, level = 0;
  for (std::size_t k = 0; k < sorted.size(); ++k) {
    below += static_cast<double>(sorted[k]);
    level = (below + static_cast<double>(amount)) / static_cast<double>(k + 1);
    if (k + 1 == sorted.size() || level <= static_cast<double>(sorted[k + 1])) break;
  }
  std::vector<double> out;
  for (const std::int64_t load : loads) out.push_back(std::max(0.0, level - static_cast<double>(load)));
  return out;
}

}  // namespace

std::int64_t ParameterShares::row_width(std::size_t parameter) const {
  return forms_[parameter].table ? forms_[parameter].shape.without(0).numel() : 1;
}

ParameterShares::ParameterShares(std::span<const Parameter> parameters, int ranks) : ranks_(ranks) {
  require<InternalError>(ranks > 0, "shares: of ", ranks, " processes");
  const auto count = static_cast<std::size_t>(ranks);
  std::vector<std::int64_t> grains;  // elements between two cuts
  for (const Parameter& p : parameters) {
    const bool table = p.sparse_gradient() && p.shape().rank() > 0;
    forms_.push_back({p.shape(), table});
    bounds_.emplace_back(count + 1);
    const std::int64_t width = std::max<std::int64_t>(1, row_width(forms_.size() - 1));
    const bool narrow = table && width <= kernels::kNarrowRow;
    grains.push_back(narrow ? p.shape().numel() : std::lcm(width, kernels::kUpdateGrain));
  }
  // What cannot be cut comes first, and the rest makes up for it. Frozen parameters mostly have no state: they even out among themselves.
  std::vector<std::int64_t> trained(count), frozen(count);
  for (const bool whole : {true, false})
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      const std::int64_t n = forms_[i].shape.numel(), cuts = n / std::max<std::int64_t>(1, grains[i]);
      if ((cuts < 2) != whole) continue;
      std::vector<std::int64_t>&loads = parameters[i].trainable() ? trained : frozen, &bounds = bounds_[i];
      if (whole) {
        const auto owner = std::ranges::min_element(loads) - loads.begin();
        std::fill(bounds.begin() + owner + 1, bounds.end(), n);
      } else {
        double end = 0;
        const std::vector<double> parts = levelled(loads, n);
        for (std::size_t r = 0; r + 1 < count; ++r) {
          end += parts[r];
          bounds[r + 1] = std::min(std::llround(end / static_cast<double>(grains[i])), static_cast<long long>(cuts)) * grains[i];
        }
        // The last cut has what does not fill another one, wherever the shares behind it are empty.
        for (std::size_t r = 1; r <= count; ++r)
          if (r == count || bounds[r] == cuts * grains[i]) bounds[r] = n;
      }
      for (std::size_t r = 0; r < count; ++r) loads[r] += bounds[r + 1] - bounds[r];
    }
}

Shape ParameterShares::shape(std::size_t parameter, int rank) const {
  const std::int64_t n = size(parameter, rank);
  if (!forms_[parameter].table) return Shape{n};
  const std::int64_t width = row_width(parameter);
  return forms_[parameter].shape.with(0, width == 0 ? 0 : n / width);
}

Tensor ParameterShares::of(std::size_t parameter, int rank, const Tensor& whole) const {
  require<InternalError>(whole.shape() == forms_[parameter].shape && whole.is_contiguous(), "shares: parameter ", parameter,
                         " has the shape ", forms_[parameter].shape, ", got ", whole);
  const Layout line = *whole.layout().reshape(Shape{whole.numel()});
  return whole.view(*line.slice(0, begin(parameter, rank), size(parameter, rank)).reshape(shape(parameter, rank)));
}

Gradient ParameterShares::of(std::size_t parameter, int rank, const Gradient& whole) const {
  if (!whole.defined()) return {};
  if (!whole.is_sparse()) return of(parameter, rank, whole.to_dense().contiguous());
  require<InternalError>(forms_[parameter].table, "shares: rows of what is no table: parameter ", parameter, ", ", whole.shape());
  const Shape part = shape(parameter, rank);
  const std::int64_t width = row_width(parameter), first = width == 0 ? 0 : begin(parameter, rank) / width;
  const Tensor indices = whole.indices().contiguous(), rows = whole.row_values().contiguous();
  std::vector<std::int64_t> mine, places;
  const std::span<const std::int64_t> named = indices.span<const std::int64_t>();
  for (std::size_t k = 0; k < named.size(); ++k)
    if (named[k] >= first && named[k] < first + part[0]) {
      mine.push_back(named[k] - first);
      places.push_back(static_cast<std::int64_t>(k));
    }
  const auto n = static_cast<std::int64_t>(mine.size());
  const Tensor values(part.with(0, n), rows.dtype());
  dispatch_floating("shares", rows.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const std::span<const T> from = rows.span<const T>();
    const std::span<T> to = values.span<T>();
    for (std::int64_t k = 0; k < n; ++k)
      std::ranges::copy(
          from.subspan(static_cast<std::size_t>(places[static_cast<std::size_t>(k)] * width), static_cast<std::size_t>(width)),
          to.begin() + k * width);
  });
  return Gradient::rows(Tensor::from(mine, Shape{n}), values, part, whole.has_unique_rows());
}

}  // namespace capstan::engine
