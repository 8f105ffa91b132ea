#pragma once
// What a recorded profile says: where the time of a step went, by phase and operation and by kind, beside the least time it could take.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "autograd/core/profile.h"
#include "recipes/engine/profile/rates.h"

namespace capstan::engine {

/// All calls of an operation in a phase. What lies in no operation goes by the name of its kernel.
struct ProfileLine {
  static constexpr std::size_t kKinds = 8;

  std::string_view phase, operation;
  std::int64_t calls = 0;
  std::array<double, kKinds> seconds = {};  ///< by profile::Kind
  profile::Work work = {};
  double bound = 0;  ///< the least seconds its work takes at the rates, each call by itself

  double total() const;
};

/// Longest first. Scopes that are still open are left out.
std::vector<ProfileLine> profile_lines(std::span<const profile::Event> events, const Rates& rates);

/// For people: sums by kind, the bound, and the longest lines, all for one of `steps` steps.
std::string profile_table(std::span<const ProfileLine> lines, const Rates& rates, std::int64_t steps);

/// The Trace Event Format of Chrome, which chrome://tracing and Perfetto show: complete events of one thread, in microseconds.
std::string chrome_trace(std::span<const profile::Event> events);

}  // namespace capstan::engine
