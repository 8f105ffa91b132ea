#include "autograd/kernels/session_loss.h"

#include "autograd/kernels/backend.h"
#include "autograd/kernels/openmp/session_loss.h"
#include "autograd/kernels/reference/session_loss.h"

namespace capstan::kernels {

double session_loss(const SessionScores<float>& s, const SessionLossRule& rule) {
  return backend() == Backend::fast ? openmp::session_loss(s, rule) : reference::session_loss(s, rule);
}
double session_loss(const SessionScores<double>& s, const SessionLossRule& rule) { return reference::session_loss(s, rule); }

}  // namespace capstan::kernels
