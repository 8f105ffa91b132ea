#pragma once
// Dataset: the interactions to learn from, split into training, validation and test, and what is drawn from them.
//
// Items have model ids 1 .. item_count() here (0 is padding); users are 0 .. user_count() - 1. The sequence of a user is his training part,
// then what validates, then what tests, and each item of the latter two that has one before it is a case: it is to be predicted from all
// before it. Leave-one-out: the last item of a user is the test part, the one before the validation part, or training where only some users
// validate; users with fewer than three items only train. By time, and by files: events whose items training lacks are left out. All draws
// are pure functions of (seed, epoch, position), so they are the same on any thread, in any order, after any resume. Not here: tensors
// (batch.h), metrics (evaluation.h).

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "data/interactions.h"
#include "data/synthetic/markov.h"
#include "recipes/engine/recipe.h"
#include "recipes/tasks/next_item/options.h"

namespace capstan::next_item {

/// What is predicted: the item at `place` of a user's sequence from those before it.
struct Case {
  std::int64_t user = 0, place = 0;
  std::int64_t index = 0;  ///< among the cases of the user in the split
  bool operator==(const Case&) const = default;
};

class Dataset {
 public:
  /// Reads (or generates) and splits. `why` (optional) says why a prepared file was not used. If the artifacts of a checkpoint name
  /// its items, the data takes that numbering, and interactions with other items are left out. Throws DataError, IoError or ConfigError.
  Dataset(const DataOptions& data, const recommendation::SyntheticOptions& synthetic, const engine::Setup& setup,
          std::string* why = nullptr);
  /// The same for interactions at hand, by leave-one-out.
  explicit Dataset(data::Interactions interactions, std::uint64_t seed = 0);

  std::int64_t user_count() const { return all_.sequences(); }
  std::int64_t item_count() const { return all_.item_count(); }
  const data::IdMap& item_names() const { return *all_.item_ids; }
  std::string_view user_name(std::int64_t user) const { return (*all_.user_ids)[all_.users[static_cast<std::size_t>(user)]]; }

  /// Model ids, oldest first: the training part, all, or what precedes the target of a case.
  std::span<const std::int32_t> train(std::int64_t user) const;
  std::span<const std::int32_t> everything(std::int64_t user) const { return all_.sequence(user); }
  std::span<const std::int32_t> history(const Case& c) const { return all_.sequence(c.user).first(static_cast<std::size_t>(c.place)); }
  std::int32_t target(const Case& c) const { return all_.sequence(c.user)[static_cast<std::size_t>(c.place)]; }
  /// The distinct training items, ascending.
  std::span<const std::int32_t> train_items(std::int64_t user) const;
  /// Training interactions of each model id, [item_count + 1], first entry 0.
  const std::vector<std::int64_t>& popularity() const { return popularity_; }

  /// The cases of a split, of at most `limit` users (0: all), who are drawn once by `seed`, among those named in `only` (empty: all); by
  /// user and place.
  std::vector<Case> cases(engine::Split split, std::int64_t limit = 0, std::uint64_t seed = 0, const data::IdMap& only = {}) const;
  SplitRule rule() const { return rule_; }
  /// Whether files name the validation and the test part.
  bool part_files() const { return part_files_; }

  /// Users with training items.
  std::int64_t training_users() const { return training_users_; }
  /// Users that can train: at least two training items. Ascending.
  const std::vector<std::int64_t>& trainable_users() const { return trainable_; }
  /// Fills `out` with items outside the user's training part, uniform with replacement. The draw belongs to a place of an epoch.
  void draw_negatives(std::int64_t user, std::int64_t epoch, std::int64_t place, std::span<std::int32_t> out) const;
  /// Throws DataError if a user leaves no item to draw.
  void check_negatives() const;

  /// Identity of content and names, however they were stored.
  std::string digest() const;
  /// The generator behind data.source = synthetic.
  const std::optional<data::MarkovChain>& chain() const { return chain_; }
  /// What was read, in words.
  const data::DataReport& report() const { return report_; }
  /// For predict: the items of a user, named as in the data, that the checkpoint does not know; null for a user who is not in the data, or
  /// if all items are known.
  const std::vector<std::string>* unknown_items(const std::string& user) const;
  /// One line for people: counts of users, items and interactions, and of those left out.
  std::string summary() const;

 private:
  void read(const DataOptions& data, const recommendation::SyntheticOptions& synthetic, const engine::Setup& setup, std::string* why);
  void leave_one_out(std::int64_t validation_users);
  void join(const std::vector<data::Interactions>& parts, const std::shared_ptr<const data::IdMap>& known, const engine::Setup& setup);
  void index();
  void remember_unknown(const data::Interactions& given);

  data::Interactions all_;                  // its items are model ids here
  std::vector<std::int64_t> train_length_;  // [users]
  std::vector<std::int64_t> test_begin_;    // [users]: the place of the first item for test
  SplitRule rule_ = SplitRule::leave_one_out;
  bool part_files_ = false, validates_some_ = false;
  std::int64_t training_users_ = 0;
  std::vector<std::int64_t> trainable_;
  std::vector<std::int64_t> distinct_offsets_;
  std::vector<std::int32_t> distinct_items_;
  std::vector<std::int64_t> popularity_;
  std::optional<data::MarkovChain> chain_;
  std::int64_t unknown_events_ = 0;
  std::unordered_map<std::string, std::vector<std::string>> unknown_of_;  // for predict
  data::DataReport report_;
  std::uint64_t seed_ = 0;
};

}  // namespace capstan::next_item
