#include "data/image/folder.h"

#include <algorithm>
#include <filesystem>
#include <span>

#include "autograd/core/error.h"
#include "data/file.h"

namespace capstan::data {
namespace {

namespace fs = std::filesystem;

bool is_image_name(const fs::path& path) {
  std::string end = path.extension();
  std::ranges::transform(end, end.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return end == ".jpg" || end == ".jpeg" || end == ".png";
}

}  // namespace

ImageFolder::ImageFolder(const std::string& root, const Options& options)
    : root_(root), options_(options), class_names_(options.class_names) {
  std::error_code error;
  std::vector<std::string> found;
  for (const auto& e : fs::directory_iterator(root, error))
    if (e.is_directory()) found.push_back(e.path().filename());
  require<IoError>(!error, root, ": cannot list the folder: ", error.message());
  std::ranges::sort(found);
  if (class_names_.empty()) class_names_ = found;
  for (const std::string& name : found) {
    const auto known = std::ranges::find(class_names_, name);
    require<DataError>(known != class_names_.end(), root, "/", name, ": a class that is not among the ", class_names_.size(),
                       " known ones (", class_names_.front(), " .. ", class_names_.back(), ")");
    const std::size_t first = files_.size();
    for (const auto& e : fs::recursive_directory_iterator(root + "/" + name, fs::directory_options::follow_directory_symlink, error))
      if (e.is_regular_file() && is_image_name(e.path()))
        files_.push_back({e.path().string().substr(root.size() + 1), known - class_names_.begin(), e.file_size()});
    require<IoError>(!error, root, "/", name, ": cannot list the folder: ", error.message());
    std::sort(files_.begin() + static_cast<std::ptrdiff_t>(first), files_.end(),
              [](const File& a, const File& b) { return a.name < b.name; });
  }
  require<DataError>(!files_.empty(), root, ": found no image files (.jpg, .jpeg, .png) in subfolders named by class");
}

std::string ImageFolder::path(std::int64_t index) const { return root_ + "/" + files_[static_cast<std::size_t>(index)].name; }

ImageFolder::Sample ImageFolder::read(std::int64_t index) const {
  if (options_.broken == Broken::refuse) return {read_image(path(index), options_.limits), index, label(index)};
  for (std::int64_t tried = 0; tried < size(); ++tried) {
    const std::int64_t i = (index + tried) % size();
    try {
      return {read_image(path(i), options_.limits), i, label(i)};
    } catch (const DataError& e) {
      const std::lock_guard lock(mutex_);
      broken_.emplace(path(i), e.what());
    }
  }
  throw DataError(join_text(root_, ": none of ", size(), " image files can be decoded; the first: ", broken().begin()->second));
}

void ImageFolder::check_all() const {
  for (std::int64_t i = 0; i < size(); ++i) {
    try {
      read_image(path(i), options_.limits);
    } catch (const DataError& e) {
      const std::lock_guard lock(mutex_);
      broken_.emplace(path(i), e.what());
    }
  }
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
