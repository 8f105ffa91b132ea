#include "data/splits.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "autograd/core/error.h"
#include "data/at.h"

namespace capstan::data {
namespace {

void need_times(const Interactions& x, std::string_view what) {
  require<DataError>(x.has_times(), what, ": needs a time for each event, the data has none");
}

/// Builds interactions event by event, in the ids of another.
class Builder {
 public:
  explicit Builder(const Interactions& like) : like_(like) {
    out_.user_ids = like.user_ids;
    out_.item_ids = like.item_ids;
  }
  void add(std::int64_t event) { add(event, like_.items[at(event)]); }
  void add(std::int64_t event, std::int32_t item) {
    out_.items.push_back(item);
    if (!like_.times.empty()) out_.times.push_back(like_.times[at(event)]);
  }
  /// Ends the sequence begun by the first add() since the last end.
  void end_sequence(std::int64_t of_sequence) {
    if (out_.events() == out_.offsets.back()) return;
    out_.offsets.push_back(out_.events());
    out_.users.push_back(like_.users[at(of_sequence)]);
  }
  Interactions take() { return std::move(out_); }

 private:
  const Interactions& like_;
  Interactions out_;
};

/// The events for which keep(sequence, event) holds.
template <class Keep>
Interactions select(const Interactions& x, Keep&& keep) {
  Builder b(x);
  for (std::int64_t s = 0; s < x.sequences(); ++s) {
    for (std::int64_t e = x.offsets[at(s)]; e < x.offsets[at(s) + 1]; ++e) {
      if (keep(s, e)) b.add(e);
    }
    b.end_sequence(s);
  }
  return b.take();
}

std::vector<std::int64_t> supports(const Interactions& x) {
  std::vector<std::int64_t> n(at(x.item_count()), 0);
  for (const auto i : x.items) ++n[at(i)];
  return n;
}

Interactions drop_rare(const Interactions& x, std::int64_t min_support) {
  const auto n = supports(x);
  return select(x, [&](auto, auto e) { return n[at(x.items[at(e)])] >= min_support; });
}

}  // namespace

Interactions drop_short(const Interactions& x, std::int64_t min_length) {
  return select(x, [&](auto s, auto) { return x.length(s) >= min_length; });
}

Interactions filter(const Interactions& x, std::int64_t min_length, std::int64_t min_support, FilterMode mode) {
  switch (mode) {
    case FilterMode::once: {
      const auto n = supports(x);
      return select(x, [&](auto s, auto e) { return x.length(s) >= min_length && n[at(x.items[at(e)])] >= min_support; });
    }
    case FilterMode::in_turn: return drop_short(drop_rare(drop_short(x, min_length), min_support), min_length);
    case FilterMode::until_stable: {
      auto y = drop_rare(drop_short(x, min_length), min_support);
      for (auto before = x.events(); y.events() != before;) {
        before = y.events();
        y = drop_rare(drop_short(y, min_length), min_support);
      }
      return y;
    }
  }
  throw InternalError("filter: unknown mode");
}

Interactions drop_repeats(const Interactions& x) {
  return select(x, [&](auto s, auto e) { return e == x.offsets[at(s)] || x.items[at(e)] != x.items[at(e) - 1]; });
}

Interactions cut_at_gaps(const Interactions& x, double seconds) {
  need_times(x, "cut_at_gaps");
  Builder b(x);
  for (std::int64_t s = 0; s < x.sequences(); ++s) {
    for (std::int64_t e = x.offsets[at(s)]; e < x.offsets[at(s) + 1]; ++e) {
      if (e > x.offsets[at(s)] && x.times[at(e)] - x.times[at(e) - 1] > seconds) b.end_sequence(s);
      b.add(e);
    }
    b.end_sequence(s);
  }
  return b.take();
}

Interactions order_by_start(const Interactions& x) {
  need_times(x, "order_by_start");
  std::vector<std::int64_t> order(at(x.sequences()));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](auto a, auto b) { return x.times[at(x.offsets[at(a)])] < x.times[at(x.offsets[at(b)])]; });
  Builder b(x);
  for (const auto s : order) {
    for (std::int64_t e = x.offsets[at(s)]; e < x.offsets[at(s) + 1]; ++e) b.add(e);
    b.end_sequence(s);
  }
  return b.take();
}

