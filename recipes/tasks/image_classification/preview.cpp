#include "recipes/tasks/image_classification/preview.h"

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "autograd/core/error.h"
#include "data/image/contact_sheet.h"
#include "data/image/pipeline.h"
#include "data/image/resize.h"
#include "data/sampler.h"
#include "recipes/tasks/image_classification/batch.h"
#include "recipes/tasks/image_classification/dataset.h"

namespace capstan::image_classification {
namespace {

constexpr std::int64_t kRows = 8, kDraws = 7;
constexpr std::int64_t kLeastSide = 112;  // of a panel, in pixels

/// An image of the training part on its way through the epochs.
struct Row {
  std::int64_t index = 0;
  data::Image evaluated;
  std::vector<data::Image> trained = {};
  std::vector<std::int64_t> epochs = {};  // of these
};

class Rows {
 public:
  Rows(const TrainingSource& from, std::span<const std::int64_t> indices) : from_(from) {
    for (const std::int64_t index : indices)
      rows_.push_back({.index = index, .evaluated = from.pipeline.shown(from.data.read(engine::Split::train, index).view)});
  }
  const std::vector<Row>& rows() const { return rows_; }
  bool complete() const {
    return std::ranges::all_of(rows_, [](const Row& row) { return std::ssize(row.trained) == kDraws; });
  }
  /// `order` is the permutation of the epoch.
  void show(std::int64_t epoch, std::span<const std::int64_t> order) {
    for (Row& row : rows_) {
      const std::int64_t first = (std::ranges::find(order, row.index) - order.begin()) * from_.augment.repeats;
      for (std::int64_t place = first; place < std::min(first + from_.augment.repeats, std::ssize(order)); ++place) {
        if (std::ssize(row.trained) == kDraws) break;
        row.trained.push_back(trained(epoch, order, place));
        row.epochs.push_back(epoch);
      }
    }
  }

 private:
  /// As the batch that holds this place of the epoch has it.
  data::Image trained(std::int64_t epoch, std::span<const std::int64_t> order, std::int64_t place) const {
    const std::int64_t at = place % from_.setup.batch_size, first = place - at;
    std::vector<std::int64_t> indices;
    for (std::int64_t i = first; i < std::min(first + from_.setup.batch_size, std::ssize(order)); ++i)
      indices.push_back(order[static_cast<std::size_t>(i / from_.augment.repeats)]);
    const Tensor image = training_image(from_, {.split = engine::Split::train, .epoch = epoch, .first = first, .indices = indices}, at);
    return data::denormalized(image.span<const float>(), image.size(1), image.size(2), from_.pipeline.options().normalization);
  }

  const TrainingSource& from_;
  std::vector<Row> rows_;
};

data::Image enlarged(const data::Image& image) {
  const std::int64_t factor = std::max<std::int64_t>(1, kLeastSide / image.height);
  return data::resize(image, factor * image.height, factor * image.width, data::Filter::box);
}

}  // namespace

engine::Preview preview(const Options& options, const ImageForm& form, const engine::Setup& setup) {
  const Dataset data(options.data, options.shapes, setup);
  const data::ImagePipeline pipeline(options.pipeline(form));
  const TrainingSource from{.data = data, .pipeline = pipeline, .augment = options.augment, .setup = setup};
  const std::int64_t images = data.size(engine::Split::train);
  const auto order = [&](std::int64_t epoch) { return data::shuffled(images, setup.seed, static_cast<std::uint64_t>(epoch)); };
  const std::vector<std::int64_t> first = order(0);
  Rows shown(from, std::span(first).first(static_cast<std::size_t>(std::min(kRows, images))));
  for (std::int64_t epoch = 0; !shown.complete(); ++epoch) shown.show(epoch, order(epoch));

  const std::int64_t side = enlarged(shown.rows()[0].evaluated).height;
  data::ContactSheet sheet(std::ssize(shown.rows()), 1 + kDraws,
                           {.height = side, .width = side, .gap = side / 28, .margin = side / 7, .aside = side / 10, .paper = 236});
  engine::Preview preview;
  preview.captions.emplace_back("first column: as evaluation shows the image; others: as training shows it in the epochs named, from 0");
  for (std::size_t r = 0; r < shown.rows().size(); ++r) {
    const Row& row = shown.rows()[r];
    sheet.place(static_cast<std::int64_t>(r), 0, enlarged(row.evaluated));
    for (std::size_t c = 0; c < row.trained.size(); ++c)
      sheet.place(static_cast<std::int64_t>(r), static_cast<std::int64_t>(c) + 1, enlarged(row.trained[c]));
    const Example example = data.read(engine::Split::train, row.index);
    std::string caption = join_text("row ", r + 1, ": ", data.name_of(engine::Split::train, row.index), " (",
                                    data.class_names()[static_cast<std::size_t>(example.label)], "), epochs");
    for (const std::int64_t epoch : row.epochs) caption += join_text(" ", epoch);
    if (example.substitute) caption += "; the file is broken, another stands in";
    preview.captions.push_back(caption);
  }
  preview.page = sheet.page();
  return preview;
}

}  // namespace capstan::image_classification
