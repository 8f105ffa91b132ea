#include "recipes/tasks/next_event/dataset.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>
#include <span>
#include <utility>

#include "data/at.h"
#include "data/file.h"
#include "data/prepared.h"

namespace capstan::next_event {
namespace {

using data::at;

data::Interactions read(const DataOptions& o, const std::string& path, data::DataReport& report) {
  data::Interactions x = o.table.read(path, {.user_column = o.session_column, .sessions = true, .owner_column = o.user_column}, report);
  return x.has_times() ? data::order_by_start(x) : x;
}

// Reading and filtering of a whole log, kept in a file if the options say so.
data::Interactions read_log(const DataOptions& o, const engine::Setup& setup, data::DataReport& report, std::string* why) {
  require<ConfigError>(!o.log.empty(), "next_event: data.log must name the file of events for data.source = log");
  const std::string path = setup.data_path(o.log);
  const auto make = [&] {
    data::Interactions x = read(o, path, report);
    data::report_events(x, "log", "sessions", report);
    if (o.session_gap > 0) x = data::cut_at_gaps(x, o.session_gap);
    if (o.drop_repeats) x = data::drop_repeats(x);
    x = data::filter(x, o.min_length, o.min_support, o.filter);
    return data::compact(x.has_times() ? data::order_by_start(x) : x);  // after the filters, which may take a session's first event
  };
  if (o.prepared.empty()) {
    if (why != nullptr) *why = "data.prepared is empty";
    return make();
  }
  const std::string shaping = join_text("gru4rec 4 session ", o.session_column, " user ", o.user_column, " ", o.table.key(), " gap ",
                                        o.session_gap, " repeats ", o.drop_repeats, " length ", o.min_length, " support ", o.min_support,
                                        " filter ", o.filter == data::FilterMode::in_turn ? "in_turn" : "until_stable");
  return recommendation::kept_or_made(setup.data_path(o.prepared), path, shaping, setup.purpose, make, report, why);
}

// The first `count` sessions, and the rest.
std::pair<data::Interactions, data::Interactions> split_after(const data::Interactions& x, std::int64_t count) {
  data::Interactions head = x, tail = x;
  const std::int64_t events = x.offsets[at(count)];
  head.offsets.resize(at(count + 1));
  head.items.resize(at(events));
  head.users.resize(at(count));
  if (!head.times.empty()) head.times.resize(at(events));
  tail.offsets.erase(tail.offsets.begin(), tail.offsets.begin() + count);
  for (auto& offset : tail.offsets) offset -= events;
  tail.items.erase(tail.items.begin(), tail.items.begin() + events);
  tail.users.erase(tail.users.begin(), tail.users.begin() + count);
  if (!tail.times.empty()) tail.times.erase(tail.times.begin(), tail.times.begin() + events);
  return {std::move(head), std::move(tail)};
}

/// Seconds from the first event to the last.
double span_of_times(const data::Interactions& x) {
  const auto [first, last] = std::ranges::minmax(x.times);
  return last - first;
}

// What was read, before items have their final numbers.
struct Parts {
  data::Interactions train;
  std::optional<data::Interactions> validation, test;
};

Parts read_parts(const DataOptions& o, const engine::Setup& setup, bool needs_train, data::DataReport& report, std::string* why) {
  const auto file = [&](std::string_view key, const std::string& path) {
    return engine::named_by(key, [&] {
      data::Interactions x = read(o, setup.data_path(path), report);
      data::report_events(x, key.substr(5), "sessions", report);  // "data.train" is "train" there
      return x;
    });
  };
  Parts parts;
  if (o.source == Source::log) {
    const data::Interactions all = engine::named_by("data.log", [&] { return read_log(o, setup, report, why); });
    require<DataError>(all.events() > 0, "next_event: ", o.log,
                       ": no event is left by the filters (data.min_length, data.min_support, data.session_gap, data.time_unit)");
    const double cut = o.time_split.cut(all);
    data::TimeSplit s = data::split_at(all, cut, o.split_by);
    require<DataError>(s.train.sequences() > 0, "next_event: ", o.log,
                       ": the split leaves no training session of two events: its times span ", std::round(span_of_times(all) / 864) / 100,
                       " days, and ", o.time_split.split_time > 0 ? "data.split_time = " : "data.test_days = ",
                       o.time_split.split_time > 0 ? o.time_split.split_time : o.time_split.test_days, " puts all into the test part");
    parts.train = std::move(s.train);
    parts.test = std::move(s.test);
    report.fact("split",
                join_text(data::grouped(parts.train.sequences()), " training sessions, ", data::grouped(parts.test->sequences()),
                          " test sessions; ", data::grouped(s.unknown_events), " test events of items that training lacks left out"));
    if (parts.test->events() == 0)
      report.warn(join_text("the test part is empty: no session of known items at or after the cut; see data.test_days = ",
                            o.time_split.test_days, ", data.split_time, data.time_unit"));
  } else {
    require<ConfigError>(!o.train.empty() || !needs_train,
                         "next_event: data.train must name the file of training sessions (or set data.source)");
    if (!o.train.empty()) parts.train = data::compact(data::drop_short(file("data.train", o.train), 2));
    if (!o.test.empty()) parts.test = file("data.test", o.test);
  }
  if (!o.validation.empty()) {
    parts.validation = file("data.validation", o.validation);
  } else if (o.time_split.validation_days > 0) {
    data::TimeSplit s = data::split_at(parts.train, data::last_days(parts.train, o.time_split.validation_days), o.split_by);
    parts.train = std::move(s.train);
    parts.validation = std::move(s.test);
  }
  return parts;
}

Sessions in_items_of(const data::Interactions& x, const std::shared_ptr<const data::IdMap>& items, std::string_view part,
                     data::DataReport& report) {
  Sessions out;
  out.events = data::drop_short(recommendation::known_events(x, items, join_text("the ", part, " part"), out.unknown_events, report), 2);
  return out;
}

template <class T>
std::span<const std::byte> bytes_of(const std::vector<T>& v) {
  return std::as_bytes(std::span(v));
}

}  // namespace

std::string Sessions::name(std::int64_t session) const {
  std::string name((*events.user_ids)[events.users[at(session)]]);
  std::ranges::replace(name, '\x1f', ' ');  // what stands between an owner and an id
  return name;
}

std::int64_t Sessions::cases() const { return events.events() - events.sequences(); }

Dataset::Dataset(const DataOptions& data, const recommendation::SyntheticOptions& synthetic, const engine::Setup& setup,
                 const std::shared_ptr<const data::IdMap>& known, bool extend, std::string* why) {
  recommendation::with_report(report_, [&] { read(data, synthetic, setup, known, extend, why); });
}

void Dataset::read(const DataOptions& data, const recommendation::SyntheticOptions& synthetic, const engine::Setup& setup,
                   const std::shared_ptr<const data::IdMap>& known, bool extend, std::string* why) {
  Parts parts;
  if (data.source == Source::synthetic) {
    chain_ = synthetic.chain();
    const std::int64_t extra = synthetic.sequences / 10;
    const data::Interactions all = synthetic.generate(*chain_, synthetic.sequences + 2 * extra);
    auto [train, rest] = split_after(all, synthetic.sequences);
    auto [validation, test] = split_after(rest, extra);
    parts = {data::compact(train), std::move(validation), std::move(test)};
  } else {
    parts = read_parts(data, setup, known == nullptr || setup.purpose != engine::Purpose::evaluate, report_, why);
  }

  const bool trains = data.source != Source::split || !data.train.empty();  // else only its items are known: those of a checkpoint
  items_ = parts.train.item_ids;
  if (known != nullptr && !(*known == *items_)) {
    items_ = known;
    if (extend) {
      auto extended = std::make_shared<data::IdMap>(*known);
      for (std::int64_t i = 0; i < parts.train.item_count(); ++i) {
        const std::string name((*parts.train.item_ids)[i]);
        if (extended->find(name) < 0) extended->add(name);
      }
      items_ = std::move(extended);
    }
    train_ = in_items_of(parts.train, items_, "training", report_);
  } else {
    train_.events = std::move(parts.train);
  }
  require<DataError>(train_.events.sequences() > 0 || !trains, "next_event: no training session has two events of known items",
                     data.source == Source::log ? "; see data.test_days, data.split_time and data.validation_days" : "");
  if (parts.validation) validation_ = in_items_of(*parts.validation, items_, "validation", report_);
  if (parts.test) test_ = in_items_of(*parts.test, items_, "test", report_);
  if (!trains) report_.fact("train", "no file: baselines are left out");
  support_ = recommendation::supports(sequences_of(train_.events));
}

void Dataset::evaluate_only(const data::IdMap& sessions) {
  std::int64_t left = 0;
  for (auto* part : {&validation_, &test_}) {
    if (!*part) continue;
    const data::Interactions& all = (*part)->events;
    data::Interactions some;
    some.user_ids = all.user_ids;
    some.item_ids = all.item_ids;
    for (std::int64_t s = 0; s < all.sequences(); ++s) {
      if (sessions.find((*part)->name(s)) < 0) continue;
      const auto items = all.sequence(s);
      some.items.insert(some.items.end(), items.begin(), items.end());
      if (!all.times.empty()) std::ranges::copy(all.sequence_times(s), std::back_inserter(some.times));
      some.users.push_back(all.users[at(s)]);
      some.offsets.push_back(some.events());
    }
    left += some.sequences();
    (*part)->events = std::move(some);
  }
  report_.fact("evaluated", join_text(data::grouped(left), " of the ", data::grouped(sessions.size()),
                                      " sessions of evaluate.user_list are in the validation or test part"));
  require<DataError>(left > 0, "none of the ", sessions.size(), " sessions, such as '", sessions[0],
                     "', is in the validation or test part with two events of known items");
}

const Sessions* Dataset::split(engine::Split split) const {
  const auto& s = split == engine::Split::validation ? validation_ : test_;
  return s ? &*s : nullptr;
}

std::string Dataset::digest() const {
  std::vector<std::byte> content;
  const auto append = [&](std::span<const std::byte> part) { content.insert(content.end(), part.begin(), part.end()); };
  append(bytes_of(train_.events.items));
  append(bytes_of(train_.events.offsets));
  append(std::as_bytes(std::span(items_->names())));
  append(bytes_of(items_->ends()));
  return to_text(data::digest_of(content));
}

std::string Dataset::summary() const {
  std::string out =
      join_text(item_count(), " items; training: ", train_.events.sequences(), " sessions, ", train_.events.events(), " events");
  const auto add = [&](const char* name, const std::optional<Sessions>& s) {
    if (s)
      out += join_text("; ", name, ": ", s->events.sequences(), " sessions, ", s->cases(), " cases, ", s->unknown_events,
                       " events of unknown items left out");
  };
  add("validation", validation_);
  add("test", test_);
  return out;
}

recommendation::ItemSequences sequences_of(const data::Interactions& events) {
  return {.count = events.sequences(), .items = events.item_count(), .get = [&](std::int64_t s) { return events.sequence(s); }};
}

void store_support(engine::NamedTensors& artifacts, const std::vector<std::int64_t>& support) {
  artifacts.insert_or_assign("item_support", Tensor::from(support, Shape{static_cast<std::int64_t>(support.size())}));
}

std::vector<std::int64_t> stored_support(const engine::NamedTensors& artifacts) {
  const auto found = artifacts.find("item_support");
  if (found == artifacts.end()) return {};
  const auto values = found->second.span<const std::int64_t>();
  return {values.begin(), values.end()};
}

}  // namespace capstan::next_event
