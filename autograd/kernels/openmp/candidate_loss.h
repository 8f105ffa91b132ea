#pragma once
// The fast form of kernels/candidate_loss.h: scores for T in {float, bfloat16}, losses in float.

#include "autograd/kernels/candidate_loss.h"

namespace capstan::kernels::openmp {

template <class T>
void candidate_scores(const Candidates& c, const T* h, const T* table, float* scores);
template <class T>
void candidate_scores_backward(const Candidates& c, const T* table, const float* dscores, T* dh);
void ranking_loss(const RankingTerms& terms, const float* scores, std::int64_t rows, std::int64_t columns, float* losses);
void ranking_loss_backward(const RankingTerms& terms, const float* scores, std::int64_t rows, std::int64_t columns, double scale,
                           float* dscores);

}  // namespace capstan::kernels::openmp
