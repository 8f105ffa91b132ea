#pragma once
// The batches of a run: which samples they hold, made ahead of time on loader threads.

#include <cstdint>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "data/loader.h"
#include "recipes/engine/any_recipe.h"
#include "recipes/engine/train/step.h"

namespace capstan::engine {

/// The samples of an epoch: the recipe's own order, or a permutation that depends on (seed, epoch) alone, of which each sample takes as
/// many places in a row as the recipe repeats it. Thread-safe; eight bytes a sample and epoch.
class EpochOrder {
 public:
  /// `epochs`: the permutations kept; as many epochs as loaders work on at a time, or each would be drawn again and again.
  explicit EpochOrder(const AnyRecipe& recipe, std::int64_t epochs = 2) : recipe_(recipe), most_(static_cast<std::size_t>(epochs)) {}
  /// At the places first .. first + count - 1 of an epoch.
  std::vector<std::int64_t> samples(std::int64_t epoch, std::int64_t first, std::int64_t count);

 private:
  using Permutation = std::shared_future<std::vector<std::int64_t>>;
  /// Drawn by the first who asks, outside the lock: those of other epochs do not wait.
  Permutation permutation(std::int64_t epoch);

  const AnyRecipe& recipe_;
  std::size_t most_;
  std::mutex mutex_;
  std::map<std::int64_t, Permutation> kept_;  // of the newest epochs
};

/// Batch `index` of an epoch, of sampled batches.
AnyBatch training_batch(const AnyRecipe& recipe, EpochOrder& order, std::int64_t epoch, std::int64_t index);
/// A part of it; nothing if the batch has too few samples for it to have one.
std::optional<AnyBatch> training_part(const AnyRecipe& recipe, EpochOrder& order, std::int64_t epoch, std::int64_t index, const Part& part);

/// A batch by its epoch and its number there, both from 0.
struct BatchPlace {
  std::int64_t epoch = 0, index = 0;
};

/// Into how many parts batches are divided, and which of them this process computes: first .. end - 1.
struct Division {
  std::int64_t parts = 1, first = 0, end = 1;
};

/// The batches of a run from (epoch, position) on, step by step. With train.overfit_batches they are those of the first so many steps of
/// the first epoch, as they were drawn there, over and over; an epoch still has as many as ever.
class BatchStream {
 public:
  BatchStream(AnyRecipe& recipe, std::int64_t epoch, std::int64_t position, const EngineOptions& options, const Division& division = {});

  /// The next step: at most `count` batches; none at the end of the epoch. `position`: batches of the present epoch that are done. Throws
  /// StopRequested if a signal asks for a stop while they are waited for.
  StepWork next(std::int64_t count, std::int64_t position);
  /// Where the samples of a batch of this epoch were drawn, which with train.overfit_batches is another place.
  BatchPlace drawn_at(const BatchPlace& place) const { return repeated_ > 0 ? BatchPlace{0, place.index % repeated_} : place; }
  double wait_seconds() const { return loader_ ? loader_->wait_seconds() : wait_; }

 private:
  /// What a loader makes: a part may have no sample.
  struct Made {
    std::optional<AnyBatch> batch;
  };
  std::optional<AnyBatch> take_made();
  std::optional<AnyBatch> take_next();
  std::int64_t mine() const { return division_.end - division_.first; }

  AnyRecipe& recipe_;
  Division division_;
  std::int64_t per_epoch_;  // 0: not known before, the batches follow from each other
  std::int64_t repeated_;   // batches of the first epoch that come over and over; 0: all come in their epoch
  EpochOrder order_;
  double wait_ = 0;
  std::optional<data::Loader<Made>> loader_;  // of sampled batches
};

/// What train.overfit_batches does, in words; empty: nothing.
std::string overfit_text(const TrainOptions& options);

/// The batches of a split in order, made ahead on one thread, of which process `part.index` of `part.count` gets its share; the recipe's
/// own where they follow from each other. Undefined: there is no such split.
BatchSource evaluation_batches(AnyRecipe& recipe, Split split, std::int64_t batch_size, const Part& part = {});

}  // namespace capstan::engine
