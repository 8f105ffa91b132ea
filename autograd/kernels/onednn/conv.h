#pragma once
// Convolution by oneDNN; contract in kernels/conv.h. Primitives are kept in a cache of this thread, keyed by everything but the pointers.
// The library chooses the layouts it computes fastest in; operands are reordered to and from them.

#include "autograd/kernels/conv.h"

namespace capstan::kernels::onednn {

/// p.dtype is f32 or bf16 and no size is 0.
void conv2d(const ConvProblem& p, const void* x, const void* weight, const void* bias, void* y);
void conv2d_backward_data(const ConvProblem& p, const void* dy, const void* weight, void* dx);
void conv2d_backward_weights(const ConvProblem& p, const void* x, const void* dy, void* dweight, void* dbias);

}  // namespace capstan::kernels::onednn
