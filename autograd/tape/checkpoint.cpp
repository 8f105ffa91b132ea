#include "autograd/tape/checkpoint.h"

#include <memory>
#include <utility>

#include "autograd/core/error.h"
#include "autograd/core/profile.h"
#include "autograd/tape/op.h"

namespace capstan {
namespace {

/// The operands of a run of its own: leaves where a gradient may be wanted.
std::vector<Tensor> operands_of(std::span<const Tensor> inputs) {
  std::vector<Tensor> operands;
  for (const Tensor& t : inputs) operands.push_back(t.is_constant() ? t : make_leaf(t.detach()));
  return operands;
}

class CheckpointEntry final : public Tape::Entry {
 public:
  /// `inputs` that stand on the outer tape have leaves in their place; `parameters` are the other leaves that fn reads.
  CheckpointEntry(CheckpointedFunction fn, std::vector<Tensor> operands, std::vector<Tensor> parameters)
      : fn_(std::move(fn)), operands_(std::move(operands)), parameters_(std::move(parameters)) {}

  std::string_view name() const override { return "checkpoint"; }

  std::vector<Gradient> backward(std::span<Gradient> output_gradients, const std::vector<bool>&) override {
    Tape tape;
    std::vector<Tensor> outputs, cotangents;
    const std::vector<Tensor> results = [&] {
      const profile::Scope scope(kRecomputePhase, profile::Kind::phase);
      return fn_(operands_);
    }();
    require<InternalError>(results.size() == output_gradients.size(),
                           "checkpoint: the function must give as many tensors every time: ", output_gradients.size(), " and then ",
                           results.size());
    for (std::size_t i = 0; i < results.size(); ++i)
      if (output_gradients[i].defined() && !results[i].is_constant()) {
        outputs.push_back(results[i]);
        cotangents.push_back(detail::as_output(output_gradients[i], results[i].spec()));
      }
    const Gradients gradients = tape.backward(outputs, cotangents);
    std::vector<Gradient> of_inputs;
    for (const std::vector<Tensor>* list : {&operands_, &parameters_})
      for (const Tensor& t : *list) of_inputs.push_back(t.is_constant() ? Gradient{} : gradients.of(t));
    return of_inputs;
  }

 private:
  CheckpointedFunction fn_;
  std::vector<Tensor> operands_, parameters_;
};

}  // namespace

std::vector<Tensor> checkpoint(CheckpointedFunction fn, std::span<const Tensor> inputs) {
  Tape* const outer = Tape::recording();
  if (outer == nullptr) return fn(inputs);
  std::vector<Tensor> operands = operands_of(inputs), outputs, parameters;
  {
    Tape inner(Tape::Leaves::keep);  // tells which leaves fn reads; what its operations keep goes with it
    outputs = fn(operands);
    for (const Tensor& leaf : inner.leaves()) {
      bool is_operand = false;
      for (const Tensor& t : operands) is_operand = is_operand || (!t.is_constant() && t.node().owner == leaf.node().owner);
      if (!is_operand) parameters.push_back(leaf);
    }
  }
  for (Tensor& t : outputs) t = t.detach();
  std::vector<std::int64_t> slots;
  bool any = false;
  for (const std::span<const Tensor> list : {inputs, std::span<const Tensor>(parameters)})
    for (const Tensor& t : list) {
      slots.push_back(outer->slot_of(t, "checkpoint"));
      any = any || slots.back() >= 0;
    }
  if (any)
    outer->record(std::make_unique<CheckpointEntry>(std::move(fn), std::move(operands), std::move(parameters)), std::move(slots), outputs);
  return outputs;
}

}  // namespace capstan
