#pragma once
// RunningUpdate: a step of a running statistic, such as batch normalisation's, that a forward pass makes beside the tape. Where the parts
// of a batch are computed by several processes, Run collects the steps instead, and all processes make all of them in the order of the
// parts.

#include <vector>

#include "autograd/core/parameter.h"

namespace capstan::nn {

/// parameter = kept parameter + factor batch, element by element, rounded once.
struct RunningUpdate {
  Parameter parameter;
  std::vector<double> batch;  ///< as many as the parameter has elements
  double kept = 0, factor = 1;
};

/// Makes it. The parameter's value is written in place.
void apply(const RunningUpdate& update);

}  // namespace capstan::nn
