#include "autograd/kernels/candidate_loss.h"

#include <type_traits>

#include "autograd/kernels/backend.h"
#include "autograd/kernels/openmp/candidate_loss.h"
#include "autograd/kernels/reference/candidate_loss.h"

namespace capstan::kernels {

template <class T>
void candidate_scores(const Candidates& c, const T* h, const T* table, Compute<T>* scores) {
  if constexpr (!std::is_same_v<T, double>)
    if (backend() == Backend::fast) return openmp::candidate_scores(c, h, table, scores);
  reference::candidate_scores(c, h, table, scores);
}

template <class T>
void candidate_scores_backward(const Candidates& c, const T* table, const Compute<T>* dscores, T* dh) {
  if constexpr (!std::is_same_v<T, double>)
    if (backend() == Backend::fast) return openmp::candidate_scores_backward(c, table, dscores, dh);
  reference::candidate_scores_backward(c, table, dscores, dh);
}

template <class T>
void ranking_loss(const RankingTerms& terms, const T* scores, std::int64_t rows, std::int64_t columns, T* losses) {
  if constexpr (!std::is_same_v<T, double>)
    if (backend() == Backend::fast) return openmp::ranking_loss(terms, scores, rows, columns, losses);
  reference::ranking_loss(terms, scores, rows, columns, losses);
}

template <class T>
void ranking_loss_backward(const RankingTerms& terms, const T* scores, std::int64_t rows, std::int64_t columns, double scale, T* dscores) {
  if constexpr (!std::is_same_v<T, double>)
    if (backend() == Backend::fast) return openmp::ranking_loss_backward(terms, scores, rows, columns, scale, dscores);
  reference::ranking_loss_backward(terms, scores, rows, columns, scale, dscores);
}

template void candidate_scores(const Candidates&, const float*, const float*, float*);
template void candidate_scores(const Candidates&, const bfloat16*, const bfloat16*, float*);
template void candidate_scores(const Candidates&, const double*, const double*, double*);
template void candidate_scores_backward(const Candidates&, const float*, const float*, float*);
template void candidate_scores_backward(const Candidates&, const bfloat16*, const float*, bfloat16*);
template void candidate_scores_backward(const Candidates&, const double*, const double*, double*);
template void ranking_loss(const RankingTerms&, const float*, std::int64_t, std::int64_t, float*);
template void ranking_loss(const RankingTerms&, const double*, std::int64_t, std::int64_t, double*);
template void ranking_loss_backward(const RankingTerms&, const float*, std::int64_t, std::int64_t, double, float*);
template void ranking_loss_backward(const RankingTerms&, const double*, std::int64_t, std::int64_t, double, double*);

}  // namespace capstan::kernels
