#include "autograd/tape/op.h"

namespace capstan::detail {

Tensor as_output(const Gradient& dy, const Spec& output) {
  return dy.defined() ? Gradient(dy.to_dense()).to(output.dtype).dense() : Tensor{};
}

std::vector<std::int64_t> slots_of(Tape* tape, std::string_view op, std::span<const Tensor* const> inputs,
                                   std::span<const ConstantInput> constants) {
  std::vector<std::int64_t> slots(inputs.size(), -1);
  if (tape == nullptr) return slots;
  for (const ConstantInput& c : constants)
    require<GraphError>(inputs[c.index]->is_constant(), op, ": ", c.name, " has no derivative, so it must be a constant: ", c.name, " ",
                        *inputs[c.index], " is a leaf or stands on a tape; detach() it if that is meant");
  for (std::size_t i = 0; i < inputs.size(); ++i) slots[i] = tape->slot_of(*inputs[i], op);
  return slots;
}

}  // namespace capstan::detail
