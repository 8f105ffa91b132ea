#pragma once
// Matrix products by oneDNN. Primitives are kept in a cache of this thread, keyed by everything but the pointers.

#include "autograd/kernels/matmul.h"

namespace capstan::kernels::onednn {

/// p.in is f32 or bf16; p.c.column is 1; no size is 0; p.alpha is not 0. Operands without a unit stride are copied first.
void matmul(const MatmulProblem& p, const void* a, const void* b, void* c, const void* bias);

}  // namespace capstan::kernels::onednn
