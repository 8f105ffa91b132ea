#include "recipes/tasks/image_classification/batch.h"

#include <optional>

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

/// Images of a part with their classes; `draw` writes the planes of the one at a place.
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
    draw(i, example, planes(batch, i));
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

// ---- a place of a training batch: of the whole one, wherever a part of it is computed

/// Which showing of its image in this epoch the sample is, from 0.
std::int64_t repeat_of(const TrainingSource& from, const engine::Samples& samples, std::int64_t place) {
  return (samples.batch_first() + place) % from.augment.repeats;
}

std::uint64_t augment_key(const TrainingSource& from, const engine::Samples& samples, std::int64_t place) {
  const auto epoch = static_cast<std::uint64_t>(samples.epoch),
             index = static_cast<std::uint64_t>(samples.batch()[static_cast<std::size_t>(place)]);
  const auto repeat = static_cast<std::uint64_t>(repeat_of(from, samples, place));
  return repeat == 0 ? random_key(from.setup.seed, "augment", {epoch, index})
                     : random_key(from.setup.seed, "augment", {epoch, index, repeat});
}

/// The image before it is mixed, [C, H, W], and its class.
struct Drawn {
  Tensor image;
  std::int64_t label = 0;
};
Drawn drawn_at(const TrainingSource& from, const engine::Samples& samples, std::int64_t place) {
  const data::PipelineOptions& form = from.pipeline.options();
  const Example example = from.data.read(engine::Split::train, samples.batch()[static_cast<std::size_t>(place)]);
  Drawn out{.image = Tensor(Shape{form.channels, form.size, form.size}), .label = example.label};
  from.pipeline.for_training(example.view, augment_key(from, samples, place), out.image.span<float>());
  return out;
}

std::uint64_t mix_key_of(const TrainingSource& from, const engine::Samples& samples) {
  return random_key(from.setup.seed, "mix",
                    {static_cast<std::uint64_t>(samples.epoch), static_cast<std::uint64_t>(samples.batch_first() / from.setup.batch_size)});
}

/// How each image of the whole batch is mixed with the one at partner_of.
std::vector<std::optional<data::Mix>> mixes_of(const TrainingSource& from, const engine::Samples& samples) {
  const std::int64_t size = from.pipeline.options().size;
  Rng rng(mix_key_of(from, samples));
  return data::draw_mixes(std::ssize(samples.batch()), size, size, mixing_of(from.augment), rng);
}
std::int64_t partner_of(const engine::Samples& samples, std::int64_t place) { return std::ssize(samples.batch()) - 1 - place; }

/// What `mix` does to the whole batch, done to a part of it.
void mix_part(Batch& batch, const TrainingSource& from, const engine::Samples& samples) {
  if (!mixing_of(from.augment).enabled()) return;
  const std::int64_t classes = from.data.classes(), size = from.pipeline.options().size, channels = from.pipeline.options().channels;
  const auto smoothed = [&](std::span<const std::int64_t> labels) {
    Tensor out(Shape{std::ssize(labels), classes});
    data::smooth_targets(labels, classes, from.augment.label_smoothing, out.span<float>());
    return out;
  };
  batch.targets = smoothed(batch.labels.span<const std::int64_t>());
  const Batch before{.images = batch.images.clone(), .labels = batch.labels, .targets = {}, .samples = {}, .substitutes = {}};
  const auto mixes = mixes_of(from, samples);
  for (std::int64_t i = 0; i < batch.size(); ++i) {
    const std::int64_t place = samples.offset + i, partner = partner_of(samples, place);
    const std::optional<data::Mix>& mix = mixes[static_cast<std::size_t>(place)];
    if (!mix || partner == place) continue;
    const std::int64_t own = partner - samples.offset;  // the partner's place in this part, if it is there
    Drawn other;
    if (own < 0 || own >= batch.size()) other = drawn_at(from, samples, partner);
    const bool elsewhere = other.image.defined();
    const std::int64_t label = elsewhere ? other.label : batch.labels.span<const std::int64_t>()[static_cast<std::size_t>(own)];
    data::mix_image(planes(batch, i), elsewhere ? other.image.span<float>() : planes(before, own), channels, size, size, *mix);
    data::mix_target(batch.targets.span<float>().subspan(static_cast<std::size_t>(i * classes), static_cast<std::size_t>(classes)),
                     smoothed(std::span(&label, 1)).span<const float>(), *mix);
  }
}

}  // namespace

Batch training_batch(const TrainingSource& from, const engine::Samples& samples) {
  Batch batch = read_batch(from.data, engine::Split::train, from.pipeline.options(), samples.indices,
                           [&](std::int64_t at, const Example& example, std::span<float> out) {
                             from.pipeline.for_training(example.view, augment_key(from, samples, samples.offset + at), out);
                           });
  // What is drawn for each sample while the network runs, such as dropout, must differ between the repeats too.
  const auto numbers = batch.samples.span<std::int64_t>();
  for (std::int64_t i = 0; i < batch.size(); ++i)
    numbers[static_cast<std::size_t>(i)] += repeat_of(from, samples, samples.offset + i) * from.data.size(engine::Split::train);
  if (samples.size() < std::ssize(samples.batch())) {
    mix_part(batch, from, samples);
  } else {
    mix(batch, from.augment, from.data.classes(), mix_key_of(from, samples));
  }
  return batch;
}

Tensor training_image(const TrainingSource& from, const engine::Samples& samples, std::int64_t place) {
  const Tensor image = drawn_at(from, samples, place).image;
  const std::int64_t partner = partner_of(samples, place);
  const auto mixes = mixes_of(from, samples);
  if (const auto& mix = mixes[static_cast<std::size_t>(place)]; mix && partner != place)
    data::mix_image(image.span<float>(), drawn_at(from, samples, partner).image.span<const float>(), image.size(0), image.size(1),
                    image.size(2), *mix);
  return image;
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
