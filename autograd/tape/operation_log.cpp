#include "autograd/tape/operation_log.h"

#include <utility>

#include "autograd/tape/tape.h"

namespace capstan {

void OperationLog::operation(std::int32_t event, std::span<const Tensor* const> operands, std::span<const Tensor> results) {
  LoggedOperation logged{.event = event};
  for (const Tensor* in : operands) {
    if (!in->defined()) continue;
    const std::byte* const memory = in->storage().data();
    const NodeRef& node = in->node();
    logged.operands.push_back({.leaf = node.kind == NodeRef::Kind::leaf ? node.owner : 0,
                               .computed = node.kind == NodeRef::Kind::slot || results_.contains(memory),
                               .memory = memory,
                               .spec = in->spec()});
  }
  for (const Tensor& out : results)
    if (out.defined()) results_.insert(out.storage().data());
  // What is not recorded has no number: the next record takes this one over.
  if (const Tape* const tape = Tape::recording(); tape != nullptr)
    of_record_[{tape, tape->size()}] = static_cast<std::int32_t>(operations_.size());
  operations_.push_back(std::move(logged));
}

void OperationLog::backward(std::int32_t event, const Tape& tape, std::size_t record) {
  const auto found = of_record_.find({&tape, record});
  if (found != of_record_.end()) operations_.push_back({.event = event, .forward = found->second});
}

}  // namespace capstan
