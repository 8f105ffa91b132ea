#include "recipes/engine/train/batch_stream.h"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <utility>

#include "autograd/core/error.h"
#include "data/sampler.h"
#include "recipes/engine/system.h"

namespace capstan::engine {
namespace {

constexpr std::chrono::milliseconds kPatience(100);  // between two looks at whether a signal came

}  // namespace

EpochOrder::Permutation EpochOrder::permutation(std::int64_t epoch) {
  std::packaged_task<std::vector<std::int64_t>()> draw(
      [&] { return data::shuffled(recipe_.size(Split::train), recipe_.setup().seed, static_cast<std::uint64_t>(epoch)); });
  const Permutation drawn = draw.get_future().share();
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = kept_.find(epoch); found != kept_.end()) return found->second;
    kept_.emplace(epoch, drawn);
    if (kept_.size() > most_) kept_.erase(kept_.begin());
  }
  draw();
  return drawn;
}

std::vector<std::int64_t> EpochOrder::samples(std::int64_t epoch, std::int64_t first, std::int64_t count) {
  if (auto own = recipe_.order(epoch, first, count)) return std::move(*own);
  const Permutation all = permutation(epoch);
  const std::vector<std::int64_t>& permuted = all.get();
  const std::int64_t repeats = recipe_.repeats();
  std::vector<std::int64_t> samples;
  for (std::int64_t place = first; place < first + count; ++place) samples.push_back(permuted[static_cast<std::size_t>(place / repeats)]);
  return samples;
}

AnyBatch training_batch(const AnyRecipe& recipe, EpochOrder& order, std::int64_t epoch, std::int64_t index) {
  const std::int64_t size = recipe.setup().batch_size, first = index * size;
  const std::vector<std::int64_t> samples = order.samples(epoch, first, std::min(size, recipe.samples_per_epoch() - first));
  return recipe.batch({.split = Split::train, .epoch = epoch, .first = first, .indices = samples});
}

BatchStream::BatchStream(AnyRecipe& recipe, std::int64_t epoch, std::int64_t position, const EngineOptions& options)
    : recipe_(recipe),
      per_epoch_(recipe.sequential() ? 0 : recipe.batches_per_epoch()),
      order_(recipe, 2 + (per_epoch_ > 0 ? options.loader.depth / per_epoch_ : 0)) {
  if (recipe_.sequential()) return;
  require<DataError>(per_epoch_ > 0, "train: the data makes no batch of ", options.train.batch_size, " items");
  // Positions run on over epochs, so that the first batches of the next epoch are made while this one ends.
  const auto make = [this](std::int64_t i) { return training_batch(recipe_, order_, i / per_epoch_, i % per_epoch_); };
  loader_.emplace(make, epoch * per_epoch_ + position, options.train.epochs * per_epoch_, static_cast<int>(options.loader.workers),
                  static_cast<int>(options.loader.depth));
}

std::vector<AnyBatch> BatchStream::next(std::int64_t count, std::int64_t position) {
  if (loader_) count = std::min(count, per_epoch_ - position);
  std::vector<AnyBatch> batches;
  while (static_cast<std::int64_t>(batches.size()) < count) {
    std::optional<AnyBatch> batch = take();
    if (!batch) break;
    batches.push_back(std::move(*batch));
  }
  return batches;
}

std::optional<AnyBatch> BatchStream::take() {
  if (loader_) {
    while (!loader_->wait_for(kPatience)) throw_if_stopped();
    return loader_->next();
  }
  const double start = wall_seconds();
  std::optional<AnyBatch> batch = recipe_.next_batch();
  wait_ += wall_seconds() - start;
  return batch;
}

BatchSource evaluation_batches(AnyRecipe& recipe, Split split, std::int64_t batch_size) {
  if (recipe.sequential()) return recipe.evaluation_batches(split);
  const std::int64_t size = recipe.size(split), batches = (size + batch_size - 1) / batch_size;
  if (size == 0) return {};
  const auto make = [&recipe, split, size, batch_size](std::int64_t i) {
    std::vector<std::int64_t> samples(static_cast<std::size_t>(std::min(batch_size, size - i * batch_size)));
    std::iota(samples.begin(), samples.end(), i * batch_size);
    return recipe.batch({.split = split, .epoch = 0, .first = i * batch_size, .indices = samples});
  };
  const auto loader = std::make_shared<data::Loader<AnyBatch>>(make, 0, batches, /*workers=*/1, /*depth=*/2);
  return [loader] {
    while (!loader->wait_for(kPatience)) throw_if_stopped();
    return loader->next();
  };
}

}  // namespace capstan::engine
