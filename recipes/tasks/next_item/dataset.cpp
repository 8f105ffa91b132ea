#include "recipes/tasks/next_item/dataset.h"

#include <algorithm>
#include <cstring>

#include "data/file.h"
#include "data/prepared.h"
#include "data/sampler.h"
#include "data/splits.h"
#include "recipes/tasks/recommendation/item_names.h"

namespace capstan::next_item {
namespace {

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

data::Interactions read(const DataOptions& options, const std::string& path, data::DataReport& report) {
  data::ReadOptions reading = options.table.reading();
  reading.user_column = options.user_column;
  reading.item_column = options.item_column;
  reading.time_column = options.time_column;
  data::Interactions x = data::read_interactions(path, reading, &report);
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
  const auto make = [&] { return read(options, path, report); };
  if (options.prepared.empty()) {
    if (why != nullptr) *why = "data.prepared is empty";
    return engine::named_by("data.path", make);
  }
  const std::string shaping =
      join_text("sasrec 2 user ", options.user_column, " item ", options.item_column, " time ", options.time_column, " ",
                options.table.key(), " repeats ", options.drop_repeats ? "dropped" : "kept", " length ", options.min_length, " support ",
                options.min_support, " filter ", options.filter == data::FilterMode::once ? "once" : "until_stable");
  const std::string prepared = setup.data_path(options.prepared);
  const auto open = [&] {
    std::string reason;
    data::Interactions x =
        data::prepared_interactions(prepared, data::prepared_key(std::span(&path, 1), shaping), make, &reason,
                                    setup.purpose == engine::Purpose::evaluate ? data::KeepPrepared::no : data::KeepPrepared::yes);
    if (reason.empty()) report.fact("file", join_text(prepared, ": prepared from ", path));
    if (why != nullptr) *why = reason;
    return x;
  };
  return engine::named_by("data.path", open);
}

template <class T>
std::span<const std::byte> bytes_of(const std::vector<T>& v) {
  return std::as_bytes(std::span(v));
}

}  // namespace

Dataset::Dataset(const DataOptions& data, const recommendation::SyntheticOptions& synthetic, const engine::Setup& setup, std::string* why)
    : seed_(setup.seed) {
  if (data.source == Source::synthetic) {
    chain_ = synthetic.chain();
    all_ = synthetic.generate(*chain_, synthetic.sequences);
  } else {
    all_ = read_file(data, setup, report_, why);
    data::report_events(all_, "data", "users", report_);
  }
  if (const auto names = recommendation::stored_items(setup.artifacts); names && !(*names == *all_.item_ids)) {
    const data::Interactions given = all_;
    all_ = data::translate(given, names, &unknown_events_);
    require<DataError>(all_.events() > 0, "next_item: none of the ", unknown_events_,
                       " interactions is with an item that the checkpoint knows: ", recommendation::side_by_side(*given.item_ids, *names));
    if (unknown_events_ > 0)
      report_.fact("unknown", join_text(data::grouped(unknown_events_), " of ", data::grouped(given.events()),
                                        " interactions are with items that the checkpoint does not know"));
    if (2 * unknown_events_ > given.events())
      report_.warn(join_text("most interactions are with items that the checkpoint does not know: ",
                             recommendation::side_by_side(*given.item_ids, *names)));
    if (setup.purpose == engine::Purpose::predict) remember_unknown(given);
  }
  split();
}

Dataset::Dataset(data::Interactions interactions, std::uint64_t seed) : all_(std::move(interactions)), seed_(seed) { split(); }

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

void Dataset::split() {
  const data::LeaveOneOut parts = data::leave_one_out(all_);
  require<InternalError>(parts.train.sequences() == all_.sequences(), "next_item: a user without items: ", all_.sequences(), " users, ",
                         parts.train.sequences(), " of them with training items");
  for (auto& item : all_.items) ++item;  // model ids: 0 is padding
  popularity_.assign(at(item_count() + 1), 0);
  distinct_offsets_.push_back(0);
  std::vector<std::int32_t> sorted;
  for (std::int64_t u = 0; u < user_count(); ++u) {
    train_length_.push_back(parts.train.length(u));
    if (train_length_.back() >= 2) trainable_.push_back(u);
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

std::span<const std::int32_t> Dataset::history(std::int64_t user, engine::Split split) const {
  const auto items = all_.sequence(user);
  const auto n = at(train_length_[at(user)]);
  if (split != engine::Split::test || items.size() == n) return items.first(n);
  return items.first(n + 1);
}

std::int32_t Dataset::target(std::int64_t user, engine::Split split) const {
  const auto items = all_.sequence(user);
  const auto n = at(train_length_[at(user)]);
  if (items.size() == n) return 0;
  return items[split == engine::Split::validation ? n : n + 1];
}

std::span<const std::int32_t> Dataset::train_items(std::int64_t user) const {
  const auto first = at(distinct_offsets_[at(user)]), last = at(distinct_offsets_[at(user) + 1]);
  return std::span(distinct_items_).subspan(first, last - first);
}

std::vector<std::int64_t> Dataset::evaluated_users(std::int64_t limit, std::uint64_t seed) const {
  std::vector<std::int64_t> users;
  for (std::int64_t u = 0; u < user_count(); ++u) {
    if (target(u, engine::Split::validation) != 0) users.push_back(u);
  }
  if (limit <= 0 || limit >= static_cast<std::int64_t>(users.size())) return users;
  Rng rng(random_key(seed, "evaluated users"));
  rng.shuffle(std::span(users));
  users.resize(at(limit));
  std::ranges::sort(users);
  return users;
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
