#include "recipes/tasks/image_classification/batch.h"

#include "autograd/core/rng.h"

namespace capstan::image_classification {
namespace {

Batch empty_batch(const data::PipelineOptions& o, std::int64_t count) {
  return {.images = Tensor(Shape{count, o.channels, o.size, o.size}),
          .labels = Tensor(Shape{count}, DType::i64),
          .targets = {},
          .samples = Tensor(Shape{count}, DType::i64),
          .substitutes = std::vector<std::uint8_t>(static_cast<std::size_t>(count))};
}

/// The planes of one image of a batch.
std::span<float> planes(const Batch& batch, std::int64_t i) {
  const auto n = static_cast<std::size_t>(batch.images.numel() / batch.size());
  return batch.images.span<float>().subspan(static_cast<std::size_t>(i) * n, n);
}

/// Images of a part with their classes; `draw` writes the planes of one.
template <class Draw>
Batch read_batch(const Dataset& data, engine::Split part, const data::PipelineOptions& form, std::span<const std::int64_t> indices,
                 const Draw& draw) {
  const auto count = static_cast<std::int64_t>(indices.size());
  Batch batch = empty_batch(form, count);
  for (std::int64_t i = 0; i < count; ++i) {
    const auto at = static_cast<std::size_t>(i);
    const Example example = data.read(part, indices[at]);
    batch.samples.span<std::int64_t>()[at] = indices[at];
    batch.labels.span<std::int64_t>()[at] = example.label;
    batch.substitutes[at] = example.substitute ? 1 : 0;
    draw(indices[at], example, planes(batch, i));
  }
  return batch;
}

data::Mixing mixing_of(const AugmentOptions& o) {
  return {.mixup = o.mixup, .cutmix = o.cutmix, .probability = o.mix_probability, .switching = o.mix_switching, .mode = o.mix_mode};
}

void mix(Batch& batch, const AugmentOptions& augment, std::int64_t classes, std::uint64_t key) {
  const data::Mixing mixing = mixing_of(augment);
  if (!mixing.enabled()) return;
  batch.targets = Tensor(Shape{batch.size(), classes});
  const auto targets = batch.targets.span<float>();
  data::smooth_targets(batch.labels.span<const std::int64_t>(), classes, augment.label_smoothing, targets);
  Rng rng(key);
  const Shape& s = batch.images.shape();
  data::mix_batch(batch.images.span<float>(), targets, {s[0], s[1], s[2], s[3]}, classes, mixing, rng);
}

}  // namespace

Batch training_batch(const Dataset& data, const data::ImagePipeline& pipeline, const AugmentOptions& augment, std::uint64_t seed,
                     std::int64_t epoch, std::int64_t place, std::span<const std::int64_t> indices) {
  Batch batch = read_batch(
      data, engine::Split::train, pipeline.options(), indices, [&](std::int64_t index, const Example& example, std::span<float> out) {
        const auto key = random_key(seed, "augment", {static_cast<std::uint64_t>(epoch), static_cast<std::uint64_t>(index)});
        pipeline.for_training(example.view, key, out);
      });
  mix(batch, augment, data.classes(), random_key(seed, "mix", {static_cast<std::uint64_t>(epoch), static_cast<std::uint64_t>(place)}));
  return batch;
}

Batch evaluation_batch(const Dataset& data, engine::Split part, const data::ImagePipeline& pipeline,
                       std::span<const std::int64_t> indices) {
  return read_batch(data, part, pipeline.options(), indices,
                    [&](std::int64_t, const Example& example, std::span<float> out) { pipeline.for_evaluation(example.view, out); });
}

Batch random_batch(const data::PipelineOptions& pipeline, const AugmentOptions& augment, std::int64_t classes, std::int64_t count,
                   std::uint64_t key) {
  Batch batch = empty_batch(pipeline, count);
  Rng rng(key);
  for (float& v : batch.images.span<float>()) v = static_cast<float>(rng.uniform(-1, 1));
  for (std::int64_t i = 0; i < count; ++i) {
    batch.samples.span<std::int64_t>()[static_cast<std::size_t>(i)] = i;
    batch.labels.span<std::int64_t>()[static_cast<std::size_t>(i)] =
        static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(classes)));
  }
  mix(batch, augment, classes, key);
  return batch;
}

}  // namespace capstan::image_classification
