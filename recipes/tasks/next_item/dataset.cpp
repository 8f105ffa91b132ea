#include "recipes/tasks/next_item/dataset.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "data/at.h"
#include "data/file.h"
#include "data/prepared.h"
#include "data/sampler.h"
#include "data/splits.h"
#include "recipes/tasks/recommendation/item_names.h"

namespace capstan::next_item {
namespace {

using data::at;

data::Interactions read_table(const DataOptions& options, const std::string& path, data::DataReport& report) {
  return options.table.read(path, {.user_column = options.user_column}, report);
}

/// data.path, filtered.
data::Interactions read_filtered(const DataOptions& options, const std::string& path, data::DataReport& report) {
  data::Interactions x = read_table(options, path, report);
  const std::int64_t read = x.events();
  if (options.drop_repeats) x = data::drop_repeats(x);
  if (options.min_length > 1 || options.min_support > 1) {
    x = data::compact(data::filter(x, options.min_length, options.min_support, options.filter));
    require<DataError>(x.events() > 0, path, ": no interactions are left by data.min_length = ", options.min_length,
                       " and data.min_support = ", options.min_support);
  }
  if (x.events() < read)
    report.fact("left out", join_text(data::grouped(read - x.events()), " of ", data::grouped(read),
                                      " interactions by data.min_length, data.min_support and data.drop_repeats"));
  return x;
}

data::Interactions read_file(const DataOptions& options, const engine::Setup& setup, data::DataReport& report, std::string* why) {
  require<ConfigError>(!options.path.empty(), "next_item: data.path must name the file of interactions (or set data.source = synthetic)");
  const std::string path = setup.data_path(options.path);
  const auto make = [&] { return read_filtered(options, path, report); };
  if (options.prepared.empty()) {
    if (why != nullptr) *why = "data.prepared is empty";
    return engine::named_by("data.path", make);
  }
  const std::string shaping = join_text(
      "sasrec 3 user ", options.user_column, " ", options.table.key(), " repeats ", options.drop_repeats ? "dropped" : "kept", " length ",
      options.min_length, " support ", options.min_support, " filter ", options.filter == data::FilterMode::once ? "once" : "until_stable");
  return engine::named_by("data.path", [&] {
    return recommendation::kept_or_made(setup.data_path(options.prepared), path, shaping, setup.purpose, make, report, why);
  });
}

/// The events of each user from one place to another.
data::Interactions between(const data::Interactions& x, std::span<const std::int64_t> from, std::span<const std::int64_t> to) {
  data::Interactions out;
  out.user_ids = x.user_ids;
  out.item_ids = x.item_ids;
  for (std::int64_t u = 0; u < x.sequences(); ++u) {
    const std::int64_t first = from[at(u)], count = to[at(u)] - first;
    if (count == 0) continue;
    std::ranges::copy(x.sequence(u).subspan(at(first), at(count)), std::back_inserter(out.items));
    std::ranges::copy(x.sequence_times(u).subspan(at(first), at(count)), std::back_inserter(out.times));
    out.offsets.push_back(out.events());
    out.users.push_back(x.users[at(u)]);
  }
  return out;
}

/// Training, validation and test part by the times of the events.
std::vector<data::Interactions> split_by_time(const data::Interactions& x, const recommendation::TimeSplitOptions& o) {
  require<DataError>(x.has_times(), "data.split = time needs times, and none are known: see data.time_column");
  std::vector<std::int64_t> begin(at(x.sequences())), validation, test, end;
  const auto places = [&](double cut) {
    std::vector<std::int64_t> out;
    for (std::int64_t u = 0; u < x.sequences(); ++u) {
      const auto t = x.sequence_times(u);
      out.push_back(std::ranges::lower_bound(t, cut) - t.begin());
    }
    return out;
  };
  for (std::int64_t u = 0; u < x.sequences(); ++u) end.push_back(x.length(u));
  test = places(o.cut(x));
  data::Interactions before = between(x, begin, test);
  require<DataError>(before.events() > 0, "data.split = time: ", o.split_time > 0 ? "data.split_time = " : "data.test_days = ",
                     o.split_time > 0 ? o.split_time : o.test_days, " puts all events into the test part");
  validation = o.validation_days > 0 ? places(data::last_days(before, o.validation_days)) : test;
  data::Interactions train = data::compact(between(x, begin, validation));
  require<DataError>(train.events() > 0, "data.split = time: data.validation_days = ", o.validation_days, " leaves no event for training");
  return {std::move(train), between(x, validation, test), between(x, test, end)};
}

template <class T>
std::span<const std::byte> bytes_of(const std::vector<T>& v) {
  return std::as_bytes(std::span(v));
}

}  // namespace

Dataset::Dataset(const DataOptions& data, const recommendation::SyntheticOptions& synthetic, const engine::Setup& setup, std::string* why)
    : seed_(setup.seed) {
  recommendation::with_report(report_, [&] { read(data, synthetic, setup, why); });
}

Dataset::Dataset(data::Interactions interactions, std::uint64_t seed) : all_(std::move(interactions)), seed_(seed) { leave_one_out(0); }

void Dataset::read(const DataOptions& data, const recommendation::SyntheticOptions& synthetic, const engine::Setup& setup,
                   std::string* why) {
  const std::shared_ptr<const data::IdMap> known = recommendation::stored_items(setup.artifacts);
  rule_ = data.split;
  part_files_ = !data.validation.empty() || !data.test.empty();
  const auto part = [&](std::string_view key, const std::string& path) {
    return engine::named_by(key, [&] {
      data::Interactions x = read_table(data, setup.data_path(path), report_);
      data::report_events(x, key.substr(5), "users", report_);  // "data.test" is "test" there
      return x;
    });
  };
  if (data.source == Source::synthetic) {
    chain_ = synthetic.chain();
    all_ = synthetic.generate(*chain_, synthetic.sequences);
  } else if (data.path.empty() && part_files_ && known != nullptr && setup.purpose != engine::Purpose::train) {
    all_.item_ids = known;
    report_.fact("train", "no file: the histories are those of the other files, and baselines are left out");
  } else {
    all_ = read_file(data, setup, report_, why);
    data::report_events(all_, "data", "users", report_);
  }
  if (part_files_) {
    std::vector<data::Interactions> parts{std::move(all_), {}, {}};
    if (!data.validation.empty()) parts[1] = part("data.validation", data.validation);
    if (!data.test.empty()) parts[2] = part("data.test", data.test);
    join(parts, known, setup);
  } else if (rule_ == SplitRule::time) {
    join(split_by_time(all_, data.time_split), known, setup);
  } else {
    if (known && !(*known == *all_.item_ids)) {
      const data::Interactions given = std::move(all_);
      all_ = recommendation::known_events(given, known, "the data", unknown_events_, report_);
      if (setup.purpose == engine::Purpose::predict) remember_unknown(given);
    }
    leave_one_out(data.validation_users);
    const std::int64_t tested = std::ssize(cases(engine::Split::test)), validated = std::ssize(cases(engine::Split::validation));
    report_.fact("split", join_text("leave-one-out: the last item of ", data::grouped(tested), " users tests, the one before it validates",
                                    validated < tested ? join_text(" for ", data::grouped(validated),
                                                                   " of them, drawn by run.seed, and trains for the others")
                                                       : std::string(),
                                    "; users with fewer than three items only train"));
  }
}

void Dataset::remember_unknown(const data::Interactions& given) {
  for (std::int64_t u = 0; u < given.sequences(); ++u) {
    std::vector<std::string>& names = unknown_of_[std::string((*given.user_ids)[given.users[at(u)]])];
    for (const auto item : given.sequence(u))
      if (const auto name = (*given.item_ids)[item]; all_.item_ids->find(name) < 0 && std::ranges::find(names, name) == names.end())
        names.emplace_back(name);
  }
}

const std::vector<std::string>* Dataset::unknown_items(const std::string& user) const {
  const auto found = unknown_of_.find(user);
  return found == unknown_of_.end() ? nullptr : &found->second;
}

void Dataset::leave_one_out(std::int64_t validation_users) {
  const data::LeaveOneOut parts = data::leave_one_out(all_);
  require<InternalError>(parts.train.sequences() == all_.sequences(), "next_item: a user without items: ", all_.sequences(), " users, ",
                         parts.train.sequences(), " of them with training items");
  for (std::int64_t u = 0; u < user_count(); ++u) {
    train_length_.push_back(parts.train.length(u));
    test_begin_.push_back(parts.train.length(u) == all_.length(u) ? all_.length(u) : all_.length(u) - 1);
  }
  if (validation_users > 0) {
    std::vector<std::int64_t> others;
    for (std::int64_t u = 0; u < user_count(); ++u)
      if (train_length_[at(u)] < test_begin_[at(u)]) others.push_back(u);
    Rng rng(random_key(seed_, "validation users"));
    rng.shuffle(std::span(others));
    for (std::size_t i = at(validation_users); i < others.size(); ++i) ++train_length_[at(others[i])];
    validates_some_ = at(validation_users) < others.size();
  }
  index();
}

void Dataset::join(const std::vector<data::Interactions>& parts, const std::shared_ptr<const data::IdMap>& known,
                   const engine::Setup& setup) {
  constexpr std::string_view kNames[] = {"the training part", "the validation part", "the test part"};
  const std::shared_ptr<const data::IdMap> items = known ? known : parts[0].item_ids;
  auto users = std::make_shared<data::IdMap>();
  std::vector<std::vector<std::int32_t>> sequences;  // [users]
  std::string counts;
  for (std::size_t p = 0; p < parts.size(); ++p) {
    std::int64_t unknown = 0;
    const data::Interactions x =
        parts[p].item_ids == items ? parts[p] : recommendation::known_events(parts[p], items, kNames[p], unknown, report_);
    unknown_events_ += unknown;
    if (unknown > 0 && setup.purpose == engine::Purpose::predict) remember_unknown(parts[p]);
    for (std::int64_t s = 0; s < x.sequences(); ++s) {
      const auto user = at(users->add((*x.user_ids)[x.users[at(s)]]));
      if (user == sequences.size()) sequences.emplace_back();
      std::ranges::copy(x.sequence(s), std::back_inserter(sequences[user]));
    }
    auto& ends = p == 0 ? train_length_ : test_begin_;
    if (p < 2)
      for (const auto& sequence : sequences) ends.push_back(static_cast<std::int64_t>(sequence.size()));
    counts += join_text(p == 0 ? "" : ", ", data::grouped(x.events()), " events of ", data::grouped(x.sequences()), " users for ",
                        kNames[p].substr(4, kNames[p].size() - 9));
  }
  report_.fact("split", counts);
  train_length_.resize(sequences.size(), 0);
  test_begin_.resize(sequences.size(), 0);
  all_ = {};
  for (std::size_t u = 0; u < sequences.size(); ++u) {
    all_.items.insert(all_.items.end(), sequences[u].begin(), sequences[u].end());
    all_.offsets.push_back(all_.events());
    all_.users.push_back(static_cast<std::int32_t>(u));
  }
  all_.user_ids = std::move(users);
  all_.item_ids = items;
  index();
}

void Dataset::index() {
  for (auto& item : all_.items) ++item;  // model ids: 0 is padding
  popularity_.assign(at(item_count() + 1), 0);
  distinct_offsets_.push_back(0);
  std::vector<std::int32_t> sorted;
  for (std::int64_t u = 0; u < user_count(); ++u) {
    if (train_length_[at(u)] >= 1) ++training_users_;
    if (train_length_[at(u)] >= 2) trainable_.push_back(u);
    const auto items = train(u);
    for (const auto item : items) ++popularity_[at(item)];
    sorted.assign(items.begin(), items.end());
    std::ranges::sort(sorted);
    sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
    distinct_items_.insert(distinct_items_.end(), sorted.begin(), sorted.end());
    distinct_offsets_.push_back(static_cast<std::int64_t>(distinct_items_.size()));
  }
}

std::span<const std::int32_t> Dataset::train(std::int64_t user) const { return all_.sequence(user).first(at(train_length_[at(user)])); }

std::span<const std::int32_t> Dataset::train_items(std::int64_t user) const {
  const auto first = at(distinct_offsets_[at(user)]), last = at(distinct_offsets_[at(user) + 1]);
  return std::span(distinct_items_).subspan(first, last - first);
}

std::vector<Case> Dataset::cases(engine::Split split, std::int64_t limit, std::uint64_t seed, const data::IdMap& only) const {
  const bool validation = split == engine::Split::validation;
  const auto first = [&](std::int64_t u) { return std::max<std::int64_t>(1, (validation ? train_length_ : test_begin_)[at(u)]); };
  const auto end = [&](std::int64_t u) { return validation ? test_begin_[at(u)] : all_.length(u); };
  std::vector<std::int64_t> users;
  for (std::int64_t u = 0; u < user_count(); ++u)
    if (first(u) < end(u) && (only.size() == 0 || only.find(user_name(u)) >= 0)) users.push_back(u);
  if (limit > 0 && limit < static_cast<std::int64_t>(users.size())) {
    Rng rng(random_key(seed, "evaluated users"));
    rng.shuffle(std::span(users));
    users.resize(at(limit));
    std::ranges::sort(users);
  }
  std::vector<Case> out;
  for (const std::int64_t u : users)
    for (std::int64_t place = first(u); place < end(u); ++place) out.push_back({.user = u, .place = place, .index = place - first(u)});
  return out;
}

void Dataset::draw_negatives(std::int64_t user, std::int64_t epoch, std::int64_t place, std::span<std::int32_t> out) const {
  Rng rng(random_key(seed_, "negatives", {static_cast<std::uint64_t>(epoch), static_cast<std::uint64_t>(place)}));
  data::draw_excluding(rng, 1, item_count() + 1, train_items(user), out);
}

void Dataset::check_negatives() const {
  for (const auto u : trainable_) {
    require<DataError>(static_cast<std::int64_t>(train_items(u).size()) < item_count(), "next_item: user '", user_name(u), "' has all ",
                       item_count(), " items in training, so no negative can be drawn; loss.kind = ce needs none");
  }
}

std::string Dataset::digest() const {
  std::vector<std::byte> content;
  const auto append = [&](std::span<const std::byte> part) { content.insert(content.end(), part.begin(), part.end()); };
  append(bytes_of(all_.items));
  append(bytes_of(all_.offsets));
  append(bytes_of(all_.users));
  if (part_files_ || validates_some_ || rule_ == SplitRule::time)
    for (const auto* places : {&train_length_, &test_begin_}) append(bytes_of(*places));
  for (const auto* ids : {all_.item_ids.get(), all_.user_ids.get()}) {
    append(std::as_bytes(std::span(ids->names())));
    append(bytes_of(ids->ends()));
  }
  return to_text(data::digest_of(content));
}

std::string Dataset::summary() const {
  const std::string counts = join_text(user_count(), " users, ", item_count(), " items, ", all_.events(), " interactions");
  return unknown_events_ == 0 ? counts
                              : join_text(counts, ", ", unknown_events_, " others left out: their items are not in the checkpoint");
}

}  // namespace capstan::next_item
