#include "data/sessions.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "autograd/core/error.h"

namespace capstan::data {

SessionBatches::SessionBatches(std::span<const std::int64_t> offsets, std::span<const std::int32_t> items, std::int64_t batch_size,
                               std::int64_t min_slots)
    : offsets_(offsets), items_(items) {
  require<ConfigError>(batch_size >= min_slots && min_slots >= 1, "session batches: needs batch_size >= min_slots >= 1, got ", batch_size,
                       " and ", min_slots);
  require<DataError>(!offsets.empty() && offsets.front() == 0 && offsets.back() == static_cast<std::int64_t>(items.size()),
                     "session batches: offsets must run from 0 to the ", items.size(), " events");
  const auto sessions = static_cast<std::int64_t>(offsets.size()) - 1;
  batch_size_ = static_cast<std::size_t>(std::min(batch_size, sessions));
  min_slots_ = static_cast<std::size_t>(min_slots);
  for (auto* a : {&cursor_, &end_, &session_}) a->resize(batch_size_);
  for (auto* a : {&kept_, &inputs_, &targets_}) a->resize(batch_size_);
  reset_.resize(batch_size_);
  restart();
}

void SessionBatches::restart() {
  slots_ = batch_size_;
  position_ = 0;
  run_ = 0;
  next_session_ = static_cast<std::int64_t>(slots_);
  for (std::size_t s = 0; s < slots_; ++s) {
    cursor_[s] = offsets_[s];
    end_[s] = offsets_[s + 1];
    session_[s] = static_cast<std::int64_t>(s);
    reset_[s] = 1;
  }
  keep_all();
}

void SessionBatches::keep_all() {
  if (!rows_kept_) std::iota(kept_.begin(), kept_.end(), 0);
  rows_kept_ = true;
}

// Gives slots that are out of events the next sessions until every slot has a step to make; false if the epoch is over.
bool SessionBatches::refill() {
  const auto sessions = static_cast<std::int64_t>(offsets_.size()) - 1;
  for (;;) {
    std::size_t used = 0;
    for (std::size_t s = 0; s < slots_; ++s) {
      const bool done = remaining(s) <= 1;
      if (done && next_session_ == sessions) continue;  // the slot is gone, those behind it move up
      if (done) {
        const auto next = static_cast<std::size_t>(next_session_);
        cursor_[s] = offsets_[next];
        end_[s] = offsets_[next + 1];
        session_[s] = next_session_++;
        reset_[s] = 1;
      }
      if (used != s) {
        cursor_[used] = cursor_[s];
        end_[used] = end_[s];
        session_[used] = session_[s];
        reset_[used] = reset_[s];
        kept_[used] = kept_[s];
      }
      ++used;
    }
    if (used < slots_) rows_kept_ = false;
    slots_ = used;
    if (slots_ < min_slots_) return false;
    std::int64_t shortest = std::numeric_limits<std::int64_t>::max();
    for (std::size_t s = 0; s < slots_; ++s) shortest = std::min(shortest, remaining(s));
    run_ = shortest - 1;
    if (run_ > 0) return true;  // else a session of one event came in
  }
}

bool SessionBatches::next(SessionStep& step) {
  if (slots_ < min_slots_) return false;
  if (position_ > 0) std::fill_n(reset_.begin(), slots_, std::uint8_t{0});  // the previous step's rows have been reset
  keep_all();
  if (run_ == 0 && !refill()) return false;
  if (position_ == 0) keep_all();  // before the first step there are no rows to choose from
  for (std::size_t s = 0; s < slots_; ++s) {
    const auto at = static_cast<std::size_t>(cursor_[s]++);
    inputs_[s] = items_[at];
    targets_[s] = items_[at + 1];
  }
  --run_;
  ++position_;
  step = {std::span(inputs_).first(slots_), std::span(targets_).first(slots_), std::span(reset_).first(slots_),
          rows_kept_ ? std::span<const std::int32_t>() : std::span<const std::int32_t>(kept_).first(slots_),
          std::span(session_).first(slots_)};
  return true;
}

void SessionBatches::seek(std::int64_t position) {
  restart();
  SessionStep step;
  while (position_ < position) {
    require<DataError>(next(step), "session batches: there is no step ", position, ", the epoch has ", position_);
    const auto skip = std::min(run_, position - position_);  // steps in which no slot changes its session
    if (skip == 0) continue;
    for (std::size_t s = 0; s < slots_; ++s) cursor_[s] += skip;
    run_ -= skip;
    position_ += skip;
  }
}

}  // namespace capstan::data
