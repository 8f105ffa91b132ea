#pragma once
// OperationLog: which tensors each operation of a profile read, so that its work can be told by parameter and by layer.
//
//     OperationLog log;
//     ... a forward and a backward pass ...
//     for (const LoggedOperation& o : log.operations()) log.events()[o.event].work ...
//
// It notes and keeps no tensor, so that memory is used as without it.

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "autograd/core/tensor.h"
#include "autograd/tape/observer.h"

namespace capstan {

struct LoggedOperation {
  struct Operand {
    std::uint64_t leaf = 0;             ///< its number (NodeRef::owner); 0: no leaf
    bool computed = false;              ///< it is a result of an operation of this log
    const std::byte* memory = nullptr;  ///< which may have been used again since
    Spec spec = {};
  };
  std::int32_t event = -1;             ///< its place in events()
  std::int32_t forward = -1;           ///< of a backward pass: the place in the log of the operation that it belongs to; else -1
  std::vector<Operand> operands = {};  ///< of a forward pass; absent ones are left out
};

class OperationLog final : public Observer {
 public:
  std::span<const LoggedOperation> operations() const { return operations_; }

 private:
  void operation(std::int32_t event, std::span<const Tensor* const> operands, std::span<const Tensor> results) override;
  void backward(std::int32_t event, const Tape& tape, std::size_t record) override;

  std::vector<LoggedOperation> operations_;
  std::map<std::pair<const Tape*, std::size_t>, std::int32_t> of_record_;  // the newest of each
  std::set<const std::byte*> results_;
};

}  // namespace capstan
