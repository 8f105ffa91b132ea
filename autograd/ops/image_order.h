#pragma once
// The order of images [B, C, ...] in memory: row by row as usual, or with the channels of a place side by side, which is the contiguous
// [B, ..., C] permuted. Convolution, batch normalisation and max pooling compute in the order of their x and give their result, and its
// gradient, in that order. For ops/*.cpp only.

#include "autograd/core/tensor.h"

namespace capstan::ops {

/// Whether the channels are last in memory, and that is another order than the usual one.
bool has_channels_last(const Tensor& x);
/// The same values in one of the two orders: the tensor itself, or a copy. Undefined stays undefined.
Tensor in_order(const Tensor& x, bool channels_last);
/// New memory in one of the two orders.
Tensor new_image(const Spec& spec, bool channels_last);
inline Tensor new_image_if(bool wanted, const Spec& spec, bool channels_last) { return wanted ? new_image(spec, channels_last) : Tensor{}; }

}  // namespace capstan::ops
