#pragma once
// Dataset: the images that ViT learns from, in three parts — train, validation, test — and what is drawn from them.
//
// Images in memory (IDX, CIFAR, generated shapes) and folders of files look the same from outside. With data.holdout some training images,
// always the same, become the validation part; without, validation is the folder's val/, or the test part. The order of an epoch is a pure
// function of (seed, epoch). Reading may happen on many threads. Not here: augmentation and tensors (batch.h), metrics (evaluation.h).

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <variant>
#include <vector>

#include "data/image/folder.h"
#include "data/image/labelled_images.h"
#include "recipes/engine/recipe.h"
#include "recipes/vit/options.h"

namespace capstan::vit {

enum class Part { train, validation, test };

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
  Dataset(const DataOptions& data, const ShapesSection& shapes, const engine::Setup& setup,
          const std::vector<std::string>& class_names = {});

  std::int64_t size(Part part) const { return static_cast<std::int64_t>(places_of(part).indices.size()); }
  /// With data.broken = skip the next sound image of the same part stands in for one that cannot be read; otherwise throws DataError or
  /// IoError.
  Example read(Part part, std::int64_t index) const;
  const std::vector<std::string>& class_names() const { return class_names_; }
  std::int64_t classes() const { return static_cast<std::int64_t>(class_names_.size()); }

  /// The order of the training images in an epoch: numbers within the training part.
  std::shared_ptr<const std::vector<std::int64_t>> order(std::int64_t epoch) const;

  /// Reads every file of the folders once, so that broken() is complete. Throws nothing for files that are broken or cannot be read.
  void check_all() const;
  /// Image files that could not be read so far, and why.
  std::map<std::string, std::string> broken() const;
  /// Identity of the training data.
  const std::string& digest() const { return digest_; }
  /// One line for people: sizes of the parts and number of classes.
  std::string summary() const;
  /// Where the validation images come from, in words.
  const std::string& validation_source() const { return validation_source_; }

 private:
  using Set = std::variant<data::LabelledImages, std::unique_ptr<data::ImageFolder>>;
  /// The images of a part: of which set, and their numbers in it.
  struct Places {
    std::size_t set = 0;
    std::vector<std::int64_t> indices;
  };
  void open_memory(const DataOptions& data, const ShapesSection& shapes, const std::string& path);
  void open_folders(const DataOptions& data, const std::string& path, const std::vector<std::string>& class_names);
  void add_set(Set set, Part part);
  void hold_out(std::int64_t count);
  Places& places_of(Part part) { return places_[static_cast<std::size_t>(part)]; }
  const Places& places_of(Part part) const { return places_[static_cast<std::size_t>(part)]; }

  std::vector<Set> sets_;
  Places places_[3];
  std::vector<std::string> class_names_;
  std::string digest_, validation_source_;
  std::uint64_t seed_;

  struct Order {
    std::int64_t epoch;
    std::shared_ptr<const std::vector<std::int64_t>> places;
  };
  mutable std::mutex mutex_;
  mutable Order order_{-1, nullptr};  // of the epoch asked for last
};

/// The names of classes as artifacts of a checkpoint, and back; empty: there are none.
engine::NamedTensors class_artifacts(const std::vector<std::string>& names);
std::vector<std::string> class_names_of(const engine::NamedTensors& artifacts);

}  // namespace capstan::vit
