#include "autograd/kernels/recurrent.h"

#include "autograd/kernels/backend.h"
#include "autograd/kernels/openmp/recurrent.h"
#include "autograd/kernels/reference/recurrent.h"

namespace capstan::kernels {

void gru_forward(const GruForward<float>& k) { backend() == Backend::fast ? openmp::gru_forward(k) : reference::gru_forward(k); }
void gru_forward(const GruForward<double>& k) { reference::gru_forward(k); }
void gru_backward(const GruBackward<float>& k) { backend() == Backend::fast ? openmp::gru_backward(k) : reference::gru_backward(k); }
void gru_backward(const GruBackward<double>& k) { reference::gru_backward(k); }
void lstm_forward(const LstmForward<float>& k) { backend() == Backend::fast ? openmp::lstm_forward(k) : reference::lstm_forward(k); }
void lstm_forward(const LstmForward<double>& k) { reference::lstm_forward(k); }
void lstm_backward(const LstmBackward<float>& k) { backend() == Backend::fast ? openmp::lstm_backward(k) : reference::lstm_backward(k); }
void lstm_backward(const LstmBackward<double>& k) { reference::lstm_backward(k); }

}  // namespace capstan::kernels
