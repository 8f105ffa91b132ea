#pragma once
// Observer: is told of every operation that runs on this thread while it lives. What looks into a computation now and then derives from it,
// such as a search for the first operation that gives a number that is not finite, or a count of the work of each layer.
//
// It looks through a profile that it records, so without one an operation costs no more than it did.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "autograd/core/profile.h"
#include "autograd/core/tensor.h"

namespace capstan {

class Tape;

class Observer {
 public:
  Observer(const Observer&) = delete;
  Observer& operator=(const Observer&) = delete;

  /// The profile; an operation is told while its event is still open.
  const std::vector<profile::Event>& events() const { return recorder_.events(); }

  // ---- for apply<Op> and Tape::backward, where a profile is recorded ----
  static void tell(std::span<const Tensor* const> operands, std::span<const Tensor> results);
  /// Of the record of this number.
  static void tell_backward(const Tape& tape, std::size_t record);

 protected:
  Observer();   ///< the innermost is told
  ~Observer();  ///< on its thread, innermost first
  /// The name of an event, with static storage; "" for -1.
  std::string_view name_of(std::int32_t event) const;

 private:
  /// An operation has computed its results, recorded or not. Operands may be undefined. `event`: its place in events(), -1 if
  /// another profile is recorded inside.
  virtual void operation(std::int32_t event, std::span<const Tensor* const> operands, std::span<const Tensor> results) = 0;
  /// A backward pass is about to run the record of this number.
  virtual void backward(std::int32_t /*event*/, const Tape& /*tape*/, std::size_t /*record*/) {}

  /// The event of the operation that is under way: the last one that is open. -1: none.
  std::int32_t open_event() const;

  profile::Recorder recorder_;
  Observer* outer_;
};

}  // namespace capstan
