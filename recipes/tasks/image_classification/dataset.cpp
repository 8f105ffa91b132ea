#include "recipes/tasks/image_classification/dataset.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <numeric>
#include <optional>
#include <string_view>
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

data::LabelledImages generate(const data::ShapeImages& shapes, std::int64_t first, std::int64_t count) {
  data::LabelledImages set;
  set.height = set.width = shapes.options().size;
  set.channels = 3;
  set.class_names = shapes.names();
  for (const data::ShapeImage& made : shapes.get(first, count)) {
    set.pixels.insert(set.pixels.end(), made.image.pixels.begin(), made.image.pixels.end());
    set.labels.push_back(made.objects.at(0).label);
  }
  return set;
}

constexpr std::string_view kTestImages = "the test images";

/// The names that tell the part of a folder beside others.
constexpr std::array<std::pair<std::string_view, Split>, 9> kPartNames{{{"train", Split::train},
                                                                        {"training", Split::train},
                                                                        {"val", Split::validation},
                                                                        {"valid", Split::validation},
                                                                        {"validation", Split::validation},
                                                                        {"dev", Split::validation},
                                                                        {"eval", Split::validation},
                                                                        {"test", Split::test},
                                                                        {"testing", Split::test}}};

std::optional<Split> part_named(std::string name) {
  std::ranges::transform(name, name.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  for (const auto& [known, part] : kPartNames)
    if (known == name) return part;
  return std::nullopt;
}

std::string form_of(Source source) {
  switch (source) {
    case Source::shapes: return "generated shapes";
    case Source::idx: return "IDX files";
    case Source::cifar10: return "CIFAR-10 binary files";
    case Source::cifar100: return "CIFAR-100 binary files";
    case Source::folder: return "folders of JPEG and PNG files";
  }
  return "?";
}

/// The first few names.
std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < std::min<std::size_t>(names.size(), 5); ++i) text += (i == 0 ? "" : ", ") + names[i];
  return names.size() > 5 ? join_text(text, " and ", names.size() - 5, " more") : text;
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
  const std::string path = data.source == Source::shapes ? std::string() : setup.data_path(data.path);
  path_ = path;
  form_ = form_of(data.source);
  // A folder of images that a finished model is tried on needs no more than the part it is tried on.
  const bool use = (setup.purpose == engine::Purpose::evaluate || setup.purpose == engine::Purpose::predict) && !class_names.empty();
  const auto open = [&] {
    data.source == Source::folder ? open_folders(data, path, class_names, !use || data.held_out > 0) : open_memory(data, shapes, path);
    require<DataError>(class_names.empty() || class_names.size() == class_names_.size(), "image_classification: the checkpoint knows ",
                       class_names.size(), " classes, ", path, " has ", class_names_.size());
  };
  data.source == Source::shapes ? open() : engine::named_by("data.path", open);
  if (data.held_out > 0 && size(Split::train) > 0) hold_out(data.held_out, static_cast<std::uint64_t>(data.split_seed));
  if (use && data.source == Source::folder) return;
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
    for (std::string& source : sources_) source = "generated";
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
  sources_[0] = sources_[2] = path;
  validate_on_test_images();
}

void Dataset::validate_on_test_images() {
  places_of(Split::validation) = places_of(Split::test);
  sources_[static_cast<std::size_t>(Split::validation)] = kTestImages;
}

void Dataset::open_folders(const DataOptions& data, const std::string& path, const std::vector<std::string>& class_names, bool training) {
  std::string names[3];  // of the folders, by part
  std::vector<std::string> others;
  for (const std::string& folder : data::folders_in(path)) {
    const auto part = part_named(folder);
    if (!part) {
      others.push_back(folder);
      continue;
    }
    std::string& name = names[static_cast<std::size_t>(*part)];
    require<DataError>(name.empty(), path, ": ", name, "/ and ", folder, "/ both hold ", engine::name_of(*part),
                       " images by their names: one of them must go, or get another name");
    name = folder;
  }
  auto& [train, validation, test] = names;
  const auto open = [&](const std::string& name, Split part) {
    const std::string place = name.empty() ? path : path + "/" + name;
    auto folder = std::make_unique<data::ImageFolder>(
        place, data::ImageFolder::Options{.broken = data.broken, .limits = {.max_pixels = data.max_pixels}, .class_names = class_names_});
    if (part == Split::train) {
      if (class_names_.empty()) class_names_ = folder->class_names();
      digest_ = folder->digest();
    }
    sources_[static_cast<std::size_t>(part)] = place;
    add_set(std::move(folder), part);
  };
  class_names_ = class_names;
  const bool known = !class_names.empty();
  const std::string found = others.empty() ? "" : "; found " + listed(others) + ", of which no name tells a part";
  if (known && train.empty() && validation.empty() && test.empty()) {
    const bool classes =
        std::ranges::any_of(others, [&](const std::string& o) { return std::ranges::find(class_names, o) != class_names.end(); });
    require<DataError>(classes, path, ": found neither test/ nor val/, nor a folder named like a class of the checkpoint", found);
    open("", Split::test);
    return validate_on_test_images();
  }
  if (!known) {
    require<DataError>(!train.empty(), path, ": found no folder train/ with a subfolder for each class", found);
    require<DataError>(!validation.empty() || !test.empty(), path, ": found neither val/ nor test/ beside train/", found);
  }
  if (training && !train.empty()) open(train, Split::train);
  if (!test.empty()) open(test, Split::test);
  if (!others.empty())
    warnings_.push_back(
        join_text("not read: ", listed(others), " in ", path, ", whose names do not tell whether they train, validate or test"));
  if (validation.empty()) {
    if (!test.empty()) validate_on_test_images();
    return;
  }
  // Where images are set aside from those that train, a folder of validation images has no part of its own but may be the test part.
  if (data.held_out > 0 && !test.empty() && !train.empty()) {
    warnings_.push_back(
        join_text("not read: ", path, "/", validation, ", because data.held_out takes validation from the training images"));
    return;
  }
  open(validation, test.empty() ? Split::test : Split::validation);
  if (!test.empty()) return;
  validate_on_test_images();
  sources_[static_cast<std::size_t>(Split::validation)] = join_text(path, "/", validation, ", which are the test images too");
}

