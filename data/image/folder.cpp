#include "data/image/folder.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <span>
#include <utility>

#include "autograd/core/error.h"
#include "data/file.h"

namespace capstan::data {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 8> kSystemFolders{
    "__MACOSX", "@eaDir", "#recycle", "lost+found", "$RECYCLE.BIN", "System Volume Information", "RECYCLER", "@Recycle"};
constexpr std::array<std::string_view, 5> kImageEndings{".jpg", ".jpeg", ".jpe", ".jfif", ".png"};

std::string lower_case(std::string text) {
  std::ranges::transform(text, text.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return text;
}

bool is_image_name(const fs::path& path) { return std::ranges::find(kImageEndings, lower_case(path.extension())) != kImageEndings.end(); }

bool is_hidden(const fs::directory_entry& e) { return e.path().filename().string().starts_with('.'); }

std::vector<fs::directory_entry> entries_of(const std::string& folder) {
  std::error_code error;
  std::vector<fs::directory_entry> entries;
  for (fs::directory_iterator it(folder, error); !error && it != fs::directory_iterator(); it.increment(error)) entries.push_back(*it);
  require<IoError>(!error, folder, ": cannot list the folder: ", error.message());
  std::ranges::sort(entries);
  return entries;
}

/// Whether a file that is not named like an image is one by its first bytes; nothing if it cannot be read.
std::optional<bool> holds_image(const std::string& path) {
  std::array<char, 16> start{};
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  file.read(start.data(), start.size());
  const auto bytes = std::as_bytes(std::span(start.data(), static_cast<std::size_t>(file.gcount())));
  return image_format_of(bytes) != ImageFormat::unknown;
}

std::string kind_of(const fs::path& path) {
  const std::string ending = lower_case(path.extension());
  return ending.empty() ? "files without an ending" : ending;
}

/// What an entry is, or what the link leads to. Where that cannot be told it may be a folder of images, which must not be lost in silence:
/// IoError, unless its name says that it is an image.
fs::file_type type_of(const fs::directory_entry& e) {
  std::error_code error;
  const fs::file_type type = e.status(error).type();
  const bool known = type != fs::file_type::none && type != fs::file_type::not_found;
  require<IoError>(known || is_image_name(e.path()), e.path().string(), ": cannot be reached: ", error.message());
  return type;
}

/// Both without links: whether `path` is `folder` or lies in it.
bool is_within(const fs::path& path, const fs::path& folder) {
  return std::mismatch(folder.begin(), folder.end(), path.begin(), path.end()).first == folder.end();
}

fs::path without_links(const std::string& path) {
  std::error_code error;
  fs::path result = fs::canonical(path, error);
  require<IoError>(!error, path, ": cannot be reached: ", error.message());
  return result;
}

}  // namespace

bool is_system_folder(std::string_view name) { return std::ranges::find(kSystemFolders, name) != kSystemFolders.end(); }

std::vector<std::string> folders_in(const std::string& folder) {
  std::vector<std::string> found;
  for (const fs::directory_entry& e : entries_of(folder)) {
    const std::string name = e.path().filename();
    if (!is_hidden(e) && !is_system_folder(name) && type_of(e) == fs::file_type::directory) found.push_back(name);
  }
  return found;
}

void ImageFolder::pass_over(const std::string& kind, const std::string& path) {
  PassedOver& met = passed_over_[kind];
  if (met.count++ == 0) met.first = path;
}

void ImageFolder::list_images(const std::string& folder, std::int64_t label, std::vector<fs::path>& above) {
  for (const fs::directory_entry& e : entries_of(folder)) {
    const std::string name = e.path().filename(), path = folder + "/" + name;
    if (is_hidden(e)) {
      pass_over("hidden names", path);
      continue;
    }
    const fs::file_type type = type_of(e);
    if (type == fs::file_type::directory) {
      if (is_system_folder(name)) {
        pass_over("folders " + name, path);
        continue;
      }
      const fs::path place = without_links(path);
      // A link to a folder that it lies in leads round in a circle, through images that are listed already: passed over.
      if (std::ranges::any_of(above, [&](const fs::path& p) { return is_within(p, place); })) continue;
      above.push_back(place);
      list_images(path, label, above);
      above.pop_back();
      continue;
    }
    // An image that cannot be reached is listed like a broken one, so that read() names it.
    const bool unreachable = type == fs::file_type::none || type == fs::file_type::not_found;
    if (type != fs::file_type::regular && !unreachable) {
      pass_over("devices, sockets and pipes", path);
      continue;
    }
    if (!is_image_name(e.path())) {
      const auto image = holds_image(path);
      if (!image.value_or(false)) {
        pass_over(image ? kind_of(e.path()) : "files that cannot be opened", path);
        continue;
      }
    }
    std::error_code error;
    const std::uintmax_t bytes = e.file_size(error);
    files_.push_back({path.substr(root_.size() + 1), label, error ? 0 : bytes});
  }
}

ImageFolder::ImageFolder(const std::string& root, const Options& options)
    : root_(root), options_(options), class_names_(options.class_names) {
  const std::vector<std::string> found = folders_in(root);
  for (const fs::directory_entry& e : entries_of(root)) {
    const std::string name = e.path().filename(), path = root + "/" + name;
    if (is_hidden(e)) {
      pass_over("hidden names", path);
    } else if (is_system_folder(name)) {
      pass_over("folders " + name, path);
    } else if (type_of(e) != fs::file_type::directory) {
      pass_over(is_image_name(e.path()) ? "images outside the class folders" : kind_of(e.path()), path);
    }
  }
  if (class_names_.empty()) class_names_ = found;
  for (const std::string& name : found) {
    const std::string folder = root + "/" + name;
    const auto known = std::ranges::find(class_names_, name);
    require<DataError>(known != class_names_.end(), folder, ": a class that is not among the ", class_names_.size(), " known ones (",
                       class_names_.front(), " .. ", class_names_.back(), ")");
    const auto first = static_cast<std::ptrdiff_t>(files_.size());
    const auto before = passed_over_;
    std::vector<fs::path> above{without_links(folder)};
    list_images(folder, known - class_names_.begin(), above);
    if (size() == first) {
      std::string met;
      for (const auto& [kind, over] : passed_over_) {
        const auto seen = before.find(kind);
        const std::int64_t count = over.count - (seen == before.end() ? 0 : seen->second.count);
        if (count > 0) met += join_text(met.empty() ? "; not read: " : ", ", count, " ", kind);
      }
      throw DataError(join_text(folder, ": a class without image files (JPEG or PNG)", met));
    }
    std::sort(files_.begin() + first, files_.end(), [](const File& a, const File& b) { return a.name < b.name; });
  }
  require<DataError>(!files_.empty(), root, ": found no image files (JPEG or PNG) in subfolders named by class");
}

std::string ImageFolder::path(std::int64_t index) const { return root_ + "/" + files_[static_cast<std::size_t>(index)].name; }

std::optional<Image> ImageFolder::try_read(std::int64_t index) const {
  const auto note = [&](const Error& e) {
    const std::lock_guard lock(mutex_);
    broken_.emplace(path(index), e.what());
  };
  try {
    return read_image(path(index), options_.limits);
  } catch (const DataError& e) {
    note(e);
  } catch (const IoError& e) {
    note(e);
  }
  return std::nullopt;
}

ImageFolder::Sample ImageFolder::read_first(std::int64_t count, const std::function<std::int64_t(std::int64_t tried)>& candidate) const {
  for (std::int64_t tried = 0; tried < count; ++tried) {
    const std::int64_t i = candidate(tried);
    if (options_.broken == Broken::refuse) return {read_image(path(i), options_.limits), i, label(i)};
    if (auto image = try_read(i)) return {std::move(*image), i, label(i)};
  }
  throw DataError(join_text(root_, ": none of ", count, " image files can be read; the first: ", broken().at(path(candidate(0)))));
}

ImageFolder::Sample ImageFolder::read(std::int64_t index) const {
  return read_first(size(), [&](std::int64_t tried) { return (index + tried) % size(); });
}

ImageFolder::Sample ImageFolder::read(std::span<const std::int64_t> part, std::int64_t position) const {
  return read_first(std::ssize(part),
                    [&](std::int64_t tried) { return part[static_cast<std::size_t>((position + tried) % std::ssize(part))]; });
}

void ImageFolder::check_all() const {
  for (std::int64_t i = 0; i < size(); ++i) try_read(i);
}

std::map<std::string, std::string> ImageFolder::broken() const {
  const std::lock_guard lock(mutex_);
  return broken_;
}

std::string ImageFolder::digest() const {
  std::string all;
  for (const std::string& name : class_names_) all += name + "\n";
  for (const File& f : files_) all += join_text(f.name, "\t", f.bytes, "\n");
  return to_text(digest_of(std::as_bytes(std::span(all.data(), all.size()))));
}

}  // namespace capstan::data
