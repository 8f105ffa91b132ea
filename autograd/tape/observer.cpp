#include "autograd/tape/observer.h"

#include <algorithm>
#include <utility>

namespace capstan {
namespace {

constinit thread_local Observer* current_observer = nullptr;

}  // namespace

Observer::Observer() : outer_(std::exchange(current_observer, this)) {}
Observer::~Observer() { current_observer = outer_; }

std::string_view Observer::name_of(std::int32_t event) const {
  return event < 0 ? std::string_view() : events()[static_cast<std::size_t>(event)].name;
}

std::int32_t Observer::open_event() const {
  const auto open = std::find_if(events().rbegin(), events().rend(), [](const profile::Event& e) { return e.end == 0; });
  return static_cast<std::int32_t>(events().rend() - open) - 1;
}

void Observer::tell(std::span<const Tensor* const> operands, std::span<const Tensor> results) {
  if (Observer* const o = current_observer) o->operation(o->open_event(), operands, results);
}

void Observer::tell_backward(const Tape& tape, std::size_t record) {
  if (Observer* const o = current_observer) o->backward(o->open_event(), tape, record);
}

}  // namespace capstan
