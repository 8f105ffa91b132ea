#include "autograd/kernels/attention.h"

#include <type_traits>

#include "autograd/kernels/backend.h"
#include "autograd/kernels/openmp/attention.h"
#include "autograd/kernels/reference/attention.h"

namespace capstan::kernels {

template <class T>
void attention(const AttentionProblem& p, const T* q, const T* k, const T* v, T* out, Compute<T>* lse) {
  if constexpr (!std::is_same_v<T, double>)
    if (backend() == Backend::fast) return openmp::attention(p, q, k, v, out, lse);
  reference::attention(p, q, k, v, out, lse);
}

template <class T>
void attention_backward(const AttentionProblem& p, const T* q, const T* k, const T* v, const Compute<T>* lse, const T* dy, T* dq, T* dk, T* dv,
                        T* dmask) {
  if constexpr (!std::is_same_v<T, double>)
    if (backend() == Backend::fast) return openmp::attention_backward(p, q, k, v, lse, dy, dq, dk, dv, dmask);
  reference::attention_backward(p, q, k, v, dy, dq, dk, dv, dmask);
}

template <class T>
void attention_probabilities(const AttentionProblem& p, const T* q, const T* k, T* probabilities) {
  if constexpr (!std::is_same_v<T, double>)
    if (backend() == Backend::fast) return openmp::attention_probabilities(p, q, k, probabilities);
  reference::attention_probabilities(p, q, k, probabilities);
}

template void attention(const AttentionProblem&, const float*, const float*, const float*, float*, float*);
template void attention(const AttentionProblem&, const bfloat16*, const bfloat16*, const bfloat16*, bfloat16*, float*);
template void attention(const AttentionProblem&, const double*, const double*, const double*, double*, double*);
template void attention_backward(const AttentionProblem&, const float*, const float*, const float*, const float*, const float*, float*,
                                 float*, float*, float*);
template void attention_backward(const AttentionProblem&, const bfloat16*, const bfloat16*, const bfloat16*, const float*,
                                 const bfloat16*, bfloat16*, bfloat16*, bfloat16*, bfloat16*);
template void attention_backward(const AttentionProblem&, const double*, const double*, const double*, const double*, const double*,
                                 double*, double*, double*, double*);
template void attention_probabilities(const AttentionProblem&, const float*, const float*, float*);
template void attention_probabilities(const AttentionProblem&, const bfloat16*, const bfloat16*, bfloat16*);
template void attention_probabilities(const AttentionProblem&, const double*, const double*, double*);

}  // namespace capstan::kernels
