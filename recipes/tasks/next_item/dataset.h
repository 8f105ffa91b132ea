#pragma once
// Dataset: the interactions to learn from, split by leave-one-out, and what is drawn from them.
//
// Items have model ids 1 .. item_count() here (0 is padding); users are 0 .. user_count() - 1. The last item of a user is the test
// target, the one before the validation target, the rest trains; users with fewer than three items only train. All draws are pure
// functions of (seed, epoch, position), so they are the same on any thread, in any order, after any resume.
// Not here: tensors (batch.h), metrics (evaluation.h).

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

class Dataset {
 public:
  /// Reads (or generates) and splits. `why` (optional) says why a prepared file was not used. If the artifacts of a checkpoint name
  /// its items, the data takes that numbering, and interactions with other items are left out. Throws DataError, IoError or ConfigError.
  Dataset(const DataOptions& data, const recommendation::SyntheticOptions& synthetic, const engine::Setup& setup,
          std::string* why = nullptr);
  /// The same for interactions at hand.
  explicit Dataset(data::Interactions interactions, std::uint64_t seed = 0);

  std::int64_t user_count() const { return all_.sequences(); }
  std::int64_t item_count() const { return all_.item_count(); }
  const data::IdMap& item_names() const { return *all_.item_ids; }
  std::string_view user_name(std::int64_t user) const { return (*all_.user_ids)[all_.users[static_cast<std::size_t>(user)]]; }

  /// Model ids, oldest first: the training part, or what precedes the target of a split.
  std::span<const std::int32_t> train(std::int64_t user) const;
  std::span<const std::int32_t> history(std::int64_t user, engine::Split split) const;
  std::span<const std::int32_t> everything(std::int64_t user) const { return all_.sequence(user); }
  /// Model id, or 0 for a user with fewer than three items.
  std::int32_t target(std::int64_t user, engine::Split split) const;
  /// The distinct training items, ascending.
  std::span<const std::int32_t> train_items(std::int64_t user) const;
  /// Training interactions of each model id, [item_count + 1], first entry 0.
  const std::vector<std::int64_t>& popularity() const { return popularity_; }

  /// Users with a target, at most `limit` of them (0: all), drawn once by `seed`; ascending.
  std::vector<std::int64_t> evaluated_users(std::int64_t limit, std::uint64_t seed) const;

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
  void split();
  void remember_unknown(const data::Interactions& given);

  data::Interactions all_;                  // its items are model ids here
  std::vector<std::int64_t> train_length_;  // [users]
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
