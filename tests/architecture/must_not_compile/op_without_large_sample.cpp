// Compiled twice: as it is it must compile, with BROKEN it must not.
#include "tests/autograd/ops/op_table.h"

namespace capstan {

struct Same {
  static constexpr std::string_view name = "same";
  struct Args {};
  static constexpr bool differentiable = false;
  static Spec spec(const Args&, const Spec& x) { return x; }
  static Tensor forward(const Args&, const Tensor& x, const Spec&) { return x; }
};

namespace testing {
template <>
struct Samples<Same> {
  static std::vector<Sample<Same>> good() { return {{.name = "row", .inputs = {uniform({3})}}}; }
#ifndef BROKEN
  static Sample<Same> large() { return {.name = "large", .inputs = {uniform(kLarge)}}; }
#endif
  static std::vector<BadSample<Same>> bad() { return {}; }
};
const bool registered = register_family<TypeList<Same>>();
}  // namespace testing

}  // namespace capstan
