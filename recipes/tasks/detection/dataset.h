#pragma once
// Dataset: images with their objects, in three parts: train, validation, test.
//
// Generated shapes, COCO's JSON, Pascal VOC and YOLO folders look the same from outside. Classes are numbered by the ids of the categories
// of the training part, as DETR does, so there are max id + 1 of them; one that no category has is called kNoCategory. Other parts, and any
// part where the checkpoint knows the classes, go by the names. Where one of validation and test is missing the other one stands for both.
// Training refuses what is no box, and learns from no crowd; of COCO's files evaluation keeps all boxes, as pycocotools does. Reading may
// happen on many threads. Not here: augmentation and tensors (batch.h), metrics (evaluation.h).

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/data_report.h"
#include "data/detection/annotations.h"
#include "data/image/image.h"
#include "recipes/engine/recipe.h"
#include "recipes/tasks/detection/options.h"

namespace capstan::detection {

/// The name of a class that no category has.
inline constexpr std::string_view kNoCategory = "N/A";

/// A decoded image with all of its boxes, whose categories are classes.
struct Example {
  data::Image image;
  std::int64_t id = 0;
  std::span<const data::AnnotatedBox> boxes;
};

class Dataset {
 public:
  /// Opens (or generates) the data. `class_names`: of a checkpoint, then the training part is not read for evaluate and predict. Throws
  /// DataError, IoError or ConfigError.
  Dataset(const Options& options, const engine::Setup& setup, std::vector<std::string> class_names = {});

  std::int64_t size(engine::Split part) const { return std::ssize(part_of(part).annotations.images); }
  /// Throws DataError or IoError naming the file.
  Example read(engine::Split part, std::int64_t index) const;
  /// Without decoding.
  const data::AnnotatedImage& annotated(engine::Split part, std::int64_t index) const;

  /// By class.
  const std::vector<std::string>& class_names() const { return class_names_; }
  /// The id that a part's file has for a class, for results in its form; -1: none.
  std::int64_t category_id(engine::Split part, std::int64_t label) const;

  data::DataReport report() const;
  /// Identity of the training data.
  const std::string& digest() const { return digest_; }
  /// Where the images of a part come from, in words.
  const std::string& source_of(engine::Split part) const { return sources_[static_cast<std::size_t>(part)]; }

 private:
  struct Part {
    data::AnnotatedImages annotations;        // boxes' categories are classes
    std::vector<data::Image> generated = {};  // of shapes; otherwise images are read from files
    std::vector<std::int64_t> ids = {};       // of the file's categories, by class; -1: none
  };
  const Part& part_of(engine::Split part) const { return parts_[standing_in_[static_cast<std::size_t>(part)]]; }
  Part generate(const ShapesOptions& options, std::int64_t first, std::int64_t count) const;
  Part open(const DataOptions& data, const std::string& path, engine::Split part) const;
  void number_classes(Part& part);
  void stand_in();

  std::array<Part, 3> parts_;
  std::array<std::size_t, 3> standing_in_{0, 1, 2};  // where the images of a part are
  std::array<std::string, 3> sources_;
  std::vector<std::string> class_names_;
  std::string digest_;
  std::int64_t max_pixels_;
};

}  // namespace capstan::detection
