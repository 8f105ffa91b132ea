#pragma once
// Images with boxes around their objects, as annotation files of any form have them. The readers are coco.h, voc.h and yolo.h.
//
// Here are no pixels and no augmentation. Boxes stay as the file has them, also where they reach over the border of their image by a
// little: training clips them (augment.h), metrics compare them as they are. What is no box of this image is dropped and named (BoxFault);
// what cannot be read at all is a DataError that names file and entry.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/data_report.h"
#include "data/detection/box.h"

namespace capstan::data {

/// An object of an image.
struct AnnotatedBox {
  Box box;                    ///< pixels
  std::int64_t category = 0;  ///< index into AnnotatedImages::categories
  bool crowd = false;         ///< stands for many objects: neither to be found nor to be learned from
  double area = 0;            ///< of the object, for metrics by size: the file's, or the box's
  std::int64_t id = 0;        ///< of the annotation, where the form has one
};

/// An object that a program found.
struct DetectedBox {
  Box box;  ///< pixels
  std::int64_t category = 0;
  double score = 0;
};

struct AnnotatedImage {
  std::string file;                    ///< path of the picture
  std::int64_t width = 0, height = 0;  ///< pixels; 0: not known, where nobody asked for it
  std::int64_t id = 0;                 ///< the file's, or the place in the list
  std::vector<AnnotatedBox> boxes;     ///< in the order of the file; none: nothing is in the image
};

struct BoxCategory {
  std::int64_t id = 0;  ///< the file's, or the index
  std::string name;
};

/// What is wrong with an annotation.
enum class BoxFault : std::uint8_t {
  not_finite,        ///< a coordinate is NaN or infinite
  empty,             ///< width or height is 0 or less
  outside,           ///< no part of it lies in the image
  unknown_category,  ///< its category is none of the file's
  unknown_image,     ///< its image is none of the file's
};
std::string_view to_text(BoxFault fault);

struct BrokenBox {
  BoxFault fault = BoxFault::empty;
  std::string where;  ///< "train.json: annotation 17", "a.xml: object 3", "a.txt:2"
};

/// What a reader does with broken boxes. For scores those that are empty or outside stay: pycocotools counts them among those to be found.
enum class BoxChecks : std::uint8_t { for_training, for_scores };

struct AnnotatedImages {
  std::string source;  ///< file or folder
  std::vector<BoxCategory> categories;
  std::vector<AnnotatedImage> images;
  std::vector<BrokenBox> broken;
  BoxChecks checks = BoxChecks::for_training;
  std::vector<std::string> warnings;

  std::int64_t boxes() const;
  std::int64_t crowds() const;
  std::int64_t without_boxes() const;    ///< images
  std::int64_t over_the_border() const;  ///< boxes that reach out of an image of known size
  std::vector<std::string> category_names() const;
  /// max id + 1: the classes of a network that numbers classes by ids, as DETR does.
  std::int64_t classes_by_id() const;
  /// Says it of a part, "train", with what was dropped and the first places of each fault.
  void describe(std::string part, DataReport& report) const;
};

/// Looks at each box of a file before it goes to its image.
class BoxChecker {
 public:
  explicit BoxChecker(AnnotatedImages& all) : all_(all) {}
  /// Adds the box to the image, or notes its fault. A category below 0 is unknown.
  void add(AnnotatedImage& image, const AnnotatedBox& box, const std::string& where);
  void note(BoxFault fault, std::string where) { all_.broken.push_back({fault, std::move(where)}); }

 private:
  AnnotatedImages& all_;
};

/// The fault of a box in an image of this size (0: not known), if it has one.
std::optional<BoxFault> fault_of(const Box& box, std::int64_t width, std::int64_t height);

}  // namespace capstan::data
