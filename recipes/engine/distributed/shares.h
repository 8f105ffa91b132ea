#pragma once
// ParameterShares: which part of each parameter a process updates, where the state of the optimiser is shared out.
//
// The shares of a parameter follow each other in the order of the ranks, and each parameter is cut for all of them, so that whatever
// gradients travel together concern all processes alike. Cuts lie where the update gives the bits that it gives on the whole parameter
// (kernels::kUpdateGrain): between elements, and between rows of tables with row-sparse gradients, but for tables of narrow rows and
// parameters of few elements, which one process has whole. Over all parameters the shares differ by less than one cut more or less would
// change. They follow from the shapes and options of the parameters alone.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "autograd/core/gradient.h"
#include "autograd/core/parameter.h"

namespace capstan::engine {

class ParameterShares {
 public:
  ParameterShares(std::span<const Parameter> parameters, int ranks);

  int ranks() const { return ranks_; }
  /// The elements of a share, in the order of memory.
  std::int64_t begin(std::size_t parameter, int rank) const { return bounds_[parameter][static_cast<std::size_t>(rank)]; }
  std::int64_t end(std::size_t parameter, int rank) const { return begin(parameter, rank + 1); }
  std::int64_t size(std::size_t parameter, int rank) const { return end(parameter, rank) - begin(parameter, rank); }
  /// [rows, ...] of a table with row-sparse gradients, else [elements].
  Shape shape(std::size_t parameter, int rank) const;

  /// The share of a contiguous tensor of the parameter's shape, in its memory.
  Tensor of(std::size_t parameter, int rank, const Tensor& whole) const;
  /// The same of a gradient; of rows, in the order in which they are named, and none may be left. Absent of an absent one.
  Gradient of(std::size_t parameter, int rank, const Gradient& whole) const;

 private:
  std::int64_t row_width(std::size_t parameter) const;

  struct Form {
    Shape shape;
    bool table = false;
  };
  int ranks_;
  std::vector<Form> forms_;
  std::vector<std::vector<std::int64_t>> bounds_;  // where each rank's share begins, and the end
};

}  // namespace capstan::engine
