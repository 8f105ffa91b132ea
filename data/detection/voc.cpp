// The one place that names pugixml.
#include "data/detection/voc.h"

#include <pugixml.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <limits>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

#include "autograd/core/error.h"
#include "data/file.h"
#include "data/image/image.h"
#include "data/line_reader.h"
#include "data/trimmed.h"

namespace capstan::data {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 6> kVocEndings{".jpg", ".jpeg", ".png", ".JPG", ".JPEG", ".PNG"};

/// An XML file of one image.
class VocFile {
 public:
  explicit VocFile(std::string path) : path_(std::move(path)), bytes_(read_file(path_)) {
    const auto parsed = document_.load_buffer_inplace(bytes_.data(), bytes_.size());
    require<DataError>(parsed.status == pugi::status_ok, path_, ": is no valid XML: ", parsed.description(), " at byte ", parsed.offset);
    root_ = document_.child("annotation");
    require<DataError>(root_ != nullptr, path_, ": expected an element annotation, found ",
                       document_.document_element() ? document_.document_element().name() : "none");
  }
  const std::string& path() const { return path_; }
  std::string file_name() const { return std::string(trimmed(root_.child_value("filename"))); }
  /// 0 x 0 if the file does not say it.
  ImageSize size() const {
    const pugi::xml_node size = root_.child("size");
    return {.height = size.child("height").text().as_llong(), .width = size.child("width").text().as_llong()};
  }
  std::vector<pugi::xml_node> objects() const {
    const auto found = root_.children("object");
    return {found.begin(), found.end()};
  }
  std::string where(std::size_t object) const { return join_text(path_, ": object ", object + 1); }
  std::string name_of(const pugi::xml_node& object, std::size_t number) const {
    const auto name = trimmed(object.child_value("name"));
    require<DataError>(!name.empty(), where(number), ": has no name");
    return std::string(name);
  }
  double number(const pugi::xml_node& object, std::size_t number, const char* name) const {
    const auto text = trimmed(object.child("bndbox").child_value(name));
    double value = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
    require<DataError>(!text.empty() && read.ec == std::errc() && read.ptr == text.data() + text.size(), where(number),
                       ": expected a number in bndbox/", name, ", found '", text, "'");
    return value;
  }

 private:
  std::string path_;
  std::vector<std::byte> bytes_;  // parsed in place
  pugi::xml_document document_;
  pugi::xml_node root_;
};

/// Names of files without the ending that they all have, in byte order.
std::vector<std::string> stems(const std::string& folder, std::string_view ending) {
  std::error_code error;
  std::vector<std::string> found;
  for (fs::directory_iterator it(folder, error); !error && it != fs::directory_iterator(); it.increment(error)) {
    const std::string name = it->path().filename();
    if (name.ends_with(ending) && !name.starts_with('.')) found.push_back(name.substr(0, name.size() - ending.size()));
  }
  require<IoError>(!error, folder, ": cannot list the folder: ", error.message());
  std::ranges::sort(found);
  return found;
}

std::string picture_of(const std::string& root, const std::string& name, const VocFile& file) {
  const std::string folder = root + "/JPEGImages/";
  std::error_code error;
  const std::string named = fs::path(file.file_name()).filename();  // some programs write a whole path
  if (!named.empty() && fs::exists(folder + named, error)) return folder + named;
  for (const std::string_view ending : kVocEndings)
    if (std::string path = join_text(folder, name, ending); fs::exists(path, error)) return path;
  throw DataError(join_text(file.path(), ": found no picture for it: neither '", named, "' nor ", name, ".jpg, .jpeg or .png in ", folder));
}

}  // namespace

std::vector<std::string> voc_categories(const std::string& root) {
  std::set<std::string> names;
  const std::string folder = root + "/Annotations";
  for (const std::string& name : stems(folder, ".xml")) {
    const VocFile file(join_text(folder, "/", name, ".xml"));
    const auto objects = file.objects();
    for (std::size_t o = 0; o < objects.size(); ++o) names.insert(file.name_of(objects[o], o));
  }
  require<DataError>(!names.empty(), folder, ": no file there has an object");
  return {names.begin(), names.end()};
}

std::vector<std::string> voc_splits(const std::string& root) { return stems(root + "/ImageSets/Main", ".txt"); }

AnnotatedImages read_voc(const std::string& root, const std::string& split, const VocOptions& options) {
  AnnotatedImages all;
  all.checks = options.checks;
  const std::vector<std::string> categories = options.categories.empty() ? voc_categories(root) : options.categories;
  for (const std::string& name : categories) all.categories.push_back({std::ssize(all.categories), name});
  std::vector<std::string> names;
  if (split.empty()) {
    all.source = root;
    names = stems(root + "/Annotations", ".xml");
  } else {
    all.source = join_text(root, "/ImageSets/Main/", split, ".txt");
    LineReader lines(all.source);
    for (std::string_view line; lines.next(line);) {
      const std::string_view name = trimmed(line);  // in files of one class a 1, 0 or -1 follows
      if (!name.empty()) names.emplace_back(name.substr(0, name.find_first_of(" \t")));
    }
  }
  require<DataError>(!names.empty(), all.source, ": lists no image");
  BoxChecker checker(all);
  const double first = options.one_based ? 1 : 0;
  for (const std::string& name : names) {
    const VocFile file(join_text(root, "/Annotations/", name, ".xml"));
    AnnotatedImage image;
    image.file = picture_of(root, name, file);
    ImageSize size = file.size();
    if (size.height <= 0 || size.width <= 0) size = image_size(image.file);
    image.height = size.height;
    image.width = size.width;
    image.id = std::ssize(all.images);
    const auto objects = file.objects();
    for (std::size_t o = 0; o < objects.size(); ++o) {
      const auto known = std::ranges::find(categories, file.name_of(objects[o], o));
      const double x1 = file.number(objects[o], o, "xmin"), y1 = file.number(objects[o], o, "ymin");
      const double x2 = file.number(objects[o], o, "xmax"), y2 = file.number(objects[o], o, "ymax");
      AnnotatedBox box;
      box.box = {x1 - first, y1 - first, x2 - x1 + first, y2 - y1 + first};
      box.category = known == categories.end() ? -1 : known - categories.begin();
      box.area = box.box.area();
      checker.add(image, box, file.where(o));
    }
    all.images.push_back(std::move(image));
  }
  return all;
}

}  // namespace capstan::data
