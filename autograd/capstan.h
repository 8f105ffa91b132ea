#pragma once
// All of autograd for a program that uses it: tensors and parameters, every op, + - * / on tensors, the tape. Layers are in nn/,
// optimisers in optim/, readers and loaders in data/, each a header of its own.
//
//     Tape tape;
//     const Tensor y = x * rsqrt(mean(x * x, {-1}, true) + 1e-6) * w;
//     const Gradients gradients = tape.backward(mean(square(y - target)));
//     gradients.of(w).dense();                                              // w is a leaf: make_leaf(...) or parameter.value()

#include "autograd/core/dtype.h"
#include "autograd/core/error.h"
#include "autograd/core/gradient.h"
#include "autograd/core/parameter.h"
#include "autograd/core/process.h"
#include "autograd/core/rng.h"
#include "autograd/core/shape.h"
#include "autograd/core/storage.h"
#include "autograd/core/tensor.h"
#include "autograd/ops/activation.h"
#include "autograd/ops/arrange_rows.h"
#include "autograd/ops/attention.h"
#include "autograd/ops/box_loss.h"
#include "autograd/ops/candidate_loss.h"
#include "autograd/ops/conv.h"
#include "autograd/ops/dropout.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/embedding.h"
#include "autograd/ops/image_normalization.h"
#include "autograd/ops/linear_cross_entropy.h"
#include "autograd/ops/loss.h"
#include "autograd/ops/matmul.h"
#include "autograd/ops/normalization.h"
#include "autograd/ops/operators.h"
#include "autograd/ops/pool.h"
#include "autograd/ops/recurrent.h"
#include "autograd/ops/reduce.h"
#include "autograd/ops/rotary.h"
#include "autograd/ops/session_loss.h"
#include "autograd/ops/shape_ops.h"
#include "autograd/ops/softmax.h"
#include "autograd/tape/checkpoint.h"
#include "autograd/tape/tape.h"
