#include "autograd/tape/op.h"

#include "autograd/tape/observer.h"

namespace capstan::detail {

Tensor as_output(const Gradient& dy, const Spec& output) {
  return dy.defined() ? Gradient(dy.to_dense()).to(output.dtype).dense() : Tensor{};
}

double profile_operands(std::span<const Tensor* const> inputs, std::span<const Tensor> outputs, bool picks_rows) {
  Observer::tell(inputs, outputs);
  const auto bytes = [](const Tensor& t) {
    return t.defined() ? static_cast<double>(t.numel()) * static_cast<double>(size_of(t.dtype())) : 0.0;
  };
  double results = 0, operands = 0;
  for (const Tensor& out : outputs) {
    for (const Tensor* in : inputs)
      if (in->defined() && out.defined() && in->storage().same_as(out.storage())) return 0;
    results += bytes(out);
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) operands += picks_rows && i == 0 ? results : bytes(*inputs[i]);
  profile::add_work({.bytes = operands + results});
  return operands;
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
