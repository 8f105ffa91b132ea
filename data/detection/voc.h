#pragma once
// Folders in the form of the Pascal VOC challenge:
//
//     ROOT/JPEGImages/NAME.jpg    ROOT/Annotations/NAME.xml    ROOT/ImageSets/Main/SPLIT.txt (a NAME a line)
//
// A box is what its corners say: x = xmin, width = xmax - xmin. The challenge's own files count pixels from 1 and include the last one:
// VocOptions::one_based. Objects marked "difficult" are objects as others. Sizes of images are those of the XML file, or where it names
// none those of the picture.

#include <string>
#include <vector>

#include "data/detection/annotations.h"

namespace capstan::data {

struct VocOptions {
  std::vector<std::string> categories;  ///< in the order of their indices; empty: voc_categories(root). Objects of others are broken
  bool one_based = false;               ///< x = xmin - 1, width = xmax - xmin + 1
  BoxChecks checks = BoxChecks::for_training;
};

/// The images of a split; empty: of all XML files, by name. Throws IoError for missing files, DataError that names file and object.
AnnotatedImages read_voc(const std::string& root, const std::string& split, const VocOptions& options = {});
/// The names of all objects in Annotations/, whatever the split, in byte order.
std::vector<std::string> voc_categories(const std::string& root);
/// The splits that ImageSets/Main lists ("train", "val", ...), in byte order.
std::vector<std::string> voc_splits(const std::string& root);

}  // namespace capstan::data
