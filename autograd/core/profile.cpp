#include "autograd/core/profile.h"

#include <chrono>
#include <utility>

namespace capstan::profile {
namespace {

std::int64_t now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

std::string_view name_of(Kind kind) {
  switch (kind) {
    case Kind::phase: return "phase";
    case Kind::operation: return "operation";
    case Kind::product: return "product";
    case Kind::pass: return "pass";
    case Kind::conversion: return "conversion";
    case Kind::random: return "random";
    case Kind::update: return "update";
    case Kind::wait: return "wait";
  }
  return "unknown";
}

Recorder::Recorder() : start_(now()), outer_(std::exchange(detail::recorder, this)) {}
Recorder::~Recorder() { detail::recorder = outer_; }

std::int32_t Recorder::open(std::string_view name, Kind kind) {
  const auto event = static_cast<std::int32_t>(events_.size());
  events_.push_back({.name = name, .kind = kind, .parent = std::exchange(innermost_, event), .begin = now() - start_});
  return event;
}

void Recorder::close(std::int32_t event) {
  Event& e = events_[static_cast<std::size_t>(event)];
  e.end = now() - start_;
  innermost_ = e.parent;
}

void add_work(const Work& work) {
  Recorder* const recorder = detail::recorder;
  if (recorder == nullptr || recorder->innermost_ < 0) return;
  recorder->events_[static_cast<std::size_t>(recorder->innermost_)].work += work;
}

}  // namespace capstan::profile
