// Compiled twice: as it is it must compile, with BROKEN it must not.
#include <cstdint>

#include "autograd/tape/op.h"

namespace capstan {

struct Scaled {
  static constexpr std::string_view name = "scaled";
  struct Args {
    std::int64_t axis = 0;
#ifdef BROKEN
    Tensor factors = {};
#endif
    double scale = 1;
  };
  struct Saved {};
  static Spec spec(const Args&, const Spec& x) { return x; }
  static Tensor forward(const Args&, const Tensor& x, const Call<1>&, Saved&) { return x; }
  static Grads<1> backward(const Args&, const Saved&, const Tensor& dy, Needs<1>) { return {dy}; }
};

Tensor scaled(const Tensor& x) { return apply<Scaled>({}, x); }

}  // namespace capstan
