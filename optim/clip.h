#pragma once
// Clipping by the global norm: the Euclidean norm of all gradients together.
// Gradients are not written: the scale goes into Optimizer::step, where every gradient is read anyway.

#include <span>

#include "autograd/core/gradient.h"

namespace capstan::optim {

struct Clipped {
  double norm = 0;   ///< before clipping; NaN or infinite if any gradient is
  double scale = 1;  ///< min(1, max_norm / norm); NaN if the norm is NaN: check the norm before stepping
};

/// The norm of all gradients, absent ones counting as zero. Independent of the number of threads. Row-sparse gradients with
/// repeated rows are replaced by their coalesced form on the way, so that the optimiser need not do it again.
double global_norm(std::span<Gradient> gradients);
/// Its square: what adds up over parts of the gradients.
double sum_of_squares(std::span<Gradient> gradients);

/// The scale that brings a norm to at most max_norm (> 0; infinity: measure only).
Clipped clip_norm(double norm, double max_norm);
/// The same for the global norm.
Clipped clip_global_norm(std::span<Gradient> gradients, double max_norm);

}  // namespace capstan::optim
