#pragma once
// Observer: is told of every operation that runs on this thread while it lives, with its operands and results; recorded or not.
//
//     Observer observer([](std::string_view op, std::span<const Tensor* const> operands, std::span<const Tensor> results) { ... });
//     model(batch);
//
// For what looks into a computation now and then, such as which operation is the first to give a number that is not finite. It looks
// through a profile that it records, so without one an operation costs no more than it did.

#include <functional>
#include <span>
#include <string_view>

#include "autograd/core/profile.h"
#include "autograd/core/tensor.h"

namespace capstan {

class Observer {
 public:
  /// Operands may be undefined. `op` has static storage.
  using Told = std::function<void(std::string_view op, std::span<const Tensor* const> operands, std::span<const Tensor> results)>;

  /// The innermost is told; must be destroyed on its thread, innermost first.
  explicit Observer(Told told);
  ~Observer();
  Observer(const Observer&) = delete;
  Observer& operator=(const Observer&) = delete;

  /// Tells the observer of this thread, if there is one, of the operation whose scope is the innermost open one. For apply<Op>.
  static void tell(std::span<const Tensor* const> operands, std::span<const Tensor> results);

 private:
  profile::Recorder recorder_;
  Told told_;
  Observer* outer_;
};

}  // namespace capstan
