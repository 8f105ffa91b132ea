#pragma once
// What is done with interactions between reading and training: filters, renumbering, and splits into train, validation and test.
//
// Every function takes interactions and returns new ones; sequences that become empty are left out; ids keep their indices
// unless the function says that it renumbers. Time splits need times and throw DataError without them.

#include <cstdint>
#include <memory>
#include <vector>

#include "data/interactions.h"

namespace capstan::data {

// ---- Filters

/// How "at least `min_length` events a sequence, at least `min_support` events an item" is meant.
enum class FilterMode {
  once,          ///< both counts are taken on the input, then applied together (the SASRec preprocessing; not a k-core)
  in_turn,       ///< short sequences out, then rare items, then sequences that became short (the RSC15 preprocessing)
  until_stable,  ///< repeated until both hold: with min_length = min_support = k the k-core
};
Interactions filter(const Interactions& x, std::int64_t min_length, std::int64_t min_support, FilterMode mode);

/// Sequences of at least `min_length` events.
Interactions drop_short(const Interactions& x, std::int64_t min_length);
/// Events that repeat the item just before them in the sequence are left out.
Interactions drop_repeats(const Interactions& x);
/// Cuts a sequence wherever the next event is more than `seconds` later.
Interactions cut_at_gaps(const Interactions& x, double seconds);
/// Sequences in ascending order of the time of their first event (stable), as GRU4Rec trains on them.
Interactions order_by_start(const Interactions& x);

// ---- Ids

/// Users and items that no longer occur lose their index; the others move up in unchanged order.
Interactions compact(const Interactions& x);
/// The same events in the item indices of another data set, by item name; events of items unknown there are left out and
/// counted. Their neighbours then follow each other.
Interactions translate(const Interactions& x, std::shared_ptr<const IdMap> item_ids, std::int64_t* unknown_events = nullptr);

// ---- Splits

/// The last item of each sequence for test, the second last for validation, the rest for training.
/// Sequences of fewer than three events go to training whole; valid and test are then -1.
struct LeaveOneOut {
  Interactions train;                     ///< sequence s is sequence s of the input
  std::vector<std::int32_t> valid, test;  ///< [sequences] item index
};
LeaveOneOut leave_one_out(const Interactions& x);

enum class SplitBy {
  session_end,    ///< test: sessions whose last event is at or after the cut; the others train (RSC15)
  session_start,  ///< test: sessions that begin at or after the cut; train: all events before it, sessions cut there
};
/// Train is compacted; test is translated to its item ids, events of unknown items are dropped and counted. Both keep only
/// sessions of at least two events.
struct TimeSplit {
  Interactions train, test;
  std::int64_t unknown_events = 0;
};
TimeSplit split_at(const Interactions& x, double cut, SplitBy rule);
/// The cut that leaves the last `days` days before the newest event for test.
double last_days(const Interactions& x, double days);

}  // namespace capstan::data
