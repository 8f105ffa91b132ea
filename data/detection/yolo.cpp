#include "data/detection/yolo.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

#include "autograd/core/error.h"
#include "data/image/image.h"
#include "data/line_reader.h"
#include "data/trimmed.h"

namespace capstan::data {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 4> kYoloEndings{".jpg", ".jpeg", ".jpe", ".png"};

std::string_view unquoted(std::string_view text) {
  text = trimmed(text);
  const bool quoted = text.size() >= 2 && (text.front() == '"' || text.front() == '\'') && text.back() == text.front();
  return quoted ? text.substr(1, text.size() - 2) : text;
}

/// The names in data.yaml; none if it has no such key.
std::vector<std::string> names_in_yaml(const std::string& path) {
  std::vector<std::string> names;
  LineReader lines(path);
  bool inside = false;
  const auto add = [&](std::string_view name) {
    require<DataError>(!unquoted(name).empty(), lines.where(), "expected the name of a class, found none");
    names.emplace_back(unquoted(name));
  };
  for (std::string_view line; lines.next(line);) {
    const std::string_view text = trimmed(line.substr(0, line.find(" #")));
    if (text.empty() || text.front() == '#') continue;
    if (text.starts_with("names:") && !line.starts_with(' ')) {
      std::string_view rest = trimmed(text.substr(6));
      inside = rest.empty();
      if (rest.empty()) continue;
      require<DataError>(rest.front() == '[' && rest.back() == ']', lines.where(), "expected names: [a, b, ...] on one line, found '", text,
                         "'");
      rest = rest.substr(1, rest.size() - 2);
      while (!trimmed(rest).empty()) {
        const auto comma = std::min(rest.find(','), rest.size());
        add(rest.substr(0, comma));
        rest.remove_prefix(std::min(comma + 1, rest.size()));
      }
    } else if (inside && text.starts_with("- ")) {
      add(text.substr(2));
    } else if (inside && line.starts_with(' ')) {
      const auto colon = text.find(':');
      require<DataError>(colon != std::string_view::npos && text.substr(0, colon) == std::to_string(names.size()), lines.where(),
                         "expected class ", names.size(), " (\"", names.size(), ": name\"), found '", text, "'");
      add(text.substr(colon + 1));
    } else {
      inside = false;
    }
  }
  return names;
}

/// Where a part is: its pictures, and its labels.
std::pair<std::string, std::string> folders_of(const std::string& root, const std::string& part) {
  std::error_code error;
  if (part.empty()) return {root + "/images", root + "/labels"};
  if (fs::is_directory(root + "/images/" + part, error)) return {root + "/images/" + part, root + "/labels/" + part};
  const std::string other = root + "/" + part + "/images";
  require<IoError>(fs::is_directory(other, error), root, ": there is neither a folder images/", part, " nor ", part, "/images");
  return {other, root + "/" + part + "/labels"};
}

/// The pictures of a folder in byte order of their names.
std::vector<fs::path> pictures_in(const std::string& folder) {
  std::error_code error;
  std::vector<fs::path> found;
  for (fs::directory_iterator it(folder, error); !error && it != fs::directory_iterator(); it.increment(error)) {
    std::string ending = it->path().extension();
    std::ranges::transform(ending, ending.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    if (std::ranges::find(kYoloEndings, ending) != kYoloEndings.end() && !it->path().filename().string().starts_with('.'))
      found.push_back(it->path());
  }
  require<IoError>(!error, folder, ": cannot list the folder: ", error.message());
  std::ranges::sort(found);
  return found;
}

struct Label {
  std::int64_t category = 0;
  Centre box;
};

Label label_in(std::string_view line, const LineReader& lines) {
  std::vector<double> numbers;
  for (std::string_view rest = trimmed(line); !rest.empty();) {
    const auto end = std::min(rest.find_first_of(" \t"), rest.size());
    const std::string_view word = rest.substr(0, end);
    double value = 0;
    const auto read = std::from_chars(word.data(), word.data() + word.size(), value);
    require<DataError>(read.ec == std::errc() && read.ptr == word.data() + word.size(), lines.where(), "expected a number, found '", word,
                       "'");
    numbers.push_back(value);
    rest = trimmed(rest.substr(end));
  }
  const bool polygon = numbers.size() >= 7 && numbers.size() % 2 == 1;
  require<DataError>(numbers.size() == 5 || polygon, lines.where(),
                     "expected class, cx, cy, width and height, or class and the corners of a polygon; found ", numbers.size(), " numbers");
  require<DataError>(numbers[0] == std::floor(numbers[0]) && std::abs(numbers[0]) < 1e9, lines.where(),
                     "expected the number of a class first, found ", numbers[0]);
  Label label{.category = static_cast<std::int64_t>(numbers[0]), .box = {}};
  if (!polygon) {
    label.box = {numbers[1], numbers[2], numbers[3], numbers[4]};
    return label;
  }
  Corners c{numbers[1], numbers[2], numbers[1], numbers[2]};
  for (std::size_t i = 1; i < numbers.size(); i += 2) {
    c = {std::min(c.x1, numbers[i]), std::min(c.y1, numbers[i + 1]), std::max(c.x2, numbers[i]), std::max(c.y2, numbers[i + 1])};
  }
  label.box = centre_of(box_of(c), 1, 1);
  return label;
}

}  // namespace

std::vector<std::string> yolo_categories(const std::string& root) {
  std::error_code error;
  for (const std::string file : {"/data.yaml", "/data.yml"})
    if (fs::exists(root + file, error)) {
      std::vector<std::string> names = names_in_yaml(root + file);
      require<DataError>(!names.empty(), root, file, ": names no class; expected names: [a, b, ...]");
      return names;
    }
  const std::string list = root + "/classes.txt";
  require<IoError>(fs::exists(list, error), root, ": there is neither a data.yaml nor a classes.txt that names the classes");
  std::vector<std::string> names;
  LineReader lines(list);
  for (std::string_view line; lines.next(line);)
    if (!trimmed(line).empty()) names.emplace_back(trimmed(line));
  require<DataError>(!names.empty(), list, ": names no class");
  return names;
}

AnnotatedImages read_yolo(const std::string& root, const std::string& part, const YoloOptions& options) {
  AnnotatedImages all;
  const auto [pictures, labels] = folders_of(root, part);
  all.source = pictures;
  all.checks = options.checks;
  const std::vector<std::string> categories = options.categories.empty() ? yolo_categories(root) : options.categories;
  for (const std::string& name : categories) all.categories.push_back({std::ssize(all.categories), name});
  BoxChecker checker(all);
  std::error_code error;
  std::int64_t unlabelled = 0;
  for (const fs::path& picture : pictures_in(pictures)) {
    AnnotatedImage image;
    image.file = picture;
    image.id = std::ssize(all.images);
    const ImageSize size = image_size(image.file);
    image.width = size.width;
    image.height = size.height;
    const std::string list = join_text(labels, "/", picture.stem().string(), ".txt");
    if (!fs::exists(list, error)) {
      ++unlabelled;
    } else {
      LineReader lines(list);
      for (std::string_view line; lines.next(line);) {
        if (trimmed(line).empty()) continue;
        const Label label = label_in(line, lines);
        AnnotatedBox box;
        box.box = box_of(label.box, static_cast<double>(size.width), static_cast<double>(size.height));
        box.category = label.category < std::ssize(categories) ? label.category : -1;
        box.area = box.box.area();
        checker.add(image, box, join_text(list, ":", lines.line_number()));
      }
    }
    all.images.push_back(std::move(image));
  }
  require<DataError>(!all.images.empty(), pictures, ": holds no JPEG or PNG picture");
  require<DataError>(unlabelled < std::ssize(all.images), labels, ": none of the ", all.images.size(), " pictures in ", pictures,
                     " has a file of labels there");
  if (unlabelled > 0)
    all.warnings.push_back(
        join_text(pictures, ": ", grouped(unlabelled), " pictures have no file in ", labels, ": taken to have nothing in them"));
  return all;
}

}  // namespace capstan::data
