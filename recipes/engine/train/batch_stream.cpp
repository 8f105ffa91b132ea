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
  auto whole = training_part(recipe, order, epoch, index, {});
  require<DataError>(whole.has_value(), "train: batch ", index, " of epoch ", epoch + 1, " has no sample");
  return std::move(*whole);
}

std::optional<AnyBatch> training_part(const AnyRecipe& recipe, EpochOrder& order, std::int64_t epoch, std::int64_t index,
                                      const Part& part) {
  const std::int64_t size = recipe.setup().batch_size, first = index * size;
  const std::vector<std::int64_t> samples = order.samples(epoch, first, std::min(size, recipe.samples_per_epoch() - first));
  const std::int64_t begin = part.begin(std::ssize(samples)), end = part.end(std::ssize(samples));
  if (begin == end) return std::nullopt;
  return recipe.batch({.split = Split::train,
                       .epoch = epoch,
                       .first = first + begin,
                       .indices = std::span(samples).subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin)),
                       .whole = samples,
                       .offset = begin});
}

BatchStream::BatchStream(AnyRecipe& recipe, std::int64_t epoch, std::int64_t position, const EngineOptions& options,
                         const Division& division)
    : recipe_(recipe),
      division_(division),
      per_epoch_(recipe.sequential() ? 0 : recipe.batches_per_epoch()),
      repeated_(std::min(options.train.overfit_batches * recipe.setup().batches_per_step, recipe.batches_per_epoch())),
      order_(recipe, 2 + (per_epoch_ > 0 ? options.loader.depth / per_epoch_ : 0)) {
  require<ConfigError>(division_.parts == 1 || recipe_.divides(), recipe_.name(),
                       ": its batches cannot be computed in parts: train on one process, with train.reduce = fast");
  if (recipe_.sequential()) {
    if (repeated_ == 0 || position == 0) return;
    const NamedTensors state = recipe_.state();  // in the first epoch now
    recipe_.begin_epoch(0);
    recipe_.set_state(state);
    return;
  }
  require<DataError>(per_epoch_ > 0, "train: the data makes no batch of ", options.train.batch_size, " items");
  if (mine() == 0) return;
  // Positions run on over epochs, so that the first batches of the next epoch are made while this one ends.
  const auto make = [this](std::int64_t i) {
    const std::int64_t batch = i / mine();
    const BatchPlace place = drawn_at({batch / per_epoch_, batch % per_epoch_});
    return Made{
        training_part(recipe_, order_, place.epoch, place.index, {.index = division_.first + i % mine(), .count = division_.parts})};
  };
  loader_.emplace(make, (epoch * per_epoch_ + position) * mine(), options.train.epochs * per_epoch_ * mine(),
                  static_cast<int>(options.loader.workers), static_cast<int>(options.loader.depth * mine()));
}

StepWork BatchStream::next(std::int64_t count, std::int64_t position) {
  if (per_epoch_ > 0) count = std::min(count, per_epoch_ - position);
  StepWork step;
  const auto add = [&](std::int64_t part, std::optional<AnyBatch> batch) {
    if (batch) step.pieces.push_back({.batch = std::move(*batch), .number = step.batches, .place = step.batches * division_.parts + part});
  };
  for (; step.batches < count; ++step.batches) {
    if (per_epoch_ > 0) {
      for (std::int64_t part = division_.first; part < division_.end; ++part) add(part, take_made());
      continue;
    }
    if (repeated_ > 0) {
      const std::int64_t place = position + step.batches;
      if (place >= recipe_.batches_per_epoch()) break;
      if (place % repeated_ == 0) recipe_.begin_epoch(0);
    }
    const std::optional<AnyBatch> whole = take_next();
    if (!whole) break;
    if (division_.parts == 1) {
      add(0, whole);
    } else {
      for (std::int64_t part = division_.first; part < division_.end; ++part)
        add(part, recipe_.part(*whole, {.index = part, .count = division_.parts}));
    }
  }
  return step;
}

std::optional<AnyBatch> BatchStream::take_made() {
  while (!loader_->wait_for(kPatience)) throw_if_stopped();
  std::optional<Made> made = loader_->next();
  return made ? std::move(made->batch) : std::nullopt;
}

std::optional<AnyBatch> BatchStream::take_next() {
  const double start = wall_seconds();
  std::optional<AnyBatch> batch = recipe_.next_batch();
  wait_ += wall_seconds() - start;
  return batch;
}

std::string overfit_text(const TrainOptions& options) {
  const std::int64_t n = options.overfit_batches;
  if (n == 0) return "";
  return join_text("train.overfit_batches = ", n, ": ",
                   n == 1 ? "every step is of the first batch" : join_text("the steps go over the first ", n, " batches again and again"),
                   ", as drawn for the first epoch; validation is of other data");
}

BatchSource evaluation_batches(AnyRecipe& recipe, Split split, std::int64_t batch_size, const Part& part) {
  if (recipe.sequential()) return recipe.evaluation_batches(split);
  const std::int64_t size = recipe.size(split), batches = (size + batch_size - 1) / batch_size;
  if (size == 0) return {};
  const auto make = [&recipe, split, size, batch_size](std::int64_t i) {
    std::vector<std::int64_t> samples(static_cast<std::size_t>(std::min(batch_size, size - i * batch_size)));
    std::iota(samples.begin(), samples.end(), i * batch_size);
    return recipe.batch({.split = split, .epoch = 0, .first = i * batch_size, .indices = samples});
  };
  const auto loader = std::make_shared<data::Loader<AnyBatch>>(make, part.begin(batches), part.end(batches), /*workers=*/1, /*depth=*/2);
  return [loader] {
    while (!loader->wait_for(kPatience)) throw_if_stopped();
    return loader->next();
  };
}

}  // namespace capstan::engine
