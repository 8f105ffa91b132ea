// Compiled twice: as it is it must compile, with BROKEN it must not.
#include "autograd/core/tensor.h"

namespace capstan {

Tensor make();
void assign(Tensor& t) {
  t = make();
#ifdef BROKEN
  make() = t;
#endif
}

}  // namespace capstan
