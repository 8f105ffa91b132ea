#pragma once
// Folders in the form of the YOLO family:
//
//     ROOT/images/PART/NAME.jpg  ROOT/labels/PART/NAME.txt    or   ROOT/PART/images/NAME.jpg  ROOT/PART/labels/NAME.txt
//
// or without PART, where a data set has one part. A line of labels is "class cx cy width height" in shares of the image, or "class x1 y1 x2
// y2 x3 y3 ...", a polygon, whose box is taken. An image without a file of labels, or with an empty one, has nothing in it. The names of
// the classes stand in ROOT/data.yaml ("names: [a, b]", as a list below it, or as "0: a" below it) or in ROOT/classes.txt, a name a line;
// of data.yaml nothing else is read. Sizes of images are those of the pictures.

#include <string>
#include <vector>

#include "data/detection/annotations.h"

namespace capstan::data {

struct YoloOptions {
  std::vector<std::string> categories;  ///< names; empty: yolo_categories(root)
  BoxChecks checks = BoxChecks::for_training;
};

/// The images of a part, by name. Throws IoError, and DataError that names file and line.
AnnotatedImages read_yolo(const std::string& root, const std::string& part, const YoloOptions& options = {});
std::vector<std::string> yolo_categories(const std::string& root);

}  // namespace capstan::data
