#include "nn/running_update.h"

#include <type_traits>

#include "autograd/core/dtype.h"

namespace capstan::nn {

void apply(const RunningUpdate& update) {
  const Tensor running = update.parameter.write();
  dispatch_floating("running_update", running.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using Wide = std::conditional_t<std::is_same_v<T, double>, double, float>;
    T* const to = running.data<T>();
    for (std::size_t c = 0; c < update.batch.size(); ++c)
      to[c] = T(static_cast<Wide>(update.kept * static_cast<double>(to[c]) + update.factor * update.batch[c]));
  });
}

}  // namespace capstan::nn
