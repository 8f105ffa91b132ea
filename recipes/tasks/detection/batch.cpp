#include "recipes/tasks/detection/batch.h"

#include <algorithm>
#include <utility>

#include "autograd/core/error.h"
#include "autograd/core/rng.h"

namespace capstan::detection {
namespace {

constexpr std::int64_t kBenchObjects = 10;

void set_objects(BatchImage& to, std::span<const data::AnnotatedBox> boxes, std::int64_t height, std::int64_t width) {
  for (const data::AnnotatedBox& b : boxes) {
    to.labels.push_back(b.category);
    to.boxes.push_back(data::centre_of(b.box, static_cast<double>(width), static_cast<double>(height)));
  }
}

Batch joined(std::span<const data::Image> images, std::vector<BatchImage> parts, const ImageForm& form, std::int64_t height = 0,
             std::int64_t width = 0) {
  Pixels pixels = padded(images, form, height, width);
  return {.images = std::move(pixels.images), .real = std::move(pixels.real), .parts = std::move(parts)};
}

}  // namespace

ImageForm form_of(const Options& o, std::int64_t channels) {
  return {.channels = channels,
          .normalization = o.normalization(channels),
          .side = o.evaluate.side,
          .longest = o.evaluate.longest,
          .filter = o.evaluate.filter};
}

Tensor Batch::numbers() const {
  const Tensor out(Shape{size()}, DType::i64);
  for (std::size_t b = 0; b < parts.size(); ++b) out.data<std::int64_t>()[b] = parts[b].number;
  return out;
}

std::int64_t Batch::objects() const {
  std::int64_t count = 0;
  for (const BatchImage& p : parts) count += std::ssize(p.labels);
  return count;
}

Pixels padded(std::span<const data::Image> images, const ImageForm& form, std::int64_t height, std::int64_t width) {
  for (const data::Image& i : images) height = std::max(height, i.height), width = std::max(width, i.width);
  const auto count = std::ssize(images);
  Pixels out{.images = Tensor({count, form.channels, height, width}), .real = {}};
  const bool all_whole = std::ranges::all_of(images, [&](const data::Image& i) { return i.height == height && i.width == width; });
  const auto planes = [&](std::int64_t b) {
    const std::int64_t n = form.channels * height * width;
    return out.images.span<float>().subspan(static_cast<std::size_t>(b * n), static_cast<std::size_t>(n));
  };
  if (all_whole) {
    for (std::int64_t b = 0; b < count; ++b)
      data::normalize(data::with_channels(images[static_cast<std::size_t>(b)], form.channels), form.normalization, planes(b));
    return out;
  }
  std::ranges::fill(out.images.span<float>(), 0.0f);
  out.real = Tensor::zeros({count, height, width}, DType::u8);
  std::vector<float> own;
  for (std::int64_t b = 0; b < count; ++b) {
    const data::Image image = data::with_channels(images[static_cast<std::size_t>(b)], form.channels);
    own.resize(image.pixels.size());
    data::normalize(image, form.normalization, own);
    const std::span<float> to = planes(b);
    for (std::int64_t c = 0; c < form.channels; ++c)
      for (std::int64_t y = 0; y < image.height; ++y)
        std::copy_n(own.data() + (c * image.height + y) * image.width, image.width, to.data() + (c * height + y) * width);
    for (std::int64_t y = 0; y < image.height; ++y)
      std::fill_n(out.real.data<std::uint8_t>() + (b * height + y) * width, image.width, std::uint8_t{1});
  }
  return out;
}

data::Image for_evaluation(const data::ImageView& image, const ImageForm& form) {
  const auto [height, width] = data::shorter_side_size(image.height, image.width, form.side, form.longest);
  return data::resize(image, height, width, form.filter);
}

Batch training_batch(const Dataset& data, const data::BoxAugmentation& augmentation, const ImageForm& form, std::int64_t queries,
                     std::uint64_t seed, const engine::Samples& samples) {
  const auto key_of = [&](std::int64_t index) {
    return random_key(seed, "augment", {static_cast<std::uint64_t>(samples.epoch), static_cast<std::uint64_t>(index)});
  };
  std::int64_t height = 0, width = 0;  // of the whole batch
  for (const std::int64_t index : samples.whole) {
    const data::AnnotatedImage& image = data.annotated(engine::Split::train, index);
    const auto [h, w] = data::training_size(image.height, image.width, augmentation, key_of(index));
    height = std::max(height, h), width = std::max(width, w);
  }
  std::vector<data::Image> images;
  std::vector<BatchImage> parts;
  for (const std::int64_t index : samples.indices) {
    const Example example = data.read(engine::Split::train, index);
    const auto boxes = data::boxes_to_learn(example.boxes, example.image.height, example.image.width);
    require<DataError>(std::ssize(boxes) <= queries, data.annotated(engine::Split::train, index).file, ": ", boxes.size(),
                       " objects, but the model has ", queries, " queries (model.queries)");
    data::BoxedImage drawn = data::for_training(example.image, boxes, augmentation, key_of(index));
    BatchImage part{.number = index, .height = example.image.height, .width = example.image.width};
    set_objects(part, drawn.boxes, drawn.image.height, drawn.image.width);
    parts.push_back(std::move(part));
    images.push_back(std::move(drawn.image));
  }
  return joined(images, std::move(parts), form, height, width);
}

Batch evaluation_batch(const Dataset& data, engine::Split split, const ImageForm& form, std::int64_t queries,
                       std::span<const std::int64_t> indices) {
  std::vector<data::Image> images;
  std::vector<BatchImage> parts;
  for (const std::int64_t index : indices) {
    const Example example = data.read(split, index);
    BatchImage part{.number = index, .height = example.image.height, .width = example.image.width};
    auto boxes = data::boxes_to_learn(example.boxes, part.height, part.width);
    if (std::ssize(boxes) > queries) boxes.resize(static_cast<std::size_t>(queries));
    set_objects(part, boxes, part.height, part.width);
    parts.push_back(std::move(part));
    images.push_back(for_evaluation(example.image, form));
  }
  return joined(images, std::move(parts), form);
}

Batch random_batch(const ImageForm& form, std::int64_t classes, std::int64_t queries, std::int64_t count, std::uint64_t key) {
  Rng rng(key);
  Batch batch{.images = Tensor({count, form.channels, form.side, form.side}), .real = {}, .parts = {}};
  for (float& v : batch.images.span<float>()) v = static_cast<float>(rng.uniform(-1, 1));
  for (std::int64_t b = 0; b < count; ++b) {
    BatchImage part{.number = b, .height = form.side, .width = form.side};
    for (std::int64_t i = 0; i < std::min(kBenchObjects, queries); ++i) {
      part.labels.push_back(static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(classes))));
      const double width = rng.uniform(0.05, 0.5), height = rng.uniform(0.05, 0.5);
      part.boxes.push_back(
          {.cx = rng.uniform(width / 2, 1 - width / 2), .cy = rng.uniform(height / 2, 1 - height / 2), .width = width, .height = height});
    }
    batch.parts.push_back(std::move(part));
  }
  return batch;
}

}  // namespace capstan::detection
