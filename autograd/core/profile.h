#pragma once
// Where the time of a step goes: named scopes that nest, recorded while a Recorder lives on the thread. Without one a scope costs a load.
//
//     profile::Recorder recorder;
//     { const profile::Scope scope("forward", profile::Kind::phase);  ... }
//     for (const profile::Event& e : recorder.events()) ...
//
// Engine, tape and kernels open scopes of their own, so that a kernel lies in an operation and that in a phase of the step. What other
// threads do for a kernel is the time of the thread that started it.

#include <cstdint>
#include <string_view>
#include <vector>

namespace capstan::profile {

/// What the time of a scope is spent on, without that of the scopes in it.
enum class Kind : std::uint8_t {
  phase,       ///< a part of a step
  operation,   ///< of a tape: what none of its kernels accounts for
  product,     ///< sums of products: matrix products, convolutions, attention, recurrent layers
  pass,        ///< over memory
  conversion,  ///< the same numbers in another type or order: copies, casts, packing
  random,      ///< draws
  update,      ///< of parameters
  wait,        ///< for another thread
};
std::string_view name_of(Kind kind);

/// What has to be done, however it is done.
struct Work {
  double flops = 0;  ///< floating-point operations of products
  double bytes = 0;  ///< that must move between memory and processor at least once

  Work& operator+=(const Work& other) {
    flops += other.flops;
    bytes += other.bytes;
    return *this;
  }
};

struct Event {
  std::string_view name;  ///< of static storage
  Kind kind = Kind::phase;
  std::int32_t parent = -1;         ///< the event it lies in; -1: none
  std::int64_t begin = 0, end = 0;  ///< nanoseconds since the recorder began
  Work work = {};                   ///< that it was told of, without that of the scopes in it
};

/// Records this thread's scopes. The innermost one records; must be destroyed on its thread, innermost first.
class Recorder {
 public:
  Recorder();
  ~Recorder();
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  /// In the order in which they were opened. Those that are still open have end 0.
  const std::vector<Event>& events() const { return events_; }

 private:
  friend class Scope;
  friend void add_work(const Work& work);
  std::int32_t open(std::string_view name, Kind kind);
  void close(std::int32_t event);

  std::vector<Event> events_;
  std::int64_t start_;
  std::int32_t innermost_ = -1;
  Recorder* outer_;
};

namespace detail {
inline constinit thread_local Recorder* recorder = nullptr;
}  // namespace detail

inline bool is_recording() { return detail::recorder != nullptr; }

class Scope {
 public:
  /// `name` must have static storage.
  Scope(std::string_view name, Kind kind) : recorder_(detail::recorder), event_(is_recording() ? recorder_->open(name, kind) : -1) {}
  ~Scope() {
    if (recorder_ != nullptr) recorder_->close(event_);
  }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

 private:
  Recorder* recorder_;
  std::int32_t event_;
};

/// Tells the innermost open scope of work in it.
void add_work(const Work& work);

/// The name of a type without namespaces and template arguments.
template <class T>
constexpr std::string_view type_name() {
  std::string_view name = __PRETTY_FUNCTION__;
  name.remove_prefix(name.find("T = ") + 4);
  name = name.substr(0, name.find_first_of("<;]"));
  const auto last = name.rfind("::");
  return last == std::string_view::npos ? name : name.substr(last + 2);
}

}  // namespace capstan::profile
