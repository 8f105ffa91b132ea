#include "autograd/tape/operation_log.h"

#include <utility>

#include "autograd/core/profile.h"

namespace capstan {
namespace {

thread_local OperationLog* innermost_log = nullptr;

/// The event of the operation that is under way: the last one that is still open.
std::int32_t open_event() {
  const std::vector<profile::Event>& events = profile::detail::recorder->events();
  auto event = static_cast<std::int32_t>(events.size()) - 1;
  while (event >= 0 && events[static_cast<std::size_t>(event)].end != 0) --event;
  return event;
}

}  // namespace

OperationLog::OperationLog() : outer_(std::exchange(innermost_log, this)) {}
OperationLog::~OperationLog() { innermost_log = outer_; }

void OperationLog::note_forward(std::span<const Tensor* const> inputs, std::span<const Tensor> outputs) {
  OperationLog* const log = innermost_log;
  if (log == nullptr) return;
  LoggedOperation operation{.event = open_event()};
  for (const Tensor* in : inputs) {
    if (!in->defined()) continue;
    const std::byte* const memory = in->storage().data();
    const NodeRef& node = in->node();
    operation.operands.push_back({.leaf = node.kind == NodeRef::Kind::leaf ? node.owner : 0,
                                  .computed = node.kind == NodeRef::Kind::slot || log->results_.contains(memory),
                                  .memory = memory,
                                  .spec = in->spec()});
  }
  for (const Tensor& out : outputs)
    if (out.defined()) log->results_.insert(out.storage().data());
  // What is not recorded has no number: the next record takes this one over.
  if (const Tape* const tape = Tape::recording(); tape != nullptr)
    log->of_record_[{tape, tape->size()}] = static_cast<std::int32_t>(log->operations_.size());
  log->operations_.push_back(std::move(operation));
}

void OperationLog::note_backward(const Tape* tape, std::size_t record) {
  OperationLog* const log = innermost_log;
  if (log == nullptr) return;
  const auto found = log->of_record_.find({tape, record});
  if (found != log->of_record_.end()) log->operations_.push_back({.event = open_event(), .forward = found->second});
}

}  // namespace capstan
