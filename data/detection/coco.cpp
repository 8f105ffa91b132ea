#include "data/detection/coco.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <unordered_map>
#include <utility>

#include "autograd/core/error.h"
#include "data/image/image.h"
#include "data/json.h"

namespace capstan::data {
namespace {

/// A box of four numbers, of which null stands for NaN.
Box box_of(const Json& box) {
  const std::vector<double> v = box.numbers();
  require<DataError>(v.size() == 4, box.place(), ": expected 4 numbers, x, y, width and height, found ", v.size());
  return {v[0], v[1], v[2], v[3]};
}
Box finite_box_of(const Json& box) {
  const std::vector<double> v = box.numbers();
  const auto bad = std::ranges::find_if(v, [](double number) { return std::isnan(number); });
  require<DataError>(bad == v.end(), box.place(), "/", bad - v.begin(), ": expected a finite number, found null");
  return box_of(box);
}

/// 0, 1, false and true.
bool is_set(const Json& flag) { return flag.is(Json::Kind::boolean) ? flag.boolean() : flag.number() != 0; }

class Ids {
 public:
  void add(const Json& entry, std::int64_t id, std::int64_t index) {
    require<DataError>(places_.emplace(id, index).second, entry.place(), ": the id ", id, " stands twice in the list");
  }
  std::int64_t find(std::int64_t id) const {
    const auto found = places_.find(id);
    return found == places_.end() ? -1 : found->second;
  }

 private:
  std::unordered_map<std::int64_t, std::int64_t> places_;
};

std::string joined(const std::string& folder, std::string_view name) {
  return folder.empty() || name.starts_with('/') ? std::string(name) : join_text(folder, "/", name);
}

}  // namespace

AnnotatedImages read_coco(const std::string& path, const CocoOptions& options) {
  const Json root = read_json(path, NotFinite::null);
  require<DataError>(root.is(Json::Kind::object), path, ": expected an object with images, categories and annotations, as COCO's files of ",
                     "annotations are", root.is(Json::Kind::list) ? "; a list is the form of results" : "");
  AnnotatedImages all;
  all.source = path;
  all.checks = options.checks;
  Ids category_places, image_places;

  for (const Json& c : root["categories"].items()) all.categories.push_back({c["id"].integer(), std::string(c["name"].text())});
  require<DataError>(!all.categories.empty(), root["categories"].place(), ": the list is empty");
  std::ranges::stable_sort(all.categories, {}, &BoxCategory::id);
  for (std::size_t i = 0; i < all.categories.size(); ++i)
    category_places.add(root["categories"], all.categories[i].id, static_cast<std::int64_t>(i));

  const std::vector<Json> images = root["images"].items();
  require<DataError>(!images.empty(), root["images"].place(), ": the list is empty");
  for (const Json& i : images) {
    const auto name = i.find("file_name"), width = i.find("width"), height = i.find("height");
    AnnotatedImage image;
    image.id = i["id"].integer();
    image_places.add(i, image.id, std::ssize(all.images));
    const bool training = options.checks == BoxChecks::for_training;
    if (training) image.file = joined(options.pictures, i["file_name"].text());
    if (!training && name) image.file = joined(options.pictures, name->text());
    if (width && height) {
      image.width = width->integer();
      image.height = height->integer();
    } else if (training) {
      const ImageSize size = image_size(image.file);
      image.width = size.width;
      image.height = size.height;
    }
    all.images.push_back(std::move(image));
  }

  BoxChecker checker(all);
  const Json annotations = root["annotations"];
  for (const Json& a : annotations.items()) {
    const auto id = a.find("id"), area = a.find("area"), crowd = a.find("iscrowd");
    AnnotatedBox box{.box = box_of(a["bbox"]), .category = category_places.find(a["category_id"].integer())};
    box.crowd = crowd && is_set(*crowd);
    box.area = area ? area->number() : box.box.area();
    box.id = id ? id->integer() : 0;
    const auto where = [&] { return id ? join_text(path, ": annotation ", box.id) : a.place(); };
    const std::int64_t place = image_places.find(a["image_id"].integer());
    if (place < 0) {
      checker.note(BoxFault::unknown_image, where());
      continue;
    }
    AnnotatedImage& image = all.images[static_cast<std::size_t>(place)];
    if (box.category < 0 || fault_of(box.box, image.width, image.height)) {
      checker.add(image, box, where());
    } else {
      image.boxes.push_back(box);
    }
  }
  return all;
}

std::vector<std::vector<DetectedBox>> read_coco_results(const std::string& path, const AnnotatedImages& truth) {
  const Json root = read_json(path);
  if (!root.is(Json::Kind::list))
    root.fail("a list of results, as COCO has it: [{\"image_id\", \"category_id\", \"bbox\", \"score\"}, ...]");
  std::unordered_map<std::int64_t, std::size_t> images;
  std::unordered_map<std::int64_t, std::int64_t> categories;
  for (std::size_t i = 0; i < truth.images.size(); ++i) images.emplace(truth.images[i].id, i);
  for (std::size_t i = 0; i < truth.categories.size(); ++i) categories.emplace(truth.categories[i].id, static_cast<std::int64_t>(i));
  std::vector<std::vector<DetectedBox>> found(truth.images.size());
  for (const Json& d : root.items()) {
    const Json image = d["image_id"], category = d["category_id"], score = d["score"];
    const auto in = images.find(image.integer());
    require<DataError>(in != images.end(), image.place(), ": ", image.integer(), " is no image of ", truth.source, ", which has ",
                       truth.images.size());
    const auto of = categories.find(category.integer());
    require<DataError>(of != categories.end(), category.place(), ": ", category.integer(), " is no category of ", truth.source,
                       ", which has ", truth.categories.size(), ": ", truth.categories.front().id, " .. ", truth.categories.back().id);
    found[in->second].push_back({.box = finite_box_of(d["bbox"]), .category = of->second, .score = score.number()});
  }
  return found;
}

void CocoResults::add(std::int64_t image, std::int64_t category, const Box& box, double score) {
  const std::array<double, 5> numbers{box.x, box.y, box.width, box.height, score};
  require<NumericalError>(std::ranges::all_of(numbers, [](double v) { return std::isfinite(v); }), "results: image ", image, ", category ",
                          category, ": a coordinate or the score is not a finite number: [", box.x, ", ", box.y, ", ", box.width, ", ",
                          box.height, "], ", score);
  entries_ += join_text(size_ == 0 ? "" : ",\n", "{\"image_id\":", image, ",\"category_id\":", category, ",\"bbox\":[", box.x, ",", box.y,
                        ",", box.width, ",", box.height, "],\"score\":", score, "}");
  ++size_;
}

void CocoResults::add_entries(std::string_view entries, std::int64_t size) {
  if (size_ > 0 && size > 0) entries_ += ",\n";
  entries_ += entries;
  size_ += size;
}

}  // namespace capstan::data
