#pragma once
// The kernels' functions behind the enumerations of activation.h. For ops/ and inference/.

#include "autograd/kernels/functions.h"
#include "autograd/ops/activation.h"

namespace capstan {

kernels::BiasFunction function_of(Activation a);
kernels::GateFunction function_of(Gate g);

}  // namespace capstan
