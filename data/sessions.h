#pragma once
// Session-parallel minibatches (Hidasi, Karatzoglou, Baltrunas, Tikk, "Session-based recommendations with recurrent neural
// networks", 2016): B slots walk through B sessions side by side, one event a step; a slot whose session ends takes the next one.
//
// The model carries one hidden row per slot from step to step. A step says what to do with those rows before it: keep the rows
// `kept` (only when the batch has shrunk), then set the rows with `reset` to zero. Sessions are taken in the order given; those of
// fewer than two events pass through without a step. The iterator allocates nothing after construction.

#include <cstdint>
#include <span>
#include <vector>

namespace capstan::data {

/// One step of M slots, M <= B. The spans stay valid until the next call of next() or seek().
struct SessionStep {
  std::span<const std::int32_t> inputs;    ///< [M] the event that each slot stands at
  std::span<const std::int32_t> targets;   ///< [M] the one after it
  std::span<const std::uint8_t> reset;     ///< [M] 1: a session begins here, its hidden row is zero
  std::span<const std::int32_t> kept;      ///< [M] the row of the previous step that each slot continues; empty if all rows stay
  std::span<const std::int64_t> sessions;  ///< [M] which session each slot is in
};

class SessionBatches {
 public:
  /// Sessions as CSR arrays (see Interactions), which must outlive the iterator. `min_slots`: the epoch ends when fewer slots are
  /// left; 2 for training on in-batch negatives only, where a single row has nothing to be ranked against, else 1.
  SessionBatches(std::span<const std::int64_t> offsets, std::span<const std::int32_t> items, std::int64_t batch_size,
                 std::int64_t min_slots = 1);

  /// The next step; false at the end of the epoch.
  bool next(SessionStep& step);
  /// Steps taken in this epoch: all there is to save, besides the hidden rows that belong to the model.
  std::int64_t position() const { return position_; }
  /// Goes to just before step `position` (0: a new epoch); the next step is the one that an unbroken run would see, with
  /// its `kept` and `reset`. DataError if the epoch has fewer steps.
  void seek(std::int64_t position);

 private:
  void restart();
  void keep_all();
  bool refill();
  std::int64_t remaining(std::size_t slot) const { return end_[slot] - cursor_[slot]; }

  std::span<const std::int64_t> offsets_;
  std::span<const std::int32_t> items_;
  std::size_t batch_size_, min_slots_;

  std::size_t slots_ = 0;                             // in use, a prefix of the arrays below
  std::vector<std::int64_t> cursor_, end_, session_;  // [B] event index, one past the last, session
  std::vector<std::uint8_t> reset_;
  std::vector<std::int32_t> kept_, inputs_, targets_;
  bool rows_kept_ = false;  // kept_ is 0, 1, 2, ...
  std::int64_t next_session_ = 0, position_ = 0;
  std::int64_t run_ = 0;  // steps until the first slot runs out
};

}  // namespace capstan::data
