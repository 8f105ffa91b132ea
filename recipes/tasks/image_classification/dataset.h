#pragma once
// Dataset: the images to learn from, in three parts: train, validation, test.
//
// Images in memory (IDX, CIFAR, generated shapes) and folders of files look the same from outside. With data.held_out some training images,
// always the same, become the validation part; without, validation is the folder's val/, or the test part. The names that tell the part of
// a folder are train, training; val, valid, validation, dev, eval; test, testing, in any capitals; two folders of one part are refused.
// An evaluation whose checkpoint knows the classes reads train/ only if data.held_out takes the validation images from it; then any part
// may be missing, and a folder of class folders alone is the test part. Reading may happen on many threads. Not here: augmentation and
// tensors (batch.h), metrics (evaluation.h).

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "data/data_report.h"
#include "data/image/folder.h"
#include "data/image/labelled_images.h"
#include "recipes/engine/recipe.h"
#include "recipes/tasks/image_classification/options.h"

namespace capstan::image_classification {

/// An image with its class. It may own its pixels, so it is moved, not copied.
struct Example {
  data::Image owned;
  data::ImageView view;  ///< of `owned`, or of a set in memory
  std::int64_t label = 0;
  bool substitute = false;  ///< stands in for a file that could not be read

  Example() = default;
  Example(Example&&) = default;
  Example& operator=(Example&&) = default;
};

class Dataset {
 public:
  /// Opens (or generates) the data. `class_names`, of a checkpoint, set the numbers of the classes of a folder. Throws DataError, IoError
  /// or ConfigError.
  Dataset(const DataOptions& data, const ShapesOptions& shapes, const engine::Setup& setup,
          const std::vector<std::string>& class_names = {});

  std::int64_t size(engine::Split part) const { return static_cast<std::int64_t>(places_of(part).indices.size()); }
  /// With data.broken = skip the next sound image of the same part stands in for one that cannot be read; otherwise throws DataError or
  /// IoError.
  Example read(engine::Split part, std::int64_t index) const;
  /// Its path, or "image" and its number.
  std::string name_of(engine::Split part, std::int64_t index) const;
  const std::vector<std::string>& class_names() const { return class_names_; }
  std::int64_t classes() const { return static_cast<std::int64_t>(class_names_.size()); }

  /// Reads every file of the folders once, so that broken() is complete. Throws nothing for files that are broken or cannot be read.
  void check_all() const;
  /// Image files that could not be read so far, and why.
  std::map<std::string, std::string> broken() const;
  /// Identity of the training data.
  const std::string& digest() const { return digest_; }
  /// One line for people: sizes of the parts and number of classes.
  std::string summary() const;
  /// Images of each class in a part.
  std::vector<std::int64_t> counts(engine::Split part) const;
  /// What was met in the folders of all parts and is not read, by kind.
  std::map<std::string, data::ImageFolder::PassedOver> passed_over() const;
  /// Where the images of a part come from, in words; empty: there are none.
  const std::string& source_of(engine::Split part) const { return sources_[static_cast<std::size_t>(part)]; }
  /// What was read: where from, images and classes of each part, what is not read and why; and what is almost surely not meant.
  data::DataReport report() const;
  /// Where the validation images come from, in words.
  const std::string& validation_source() const { return source_of(engine::Split::validation); }

 private:
  using Set = std::variant<data::LabelledImages, std::unique_ptr<data::ImageFolder>>;
  /// The images of a part: of which set, and their numbers in it.
  struct Places {
    std::size_t set = 0;
    std::vector<std::int64_t> indices;
  };
  void open_memory(const DataOptions& data, const ShapesOptions& shapes, const std::string& path);
  /// `training`: whether the training images are needed.
  void open_folders(const DataOptions& data, const std::string& path, const std::vector<std::string>& class_names, bool training);
  void validate_on_test_images();
  void add_set(Set set, engine::Split part);
  void hold_out(double amount, std::uint64_t seed);
  Places& places_of(engine::Split part) { return places_[static_cast<std::size_t>(part)]; }
  const Places& places_of(engine::Split part) const { return places_[static_cast<std::size_t>(part)]; }

  std::vector<Set> sets_;
  Places places_[3];
  std::vector<std::string> class_names_;
  std::string form_, path_, digest_, sources_[3];
  std::vector<std::string> warnings_;
};

}  // namespace capstan::image_classification
