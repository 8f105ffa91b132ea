#pragma once
#include "autograd/kernels/recurrent.h"

namespace capstan::kernels::openmp {

/// All rows of the batch step together: one matrix product with the state, then one fused pass over the gates (reset_before needs a
/// second of each). The weight's gradient is one product over all steps.
void gru_forward(const GruForward<float>& k);
void gru_backward(const GruBackward<float>& k);
void lstm_forward(const LstmForward<float>& k);
void lstm_backward(const LstmBackward<float>& k);

}  // namespace capstan::kernels::openmp
