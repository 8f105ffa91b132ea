#include "nn/recurrent_state.h"

#include <algorithm>

#include "autograd/core/dtype.h"

namespace capstan::nn {

Hidden continued(const Hidden& hidden, const std::function<Hidden(std::int64_t slots)>& start, std::span<const std::int32_t> kept,
                 std::span<const std::uint8_t> reset) {
  const bool any_reset = std::ranges::any_of(reset, [](std::uint8_t r) { return r != 0; });
  if (hidden.empty()) return start(static_cast<std::int64_t>(reset.size()));
  if (kept.empty() && !any_reset) return hidden;
  Hidden out = start(static_cast<std::int64_t>(reset.size()));
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::int64_t width = out[i].size(1);
    dispatch_floating("continued", out[i].dtype(), [&](auto zero) {
      using T = decltype(zero);
      for (std::size_t m = 0; m < reset.size(); ++m) {
        const auto row = static_cast<std::int64_t>(m), from = kept.empty() ? row : std::int64_t{kept[m]};
        if (reset[m] == 0) std::copy_n(hidden[i].data<const T>() + from * width, width, out[i].data<T>() + row * width);
      }
    });
  }
  return out;
}

}  // namespace capstan::nn
