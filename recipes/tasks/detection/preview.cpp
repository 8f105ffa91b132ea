#include "recipes/tasks/detection/preview.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>
#include <span>
#include <vector>

#include "autograd/core/error.h"
#include "data/at.h"
#include "data/image/contact_sheet.h"
#include "data/image/resize.h"
#include "data/sampler.h"
#include "recipes/tasks/detection/batch.h"
#include "recipes/tasks/detection/dataset.h"
#include "recipes/tasks/detection/frames.h"

namespace capstan::detection {
namespace {

constexpr std::int64_t kRows = 6, kDraws = 4, kHeight = 180, kWidth = 240;
constexpr std::uint8_t kPaper = 236;

/// An image of a batch without its padding, with its boxes, in the middle of a panel.
data::Image panel_of(const Batch& batch, const ImageForm& form) {
  const std::int64_t height = batch.images.size(2), width = batch.images.size(3);
  const data::Image image = data::with_channels(data::denormalized(batch.images.span<const float>(), height, width, form.normalization), 3);
  const double scale =
      std::min(static_cast<double>(kHeight) / static_cast<double>(height), static_cast<double>(kWidth) / static_cast<double>(width));
  const auto scaled = [&](std::int64_t size) { return std::max<std::int64_t>(1, std::llround(scale * static_cast<double>(size))); };
  data::Image fitted = data::resize(image, scaled(height), scaled(width), scale > 1 ? data::Filter::box : data::Filter::bilinear);
  const BatchImage& part = batch.parts[0];
  for (std::size_t i = 0; i < part.boxes.size(); ++i)
    draw_frame(fitted, data::box_of(part.boxes[i], static_cast<double>(fitted.width), static_cast<double>(fitted.height)),
               class_colour(part.labels[i]).rgb);
  data::Image panel(kHeight, kWidth, 3);
  std::ranges::fill(panel.pixels, kPaper);
  const std::int64_t top = (kHeight - fitted.height) / 2, left = (kWidth - fitted.width) / 2;
  for (std::int64_t y = 0; y < fitted.height; ++y) std::copy_n(fitted.row(y), fitted.stride(), panel.row(top + y) + 3 * left);
  return panel;
}

}  // namespace

engine::Preview preview(const Options& options, std::int64_t channels, const engine::Setup& setup) {
  const Dataset data(options, setup);
  const ImageForm form = form_of(options, channels);
  const data::BoxAugmentation augmentation = options.augmentation();
  const std::int64_t images = data.size(engine::Split::train), rows = std::min(kRows, images);
  const std::vector<std::int64_t> order = data::shuffled(images, setup.seed, 0);
  data::ContactSheet sheet(rows, 1 + kDraws, {.height = kHeight, .width = kWidth, .gap = 6, .margin = 20, .aside = 16, .paper = kPaper});
  engine::Preview preview;
  preview.captions.push_back(
      join_text("first column: as evaluation shows the image; others: as training draws it in epochs 0 to ", kDraws - 1));
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::int64_t index = order[data::at(r)];
    const data::AnnotatedImage& image = data.annotated(engine::Split::train, index);
    const auto most = std::ssize(image.boxes);
    const std::vector<std::int64_t> only{index};
    sheet.place(r, 0, panel_of(evaluation_batch(data, engine::Split::train, form, most, only), form));
    for (std::int64_t epoch = 0; epoch < kDraws; ++epoch)
      sheet.place(r, 1 + epoch,
                  panel_of(training_batch(data, augmentation, form, most, setup.seed, {.epoch = epoch, .indices = only}), form));
    preview.captions.push_back(
        join_text("row ", r + 1, ": ", image.file.empty() ? join_text("image ", image.id) : image.file, ", ", most, " objects"));
  }
  preview.page = sheet.page();
  return preview;
}

}  // namespace capstan::detection
