#pragma once
// OperationLog: which tensors each operation of a profile read, so that its work can be told by parameter and by layer.
//
//     profile::Recorder recorder;
//     OperationLog log;
//     ... a forward and a backward pass ...
//     for (const LoggedOperation& o : log.operations()) recorder.events()[o.event].work ...
//
// It notes and keeps no tensor, so that memory is used as without it. Without a log an operation costs nothing more than with a profile.

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "autograd/core/tensor.h"
#include "autograd/tape/tape.h"

namespace capstan {

struct LoggedOperation {
  struct Operand {
    std::uint64_t leaf = 0;             ///< its number (NodeRef::owner); 0: no leaf
    bool computed = false;              ///< it is a result of an operation of this log
    const std::byte* memory = nullptr;  ///< which may have been used again since
    Spec spec = {};
  };
  std::int32_t event = -1;             ///< of the innermost Recorder
  std::int32_t forward = -1;           ///< of a backward pass: the place in the log of the operation that it belongs to; else -1
  std::vector<Operand> operands = {};  ///< of a forward pass; absent ones are left out
};

class OperationLog {
 public:
  OperationLog();
  ~OperationLog();  ///< must be destroyed on its thread, innermost first
  OperationLog(const OperationLog&) = delete;
  OperationLog& operator=(const OperationLog&) = delete;

  std::span<const LoggedOperation> operations() const { return operations_; }

  // ---- for apply<Op> and Tape::backward, where a profile is recorded ----
  static void note_forward(std::span<const Tensor* const> inputs, std::span<const Tensor> outputs);
  /// Of the record of this number.
  static void note_backward(const Tape* tape, std::size_t record);

 private:
  std::vector<LoggedOperation> operations_;
  std::map<std::pair<const Tape*, std::size_t>, std::int32_t> of_record_;  // the newest of each
  std::set<const std::byte*> results_;
  OperationLog* outer_;
};

}  // namespace capstan
