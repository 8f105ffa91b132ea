#pragma once
// The memory of a contiguous tensor, for code that moves rows of any element type.

#include <cstddef>
#include <cstdint>

#include "autograd/core/tensor.h"

namespace capstan::nn {

/// Where the first element lies; the tensor's own memory, not a copy.
inline std::byte* first_byte(const Tensor& contiguous) {
  return contiguous.storage().data() + contiguous.layout().offset() * static_cast<std::int64_t>(size_of(contiguous.dtype()));
}

}  // namespace capstan::nn
