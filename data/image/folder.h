#pragma once
// ImageFolder: a folder of image files with one subfolder per class, decoded when asked for.
//
//     root/<class>/**/*.jpg | .jpeg | .png        capital letters too; other files, and all names that begin with a dot, are passed over
//
// Classes are the subfolders' names in byte order, images are ordered by class and path: so indices depend on names alone. Links to folders
// are followed, but not to one that they lie in. read() may be called from many threads. A file that cannot be read or does not decode is
// refused (IoError, DataError naming it) or, with Broken::skip, replaced by the next sound one in the order, which is the same on every
// thread; broken() names all that were met.

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/image/image.h"

namespace capstan::data {

enum class Broken : std::uint8_t { refuse, skip };

class ImageFolder {
 public:
  struct Options {
    Broken broken = Broken::refuse;
    ImageLimits limits = {};
    /// Labels count along these names, and a class that is none of them is refused. Empty: the classes found.
    std::vector<std::string> class_names = {};
  };
  /// Throws IoError for a folder that cannot be listed or a link whose end cannot be reached, DataError for a class without images.
  ImageFolder(const std::string& root, const Options& options);

  std::int64_t size() const { return static_cast<std::int64_t>(files_.size()); }
  const std::vector<std::string>& class_names() const { return class_names_; }
  std::int64_t label(std::int64_t index) const { return files_[static_cast<std::size_t>(index)].label; }
  std::string path(std::int64_t index) const;

  struct Sample {
    Image image;                ///< RGB
    std::int64_t index, label;  ///< of the file that was read: another one than asked for if that is broken
  };
  /// With Broken::refuse throws DataError or IoError if the file is broken or cannot be read, with Broken::skip DataError if none is sound.
  Sample read(std::int64_t index) const;
  /// The image part[position]; the one that stands in for a broken file is of the same part, such as the training images.
  Sample read(std::span<const std::int64_t> part, std::int64_t position) const;

  /// Tries every file, so that broken() is complete; refuses none.
  void check_all() const;
  /// Paths of broken files met so far and what is wrong with each.
  std::map<std::string, std::string> broken() const;
  /// Identity of the content as far as names and file sizes tell it.
  std::string digest() const;

 private:
  struct File {
    std::string name;  // below root
    std::int64_t label = 0;
    std::uintmax_t bytes = 0;
  };
  /// The image, or nothing if it is broken or cannot be read; then broken() names it.
  std::optional<Image> try_read(std::int64_t index) const;
  /// The first of `count` candidates; with Broken::skip the first sound one.
  Sample read_first(std::int64_t count, const std::function<std::int64_t(std::int64_t tried)>& candidate) const;

  std::string root_;
  Options options_;
  std::vector<std::string> class_names_;
  std::vector<File> files_;
  mutable std::mutex mutex_;
  mutable std::map<std::string, std::string> broken_;
};

}  // namespace capstan::data
