#pragma once
#include "autograd/kernels/session_loss.h"

namespace capstan::kernels::openmp {

/// A row is visited by one thread and stays in its first-level cache between the passes over it.
double session_loss(const SessionScores<float>& s, const SessionLossRule& rule);

}  // namespace capstan::kernels::openmp
