#pragma once
// COCO's JSON: annotation files ("instances_val2017.json") and results of detectors.
//
//     annotations  {"images": [{"id", "file_name", "width", "height"}], "categories": [{"id", "name"}],
//                   "annotations": [{"image_id", "category_id", "bbox": [x, y, width, height], "id", "area", "iscrowd"}]}
//     results      [{"image_id", "category_id", "bbox": [x, y, width, height], "score"}]
//
// In annotations, area (then the box's) and iscrowd (then 0) may be missing, and the sizes of images, which are then read from the picture;
// everything else that stands here is needed, what stands beside it (segmentations, licences) is passed over. Every error is a DataError
// that names file and entry: "results.json: /17/bbox: expected 4 numbers, found 3".

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/detection/annotations.h"

namespace capstan::data {

struct CocoOptions {
  std::string pictures;  ///< folder that file_name is relative to
  BoxChecks checks = BoxChecks::for_training;
};

/// Categories in the order of their ids, images in that of the file. With BoxChecks::for_scores no picture is looked at.
AnnotatedImages read_coco(const std::string& path, const CocoOptions& options = {});

/// Results by image: [images of `truth`], in the order of the file. Refuses images and categories that `truth` does not know, and scores
/// and boxes that are not finite numbers.
std::vector<std::vector<DetectedBox>> read_coco_results(const std::string& path, const AnnotatedImages& truth);

/// Results, put together one by one; text() is the file. Numbers read back as the same numbers.
class CocoResults {
 public:
  /// Ids as in the annotations. Throws NumericalError if a coordinate or the score is not finite.
  void add(std::int64_t image, std::int64_t category, const Box& box, double score);
  /// Adds the entries() of `size` others behind its own.
  void add_entries(std::string_view entries, std::int64_t size);
  std::int64_t size() const { return size_; }
  /// The results without the brackets around them.
  const std::string& entries() const { return entries_; }
  std::string text() const { return size_ == 0 ? "[]\n" : "[\n" + entries_ + "\n]\n"; }

 private:
  std::string entries_;
  std::int64_t size_ = 0;
};

}  // namespace capstan::data
