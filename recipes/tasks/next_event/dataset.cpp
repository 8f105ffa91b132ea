#include "recipes/tasks/next_event/dataset.h"

#include <algorithm>
#include <numeric>
#include <span>
#include <utility>

#include "data/file.h"
#include "data/prepared.h"

namespace capstan::next_event {
namespace {

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

data::Interactions read(const DataOptions& o, const std::string& path, data::DataReport& report) {
  data::ReadOptions reading = o.table.reading();
  if (o.form == FileForm::lines) {
    if (reading.table.separator.empty()) reading.table.separator = "blank";
    return data::read_session_lines(path, data::IdOrder::first_appearance, reading.table, &report);
  }
  reading.user_column = o.session_column;
  reading.item_column = o.item_column;
  reading.time_column = o.time_column;
  reading.sessions = true;
  reading.owner_column = o.user_column;
  reading.time_offset_column = o.time_offset_column;
  reading.time_unit = o.time_unit;
  reading.event_column = o.event_column;
  reading.events = o.events;
  data::Interactions x = data::read_interactions(path, reading, &report);
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
  std::string kept;
  for (const std::string& event : o.events) kept += event + ",";
  const std::string shaping =
      join_text("gru4rec 3 session ", o.session_column, " user ", o.user_column, " item ", o.item_column, " time ", o.time_column, " + ",
                o.time_offset_column, " unit ", o.time_unit == data::TimeUnit::seconds ? "seconds" : "milliseconds", " event ",
                o.event_column, " ", kept, " ", o.table.key(), " form ", o.form == FileForm::table ? "table" : "lines", " gap ",
                o.session_gap, " repeats ", o.drop_repeats, " length ", o.min_length, " support ", o.min_support, " filter ",
                o.filter == data::FilterMode::in_turn ? "in_turn" : "until_stable");
  const std::string prepared = setup.data_path(o.prepared);
  std::string reason;
  data::Interactions x =
      data::prepared_interactions(prepared, data::prepared_key(std::span(&path, 1), shaping), make, &reason,
                                  setup.purpose == engine::Purpose::evaluate ? data::KeepPrepared::no : data::KeepPrepared::yes);
  if (reason.empty()) report.fact("file", join_text(prepared, ": prepared from ", path));
  if (why != nullptr) *why = reason;
  return x;
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
    const double cut = o.split_time > 0 ? o.split_time : data::last_days(all, o.test_days);
    data::TimeSplit s = data::split_at(all, cut, o.split_by);
    parts.train = std::move(s.train);
    parts.test = std::move(s.test);
    report.fact("split",
                join_text(data::grouped(parts.train.sequences()), " training sessions, ", data::grouped(parts.test->sequences()),
                          " test sessions; ", data::grouped(s.unknown_events), " test events of items that training lacks left out"));
    if (parts.test->events() == 0)
      report.warn(join_text("the test part is empty: no session of known items at or after the cut; see data.test_days = ", o.test_days,
                            ", data.split_time, data.time_unit"));
  } else {
    require<ConfigError>(!o.train.empty() || !needs_train,
                         "next_event: data.train must name the file of training sessions (or set data.source)");
    if (!o.train.empty()) parts.train = data::compact(data::drop_short(file("data.train", o.train), 2));
    if (!o.test.empty()) parts.test = file("data.test", o.test);
  }
  if (!o.validation.empty()) {
    parts.validation = file("data.validation", o.validation);
  } else if (o.validation_days > 0) {
    data::TimeSplit s = data::split_at(parts.train, data::last_days(parts.train, o.validation_days), o.split_by);
    parts.train = std::move(s.train);
    parts.validation = std::move(s.test);
  }
  return parts;
}

Sessions in_items_of(const data::Interactions& x, const std::shared_ptr<const data::IdMap>& items, std::string_view part,
                     data::DataReport& report) {
  Sessions out;
  out.events = data::drop_short(data::translate(x, items, &out.unknown_events), 2);
  require<DataError>(x.events() == 0 || out.unknown_events < x.events(), "next_event: none of the ", data::grouped(x.events()),
                     " events of the ", part, " part is of a known item: ", recommendation::side_by_side(*x.item_ids, *items));
  if (out.unknown_events > 0)
    report.fact("unknown", join_text(data::grouped(out.unknown_events), " of ", data::grouped(x.events()), " events of the ", part,
                                     " part are of items that are not known, and left out"));
  if (2 * out.unknown_events > x.events())
    report.warn(join_text("most events of the ", part, " part are of unknown items: ", recommendation::side_by_side(*x.item_ids, *items)));
  return out;
}

template <class T>
std::span<const std::byte> bytes_of(const std::vector<T>& v) {
  return std::as_bytes(std::span(v));
}

}  // namespace

std::int64_t Sessions::cases() const { return events.events() - events.sequences(); }

Dataset::Dataset(const DataOptions& data, const recommendation::SyntheticOptions& synthetic, const engine::Setup& setup,
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
                     data.source == Source::log ? "; is everything in the test part? See data.test_days and data.split_time" : "");
  if (parts.validation) validation_ = in_items_of(*parts.validation, items_, "validation", report_);
  if (parts.test) test_ = in_items_of(*parts.test, items_, "test", report_);
  if (!trains) report_.fact("train", "no file: baselines are left out");
  support_ = recommendation::supports(sequences_of(train_.events));
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
