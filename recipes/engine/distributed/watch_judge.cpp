#include "recipes/engine/distributed/watch_judge.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "autograd/core/error.h"

namespace capstan::engine {
namespace {

/// "60 s"
std::string whole_seconds(double seconds) {
  return seconds < 10 ? join_text(std::round(seconds * 10) / 10, " s") : join_text(std::llround(seconds), " s");
}

std::string place_in_run(const SignOfLife& sign) {
  return sign.doing.empty() ? std::string("before its first step") : join_text("step ", sign.step, ", ", sign.doing);
}

}  // namespace

WatchJudge::WatchJudge(std::vector<std::string> hosts, const std::vector<int>& ranks, const Limits& limits)
    : hosts_(std::move(hosts)), limits_(limits), all_(hosts_.size()), progress_(ranks.size() == hosts_.size()) {
  for (const int rank : ranks) all_.at(static_cast<std::size_t>(rank)).watched = true;
}

void WatchJudge::heard(int rank, const SignOfLife& sign) {
  Watched& w = all_.at(static_cast<std::size_t>(rank));
  w.heard = true;
  w.changed = w.changed || sign != w.sign;
  w.sign = sign;
}

void WatchJudge::lost(int rank) { all_.at(static_cast<std::size_t>(rank)).lost = true; }

void WatchJudge::left(int rank) {
  all_.at(static_cast<std::size_t>(rank)).watched = false;
  progress_ = false;  // it makes no more calls, and need not
}

std::string WatchJudge::name(std::size_t rank) const { return join_text("rank ", rank, " on ", hosts_[rank]); }

std::string WatchJudge::last_sign(std::size_t rank) const { return join_text("(last sign of life: ", place_in_run(all_[rank].sign), ")"); }

std::optional<std::string> WatchJudge::pass(double seconds) {
  const double counted = std::min(seconds, 0.25 * std::min(limits_.silence_seconds, limits_.stall_seconds));
  const std::vector<std::size_t> awaited = progress_ ? find_awaited() : std::vector<std::size_t>();
  for (std::size_t r = 0; r < all_.size(); ++r) {
    Watched& w = all_[r];
    w.silent = w.heard ? 0 : w.silent + counted;
    w.still = w.changed || std::ranges::count(awaited, r) == 0 ? 0 : w.still + counted;
    w.heard = w.changed = false;
    if (w.lost) w.gone += counted;
  }
  std::string faults;
  const auto add = [&](const auto&... parts) { faults += join_text(faults.empty() ? "" : "; ", parts...); };
  for (std::size_t r = 0; r < all_.size(); ++r) {
    const Watched& w = all_[r];
    if (!w.watched) continue;
    if (w.lost && w.gone >= limits_.lost_seconds)
      add(name(r), " has ended, or its connection has, without a word ", last_sign(r));
    else if (!w.lost && w.silent >= limits_.silence_seconds)
      add(name(r), " has not answered for ", whole_seconds(w.silent), ' ', last_sign(r));
  }
  // Each of them may be the one that the others among them wait for: not before all have been still for so long.
  if (!faults.empty() || awaited.empty() ||
      std::ranges::any_of(awaited, [&](std::size_t r) { return all_[r].still < limits_.stall_seconds; }))
    return faults.empty() ? std::nullopt : std::optional(faults);
  if (awaited.size() == all_.size())
    return join_text("no rank has made progress for ", whole_seconds(limits_.stall_seconds), ": all are in the same exchange of data (",
                     place_in_run(all_[0].sign), "), and it does not end");
  for (const std::size_t r : awaited)
    add(name(r), " has made no progress for ", whole_seconds(all_[r].still), " (", place_in_run(all_[r].sign),
        ") while others wait for it");
  return faults;
}

std::vector<std::size_t> WatchJudge::find_awaited() const {
  const auto waits = [](const Watched& w) { return w.sign.entered > w.sign.finished; };
  std::uint64_t furthest = 0;
  for (const Watched& w : all_) furthest = std::max(furthest, w.sign.entered);
  std::vector<std::size_t> late, everybody;
  for (std::size_t r = 0; r < all_.size(); ++r) {
    const bool there = all_[r].sign.entered == furthest;
    if (there && !waits(all_[r])) return {};
    if (!there) late.push_back(r);
    everybody.push_back(r);
  }
  if (late.empty()) return everybody;
  // Of the late ones, those that wait themselves do so for the others.
  if (std::ranges::any_of(late, [&](std::size_t r) { return !waits(all_[r]); }))
    std::erase_if(late, [&](std::size_t r) { return waits(all_[r]); });
  return late;
}

}  // namespace capstan::engine
