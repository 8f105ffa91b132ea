#pragma once
// Relative position embeddings of self-attention (Shaw, Uszkoreit, Vaswani 2018; Huang, Liang, Xu, Xiang 2020): a vector for every
// distance i - j between query i and key j, shared by the heads of a layer.
//
//     key          score[i, j] = (q_i . k_j + q_i . E[i - j]) / sqrt(D)
//     key_query    score[i, j] = (q_i . k_j + q_i . E[i - j] + k_j . E[i - j]) / sqrt(D)
//
// This is the part that is added to q . k / sqrt(D). One product of all queries with all distances makes T x 2T numbers a head; the
// wanted ones are a strided view of it, so nothing is gathered.

#include <cstdint>

#include "autograd/core/tensor.h"

namespace capstan::nn {

enum class RelativePositions : std::uint8_t { none, key, key_query };

/// query [B, T, H, D], key [B, S, H, D], table [2 P - 1, D] with the vector of distance d in row d + P - 1 -> [B, H, T, S]. The queries are
/// the last T of the S tokens: all of them, or the next ones of a sequence that is decoded with a cache. `kind` is not none; of kind key,
/// key may have fewer heads. Of kind key_query the work is that of S x S scores, also for few queries. Throws ShapeError if S exceeds P.
Tensor relative_position_scores(const Tensor& query, const Tensor& key, const Tensor& table, RelativePositions kind);

}  // namespace capstan::nn
