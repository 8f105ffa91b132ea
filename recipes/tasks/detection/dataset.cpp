#include "recipes/tasks/detection/dataset.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "autograd/core/error.h"
#include "data/at.h"
#include "data/detection/coco.h"
#include "data/detection/voc.h"
#include "data/detection/yolo.h"
#include "data/file.h"
#include "data/synthetic/shapes.h"

namespace capstan::detection {
namespace {

using data::at;
using engine::Split;

constexpr std::array<Split, 3> kParts{Split::train, Split::validation, Split::test};

const std::string& key_of(const DataOptions& data, Split part) {
  return part == Split::train ? data.train : part == Split::validation ? data.validation : data.test;
}
const std::string& pictures_of(const DataOptions& data, Split part) {
  return part == Split::train ? data.train_pictures : part == Split::validation ? data.validation_pictures : data.test_pictures;
}

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

/// What a part may be called, for whoever has not named it.
std::string choices(const DataOptions& data, const std::string& path) {
  if (data.source == Source::voc) return join_text("; ImageSets/Main has ", listed(data::voc_splits(path)));
  const std::string_view usual =
      data.source == Source::coco ? "an annotation file, such as annotations/instances_train2017.json" : "a folder, such as train";
  return join_text("; it is ", usual, " below data.path");
}

data::AnnotatedImages generated_images(const data::ShapeImages& shapes, std::int64_t first, std::int64_t count,
                                       std::vector<data::Image>& pixels) {
  data::AnnotatedImages all;
  all.source = "generated shapes";
  std::vector<data::ShapeImage> drawn = shapes.get(first, count);
  for (const std::string& name : shapes.names()) all.categories.push_back({.id = std::ssize(all.categories), .name = name});
  for (data::ShapeImage& made : drawn) {
    data::AnnotatedImage image{
        .file = {}, .width = made.image.width, .height = made.image.height, .id = first + std::ssize(all.images), .boxes = {}};
    for (const data::ShapeObject& o : made.objects) {
      const data::Box box = data::box_of(data::Corners{o.left, o.top, o.right, o.bottom});
      image.boxes.push_back({.box = box, .category = o.label, .crowd = false, .area = box.area(), .id = 0});
    }
    all.images.push_back(std::move(image));
    pixels.push_back(std::move(made.image));
  }
  return all;
}

std::string digest_of(const data::AnnotatedImages& all) {
  std::string text;
  for (const data::AnnotatedImage& image : all.images) {
    text += join_text(std::filesystem::path(image.file).filename().string(), ' ', image.id, '\n');
    for (const data::AnnotatedBox& b : image.boxes)
      text += join_text(b.box.x, ' ', b.box.y, ' ', b.box.width, ' ', b.box.height, ' ', b.category, ' ', b.crowd, '\n');
  }
  return to_text(data::digest_of(std::as_bytes(std::span(text))));
}

}  // namespace

Dataset::Dataset(const Options& options, const engine::Setup& setup, std::vector<std::string> class_names)
    : class_names_(std::move(class_names)), max_pixels_(options.data.max_pixels) {
  const DataOptions& data = options.data;
  const bool trains = class_names_.empty() || (setup.purpose != engine::Purpose::evaluate && setup.purpose != engine::Purpose::predict);
  if (data.source == Source::shapes) {
    const ShapesOptions& s = options.shapes;
    const std::array<std::int64_t, 4> ends{0, s.train, s.train + s.validation, s.train + s.validation + s.test};
    for (const Split part : kParts) {
      if (part == Split::train && !trains) continue;
      const auto p = static_cast<std::size_t>(part);
      parts_[p] = generate(s, ends[p], ends[p + 1] - ends[p]);
      number_classes(parts_[p]);
      sources_[p] = "generated";
    }
  } else {
    require<ConfigError>(!data.path.empty(), "detection: data.path must name the folder of the data");
    const std::string path = setup.data_path(data.path);
    for (const Split part : kParts) {
      if (part == Split::train && !trains) continue;
      if (key_of(data, part).empty()) {
        require<ConfigError>(part != Split::train, "detection: data.train must name the training part", choices(data, path));
        continue;
      }
      const auto p = static_cast<std::size_t>(part);
      engine::named_by(join_text("data.", engine::name_of(part)), [&] {
        parts_[p] = open(data, path, part);
        number_classes(parts_[p]);
        require<DataError>(!parts_[p].annotations.images.empty(), parts_[p].annotations.source, ": there is no image");
      });
      sources_[p] = parts_[p].annotations.source;
    }
    stand_in();
  }
  if (trains) digest_ = digest_of(parts_[0].annotations);
}

Dataset::Part Dataset::generate(const ShapesOptions& o, std::int64_t first, std::int64_t count) const {
  const data::ShapeImages shapes({.size = o.size,
                                  .classes = o.classes,
                                  .max_objects = o.most_objects,
                                  .min_extent = o.least_extent,
                                  .max_extent = o.most_extent,
                                  .noise = o.noise,
                                  .seed = static_cast<std::uint64_t>(o.seed)});
  Part part;
  part.annotations = generated_images(shapes, first, count, part.generated);
  return part;
}

Dataset::Part Dataset::open(const DataOptions& data, const std::string& path, Split part) const {
  const std::string& name = key_of(data, part);
  Part out;
  if (data.source == Source::coco) {
    const std::filesystem::path file = std::filesystem::path(path) / name;
    const std::string& pictures = pictures_of(data, part);
    out.annotations =
        data::read_coco(file.string(), {.pictures = pictures.empty() ? file.parent_path().string() : path + "/" + pictures,
                                        .checks = part == Split::train ? data::BoxChecks::for_training : data::BoxChecks::for_scores});
  } else if (data.source == Source::voc) {
    out.annotations = data::read_voc(path, name, {.categories = class_names_, .one_based = data.one_based});
  } else {
    out.annotations = data::read_yolo(path, name);  // numbers of classes mean the names of the folder
  }
  for (data::AnnotatedImage& image : out.annotations.images) {
    if (image.width > 0 && image.height > 0) continue;
    const data::ImageSize size = data::image_size(image.file);
    image.height = size.height;
    image.width = size.width;
  }
  return out;
}

void Dataset::number_classes(Part& part) {
  const std::vector<data::BoxCategory>& categories = part.annotations.categories;
  require<DataError>(!categories.empty(), part.annotations.source, ": names no category");
  constexpr std::int64_t kMostClasses = 1'000'000;
  for (const data::BoxCategory& c : categories)
    require<DataError>(c.id >= 0 && c.id < kMostClasses, part.annotations.source, ": the id of the category '", c.name,
                       "' numbers a class, so it must be in 0 .. ", kMostClasses - 1, ", found ", c.id);
  if (class_names_.empty()) {
    class_names_.assign(static_cast<std::size_t>(part.annotations.classes_by_id()), std::string(kNoCategory));
    for (const data::BoxCategory& c : categories) class_names_[at(c.id)] = c.name;
  }
  std::vector<std::int64_t> classes;  // by category
  part.ids.assign(class_names_.size(), -1);
  for (const data::BoxCategory& c : categories) {
    const auto found = std::ranges::find(class_names_, c.name);
    require<DataError>(found != class_names_.end(), part.annotations.source, ": the category '", c.name, "' is none of the ",
                       class_names_.size(), " known classes: ", listed(class_names_));
    classes.push_back(found - class_names_.begin());
    std::int64_t& id = part.ids[at(classes.back())];
    require<DataError>(id < 0 || c.name == kNoCategory, part.annotations.source, ": two categories are called '", c.name, "', ids ", id,
                       " and ", c.id);
    id = c.id;
  }
  for (data::AnnotatedImage& image : part.annotations.images)
    for (data::AnnotatedBox& b : image.boxes) b.category = classes[at(b.category)];
}

void Dataset::stand_in() {
  constexpr std::size_t kValidation = 1, kTest = 2;
  require<ConfigError>(!sources_[kValidation].empty() || !sources_[kTest].empty(),
                       "detection: data.validation or data.test must name a part to evaluate on");
  for (const auto& [missing, other] : {std::pair{kValidation, kTest}, {kTest, kValidation}}) {
    if (!sources_[missing].empty()) continue;
    standing_in_[missing] = other;
    sources_[missing] = sources_[other];
  }
}

const data::AnnotatedImage& Dataset::annotated(Split part, std::int64_t index) const { return part_of(part).annotations.images[at(index)]; }

Example Dataset::read(Split part, std::int64_t index) const {
  const Part& from = part_of(part);
  const data::AnnotatedImage& image = from.annotations.images[at(index)];
  if (!from.generated.empty()) return {.image = from.generated[at(index)], .id = image.id, .boxes = image.boxes};
  data::Image pixels = data::read_image(image.file, {.max_pixels = max_pixels_});
  require<DataError>(pixels.width == image.width && pixels.height == image.height, image.file, ": is ", pixels.width, " x ", pixels.height,
                     " pixels, but its boxes are of an image of ", image.width, " x ", image.height);
  return {.image = std::move(pixels), .id = image.id, .boxes = image.boxes};
}

std::int64_t Dataset::category_id(Split part, std::int64_t label) const { return part_of(part).ids[at(label)]; }

data::DataReport Dataset::report() const {
  data::DataReport report;
  std::vector<std::string> names;
  for (const std::string& name : class_names_)
    if (name != kNoCategory) names.push_back(name);
  constexpr std::size_t kShown = 10;
  const std::size_t count = names.size();
  if (count > kShown) names.resize(kShown);
  report.fact("classes", join_text(count, ": ", listed(names), count > kShown ? ", ..." : ""));
  for (const Split part : kParts) {
    const auto p = static_cast<std::size_t>(part);
    if (standing_in_[p] == p && !parts_[p].annotations.images.empty())
      parts_[p].annotations.describe(std::string(engine::name_of(part)), report);
  }
  if (standing_in_[1] == 2)
    report.warn(join_text("the test images validate, so what is chosen by them is no test any more; data.validation names others"));
  if (standing_in_[2] == 1) report.warn(join_text("there is no test part: the validation images are tested"));
  return report;
}

}  // namespace capstan::detection
