#pragma once
// Attention for f32 and bf16, a (sequence, key head) a task. Blocks of queries pass over the keys they may see, so that scores and their
// gradients stay in the second-level cache and a causal mask saves its half of the work. All sums are f32.

#include "autograd/kernels/attention.h"

namespace capstan::kernels::openmp {

template <class T>
void attention(const AttentionProblem& p, const T* q, const T* k, const T* v, T* out, float* lse);

template <class T>
void attention_backward(const AttentionProblem& p, const T* q, const T* k, const T* v, const float* lse, const T* dy, T* dq, T* dk, T* dv,
                        T* dmask);

template <class T>
void attention_probabilities(const AttentionProblem& p, const T* q, const T* k, T* probabilities);

}  // namespace capstan::kernels::openmp