Interactions compact(const Interactions& x) {
  const auto renumber = [](const std::vector<std::int32_t>& used, const IdMap& ids) {
    std::vector<std::int32_t> to(at(ids.size()), -1);
    for (const auto i : used) to[at(i)] = 0;
    auto kept = std::make_shared<IdMap>();
    for (std::int64_t i = 0; i < ids.size(); ++i) {
      if (to[at(i)] == 0) to[at(i)] = kept->add(ids[i]);
    }
    return std::pair(std::move(to), std::move(kept));
  };
  const auto [item_to, item_ids] = renumber(x.items, *x.item_ids);
  const auto [user_to, user_ids] = renumber(x.users, *x.user_ids);
  Interactions y = x;
  for (auto& i : y.items) i = item_to[at(i)];
  for (auto& u : y.users) u = user_to[at(u)];
  y.item_ids = item_ids;
  y.user_ids = user_ids;
  return y;
}

Interactions translate(const Interactions& x, std::shared_ptr<const IdMap> item_ids, std::int64_t* unknown_events) {
  std::vector<std::int32_t> to(at(x.item_count()));
  for (std::int64_t i = 0; i < x.item_count(); ++i) to[at(i)] = static_cast<std::int32_t>(item_ids->find((*x.item_ids)[i]));
  Builder b(x);
  for (std::int64_t s = 0; s < x.sequences(); ++s) {
    for (std::int64_t e = x.offsets[at(s)]; e < x.offsets[at(s) + 1]; ++e) {
      if (const auto item = to[at(x.items[at(e)])]; item >= 0) b.add(e, item);
    }
    b.end_sequence(s);
  }
  Interactions y = b.take();
  y.item_ids = std::move(item_ids);
  if (unknown_events != nullptr) *unknown_events = x.events() - y.events();
  return y;
}

LeaveOneOut leave_one_out(const Interactions& x) {
  LeaveOneOut out;
  out.train = select(x, [&](auto s, auto e) { return x.length(s) < 3 || e < x.offsets[at(s) + 1] - 2; });
  out.valid.assign(at(x.sequences()), -1);
  out.test.assign(at(x.sequences()), -1);
  for (std::int64_t s = 0; s < x.sequences(); ++s) {
    const auto items = x.sequence(s);
    if (items.size() < 3) continue;
    out.valid[at(s)] = items[items.size() - 2];
    out.test[at(s)] = items[items.size() - 1];
  }
  return out;
}

TimeSplit split_at(const Interactions& x, double cut, SplitBy rule) {
  need_times(x, "split_at");
  const auto in_test = [&](std::int64_t s) {
    const auto times = x.sequence_times(s);
    return (rule == SplitBy::session_end ? times.back() : times.front()) >= cut;
  };
  TimeSplit out;
  // A session that only begins before the cut lends its events up to there to training, and the rest to nobody.
  const bool cuts = rule == SplitBy::session_start;
  out.train = compact(drop_short(select(x, [&](auto s, auto e) { return !in_test(s) && !(cuts && x.times[at(e)] >= cut); }), 2));
  const auto test = select(x, [&](auto s, auto) { return in_test(s); });
  out.test = drop_short(translate(test, out.train.item_ids, &out.unknown_events), 2);
  return out;
}

double last_days(const Interactions& x, double days) {
  need_times(x, "last_days");
  require<DataError>(x.events() > 0, "last_days: no events");
  return *std::max_element(x.times.begin(), x.times.end()) - 86400.0 * days;
}

}  // namespace capstan::data
