#pragma once
// Every op, in one explicit list that the tests go through. A new family adds its header and its list here. For tests: users include
// capstan.h or the headers of the families.

#include "autograd/ops/arrange_rows.h"
#include "autograd/ops/attention.h"
#include "autograd/ops/box_loss.h"
#include "autograd/ops/candidate_loss.h"
#include "autograd/ops/conv.h"
#include "autograd/ops/dropout.h"
#include "autograd/ops/elementwise_op.h"
#include "autograd/ops/embedding.h"
#include "autograd/ops/image_normalization.h"
#include "autograd/ops/linear_cross_entropy.h"
#include "autograd/ops/loss.h"
#include "autograd/ops/matmul.h"
#include "autograd/ops/normalization.h"
#include "autograd/ops/pool.h"
#include "autograd/ops/recurrent.h"
#include "autograd/ops/reduce.h"
#include "autograd/ops/rotary.h"
#include "autograd/ops/session_loss.h"
#include "autograd/ops/shape_ops.h"
#include "autograd/ops/softmax.h"
#include "autograd/tape/op.h"

namespace capstan::ops {

namespace detail {
template <class...>
struct Joined;
template <class... Ops>
struct Joined<TypeList<Ops...>> {
  using type = TypeList<Ops...>;
};
template <class... A, class... B, class... Rest>
struct Joined<TypeList<A...>, TypeList<B...>, Rest...> {
  using type = typename Joined<TypeList<A..., B...>, Rest...>::type;
};
}  // namespace detail

using AllOps = detail::Joined<ElementwiseOps, ActivationOps, ReduceOps, ShapeOps, ArrangeRowsOps, MatmulOps, SoftmaxOps, NormalizationOps,
                              EmbeddingOps, DropoutOps, AttentionOps, RotaryOps, RecurrentOps, LossOps, LinearCrossEntropyOps,
                              CandidateLossOps, SessionLossOps, BoxLossOps, ConvOps, PoolOps, ImageNormalizationOps>::type;

}  // namespace capstan::ops