void Dataset::hold_out(double amount, std::uint64_t seed) {
  std::vector<std::int64_t>& train = places_of(Split::train).indices;
  const auto at = [all = train](const std::vector<std::int64_t>& numbers) {
    std::vector<std::int64_t> out;
    for (const std::int64_t i : numbers) out.push_back(all[static_cast<std::size_t>(i)]);
    return out;
  };
  const data::HeldOut parts = engine::named_by("data.held_out", [&] { return data::hold_out(size(Split::train), amount, seed); });
  train = at(parts.kept);
  places_of(Split::validation) = {places_of(Split::train).set, at(parts.held)};
  sources_[static_cast<std::size_t>(Split::validation)] = "set aside from the training images";
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

std::string Dataset::name_of(Split part, std::int64_t index) const {
  const Places& places = places_of(part);
  const auto* folder = std::get_if<std::unique_ptr<data::ImageFolder>>(&sets_[places.set]);
  return folder != nullptr ? (*folder)->path(places.indices[static_cast<std::size_t>(index)]) : join_text("image ", index);
}

std::vector<std::int64_t> Dataset::counts(Split part) const {
  std::vector<std::int64_t> counts(class_names_.size());
  const Places& places = places_of(part);
  for (const std::int64_t place : places.indices) {
    const auto* images = std::get_if<data::LabelledImages>(&sets_[places.set]);
    const std::int64_t label = images != nullptr ? images->labels[static_cast<std::size_t>(place)]
                                                 : std::get<std::unique_ptr<data::ImageFolder>>(sets_[places.set])->label(place);
    ++counts[static_cast<std::size_t>(label)];
  }
  return counts;
}

std::map<std::string, data::ImageFolder::PassedOver> Dataset::passed_over() const {
  std::map<std::string, data::ImageFolder::PassedOver> all;
  for (const Set& set : sets_)
    if (const auto* folder = std::get_if<std::unique_ptr<data::ImageFolder>>(&set))
      for (const auto& [kind, met] : (*folder)->passed_over()) {
        auto& sum = all[kind];
        if (sum.count == 0) sum.first = met.first;
        sum.count += met.count;
      }
  return all;
}

data::DataReport Dataset::report() const {
  data::DataReport report;
  report.fact("data", form_ + (path_.empty() ? "" : ", " + path_));
  report.fact("classes", join_text(classes(), ": ", listed(class_names_)));
  if (classes() == 1) report.warn("there is one class only (" + class_names_[0] + "): any model is right");
  for (const auto& [part, name] : {std::pair{Split::train, "training"}, {Split::validation, "validation"}, {Split::test, "test"}}) {
    if (size(part) == 0) continue;
    const std::vector<std::int64_t> images = counts(part);
    const auto [fewest, most] = std::ranges::minmax(images);
    report.fact(name, join_text(data::grouped(size(part)), " images, ", fewest == most ? "" : join_text(data::grouped(fewest), " to "),
                                data::grouped(most), " a class", source_of(part).empty() ? "" : ": ", source_of(part)));
    std::vector<std::string> missing;
    for (std::size_t c = 0; c < images.size(); ++c)
      if (images[c] == 0) missing.push_back(class_names_[c]);
    if (!missing.empty()) report.warn(join_text("no ", name, " image of ", missing.size() == 1 ? "class " : "classes ", listed(missing)));
  }
  if (const auto passed = passed_over(); !passed.empty()) {
    std::string text;
    for (const auto& [kind, met] : passed)
      text += join_text(text.empty() ? "" : ", ", data::grouped(met.count), " ", kind, " (", met.first, met.count > 1 ? ", ...)" : ")");
    report.fact("not read", text);
    std::string pictures;  // of forms that other programs read, or where no class is known
    for (const char* kind : {".webp", ".bmp", ".gif", ".tif", ".tiff", ".heic", ".avif", ".ppm", "images outside the class folders"})
      if (const auto met = passed.find(kind); met != passed.end())
        pictures += join_text(pictures.empty() ? "" : ", ", data::grouped(met->second.count), " ", kind);
    if (!pictures.empty()) report.warn("pictures are not read: " + pictures + "; JPEG and PNG files in folders named by class are");
  }
  if (const auto faults = broken(); !faults.empty())
    report.fact("broken", join_text(data::grouped(std::ssize(faults)), " files, the first: ", faults.begin()->second));
  if (source_of(Split::validation) == kTestImages && size(Split::train) > 0)
    report.warn(
        "the test images validate, so what is chosen by them is no test any more; data.held_out sets training images aside instead");
  for (const std::string& w : warnings_) report.warn(w);
  return report;
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
