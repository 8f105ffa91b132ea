#pragma once
// Row-sparse gradients with every row named once.

#include "autograd/core/gradient.h"

namespace capstan::optim {

/// A row-sparse gradient whose indices are unique, in the order of their first occurrence, the rows of repeated ones summed in the order
/// in which they occur. The same handle if that is so already and the rows are contiguous. Costs O(rows named), not O(table).
/// Throws ShapeError for an index outside the table.
Gradient coalesced(const Gradient& gradient);

}  // namespace capstan::optim
