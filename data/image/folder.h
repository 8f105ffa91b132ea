#pragma once
// ImageFolder: a folder of image files with one subfolder per class, decoded when asked for.
//
//     root/<class>/**        files named .jpg, .jpeg, .jpe, .jfif or .png (capital letters too), and any other file whose first bytes
//                            are those of a JPEG or PNG file
//
// What is met beside is passed over and counted by kind: passed_over(). So are names that begin with a dot, and folders that operating
// systems and programs leave behind (is_system_folder): they are neither classes nor looked into.
// Classes are the subfolders' names in byte order, images are ordered by class and path: so indices depend on names alone. Links to folders
// are followed, but not to one that they lie in. read() may be called from many threads. A file that cannot be read or does not decode is
// refused (IoError, DataError naming it) or, with Broken::skip, replaced by the next sound one in the order, which is the same on every
// thread; broken() names all that were met.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/image/image.h"

namespace capstan::data {

enum class Broken : std::uint8_t { refuse, skip };

/// A folder that a file manager, an archiver, a storage box or a notebook leaves behind, such as __MACOSX, @eaDir and lost+found.
bool is_system_folder(std::string_view name);
/// The subfolders of a folder in byte order, without the hidden and the system's. Throws IoError.
std::vector<std::string> folders_in(const std::string& folder);

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

  struct PassedOver {
    std::int64_t count = 0;
    std::string first;  ///< path
  };
  /// What was met and is not read, by kind: ".webp", "files without an ending", "hidden files", "folders @eaDir" ...
  const std::map<std::string, PassedOver>& passed_over() const { return passed_over_; }

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
  /// Lists the image files of a folder and the folders below it. `above` holds, without links, the folder and those on the way to it.
  void list_images(const std::string& folder, std::int64_t label, std::vector<std::filesystem::path>& above);
  void pass_over(const std::string& kind, const std::string& path);
  /// The image, or nothing if it is broken or cannot be read; then broken() names it.
  std::optional<Image> try_read(std::int64_t index) const;
  /// The first of `count` candidates; with Broken::skip the first sound one.
  Sample read_first(std::int64_t count, const std::function<std::int64_t(std::int64_t tried)>& candidate) const;

  std::string root_;
  Options options_;
  std::vector<std::string> class_names_;
  std::vector<File> files_;
  std::map<std::string, PassedOver> passed_over_;
  mutable std::mutex mutex_;
  mutable std::map<std::string, std::string> broken_;
};

}  // namespace capstan::data
