#include "recipes/tasks/image_classification/dataset.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>
#include <utility>

#include "autograd/core/error.h"
#include "data/file.h"
#include "data/image/cifar.h"
#include "data/image/idx.h"
#include "data/sampler.h"
#include "data/synthetic/shapes.h"

namespace capstan::image_classification {
namespace {

using engine::Split;

constexpr std::uint64_t kHeldOutSeed = 20;  // not the run's: runs with other seeds are validated on the same images

data::LabelledImages generate(const data::ShapeImages& shapes, std::int64_t first, std::int64_t count) {
  data::LabelledImages set;
  set.height = set.width = shapes.options().size;
  set.channels = 3;
  set.class_names = shapes.names();
  for (std::int64_t i = 0; i < count; ++i) {
    const data::ShapeImage made = shapes.get(first + i);
    set.pixels.insert(set.pixels.end(), made.image.pixels.begin(), made.image.pixels.end());
    set.labels.push_back(made.objects.at(0).label);
  }
  return set;
}

std::string digest_of(const data::LabelledImages& set) {
  return join_text(to_text(data::digest_of(std::as_bytes(std::span(set.pixels)))), "/",
                   to_text(data::digest_of(std::as_bytes(std::span(set.labels)))));
}

}  // namespace

Dataset::Dataset(const DataOptions& data, const ShapesOptions& shapes, const engine::Setup& setup,
                 const std::vector<std::string>& class_names) {
  require<ConfigError>(data.source == Source::shapes || !data.path.empty(),
                       "image_classification: data.path must name the folder of the images");
  const std::string path = setup.data_path(data.path);
  const auto open = [&] {
    data.source == Source::folder ? open_folders(data, path, class_names) : open_memory(data, shapes, path);
    require<DataError>(class_names.empty() || class_names.size() == class_names_.size(), "image_classification: the checkpoint knows ",
                       class_names.size(), " classes, ", path, " has ", class_names_.size());
  };
  data.source == Source::shapes ? open() : engine::named_by("data.path", open);
  if (data.held_out > 0) hold_out(data.held_out);
  for (const auto& [part, name] : {std::pair{Split::train, "training"}, {Split::validation, "validation"}, {Split::test, "test"}})
    require<DataError>(size(part) > 0, "image_classification: no ", name, " images: ", summary());
}

void Dataset::add_set(Set set, Split part) {
  const std::int64_t n = std::holds_alternative<data::LabelledImages>(set) ? std::get<data::LabelledImages>(set).size()
                                                                           : std::get<std::unique_ptr<data::ImageFolder>>(set)->size();
  Places& places = places_of(part);
  places.set = sets_.size();
  places.indices.resize(static_cast<std::size_t>(n));
  std::iota(places.indices.begin(), places.indices.end(), std::int64_t{0});
  sets_.push_back(std::move(set));
}

void Dataset::open_memory(const DataOptions& data, const ShapesOptions& shapes, const std::string& path) {
  const auto add = [&](data::LabelledImages set, Split part) {
    if (part == Split::train) {
      class_names_ = set.class_names;
      digest_ = digest_of(set);
    }
    add_set(std::move(set), part);
  };
  if (data.source == Source::shapes) {
    const data::ShapeImages generator(
        {.size = shapes.size, .classes = shapes.classes, .noise = shapes.noise, .seed = static_cast<std::uint64_t>(shapes.seed)});
    add(generate(generator, 0, shapes.train), Split::train);
    add(generate(generator, shapes.train, shapes.validation), Split::validation);
    add(generate(generator, shapes.train + shapes.validation, shapes.test), Split::test);
    validation_source_ = "generated";
    return;
  }
  if (data.source == Source::idx) {
    add(data::read_idx_folder(path, data::IdxPart::train, data.class_names), Split::train);
    add(data::read_idx_folder(path, data::IdxPart::test, class_names_), Split::test);
  } else {
    const auto labels = data.source == Source::cifar10 ? data::CifarLabels::ten : data::CifarLabels::fine;
    add(data::read_cifar_folder(path, data::CifarPart::train, labels), Split::train);
    add(data::read_cifar_folder(path, data::CifarPart::test, labels), Split::test);
  }
  places_of(Split::validation) = places_of(Split::test);
  validation_source_ = "the test images";
}

void Dataset::open_folders(const DataOptions& data, const std::string& path, const std::vector<std::string>& class_names) {
  namespace fs = std::filesystem;
  data::ImageFolder::Options options{.broken = data.broken, .limits = {.max_pixels = data.max_pixels}, .class_names = class_names};
  const auto open = [&](const std::string& name, Split part) {
    auto folder = std::make_unique<data::ImageFolder>(path + "/" + name, options);
    if (part == Split::train) {
      class_names_ = options.class_names = folder->class_names();
      digest_ = folder->digest();
    }
    add_set(std::move(folder), part);
  };
  const auto exists = [&](const char* name) {
    std::error_code error;
    const fs::file_type type = fs::status(path + "/" + name, error).type();
    require<IoError>(type != fs::file_type::none, path, "/", name, ": cannot be reached: ", error.message());
    return type == fs::file_type::directory;
  };
  require<DataError>(exists("train"), path, ": found no folder train/ with a subfolder for each class");
  const char* validation = exists("val") ? "val" : exists("validation") ? "validation" : "";
  require<DataError>(*validation != '\0' || exists("test"), path, ": found neither val/ nor test/ beside train/");
  open("train", Split::train);
  if (exists("test")) open("test", Split::test);
  if (*validation != '\0') open(validation, exists("test") ? Split::validation : Split::test);
  validation_source_ = join_text(path, "/", validation);
  if (!exists("test")) {
    places_of(Split::validation) = places_of(Split::test);
    validation_source_ += ", which are the test images too";
  } else if (*validation == '\0') {
    places_of(Split::validation) = places_of(Split::test);
    validation_source_ = "the test images";
  }
}

void Dataset::hold_out(double amount) {
  std::vector<std::int64_t>& train = places_of(Split::train).indices;
  const auto at = [all = train](const std::vector<std::int64_t>& numbers) {
    std::vector<std::int64_t> out;
    for (const std::int64_t i : numbers) out.push_back(all[static_cast<std::size_t>(i)]);
    return out;
  };
  const data::HeldOut parts = engine::named_by("data.held_out", [&] { return data::hold_out(size(Split::train), amount, kHeldOutSeed); });
  train = at(parts.kept);
  places_of(Split::validation) = {places_of(Split::train).set, at(parts.held)};
  validation_source_ = "set aside from the training images";
}

Example Dataset::read(Split part, std::int64_t index) const {
  const Places& places = places_of(part);
  const std::int64_t place = places.indices[static_cast<std::size_t>(index)];
  Example e;
  if (const auto* images = std::get_if<data::LabelledImages>(&sets_[places.set])) {
    e.view = images->image(place);
    e.label = images->labels[static_cast<std::size_t>(place)];
    return e;
  }
  auto sample = std::get<std::unique_ptr<data::ImageFolder>>(sets_[places.set])->read(places.indices, index);
  e.owned = std::move(sample.image);
  e.view = e.owned;
  e.label = sample.label;
  e.substitute = sample.index != place;
  return e;
}

void Dataset::check_all() const {
  for (const Set& set : sets_)
    if (const auto* folder = std::get_if<std::unique_ptr<data::ImageFolder>>(&set)) (*folder)->check_all();
}

std::map<std::string, std::string> Dataset::broken() const {
  std::map<std::string, std::string> all;
  for (const Set& set : sets_)
    if (const auto* folder = std::get_if<std::unique_ptr<data::ImageFolder>>(&set)) all.merge((*folder)->broken());
  return all;
}

std::string Dataset::summary() const {
  return join_text(size(Split::train), " training, ", size(Split::validation), " validation and ", size(Split::test), " test images of ",
                   classes(), " classes");
}

}  // namespace capstan::image_classification
