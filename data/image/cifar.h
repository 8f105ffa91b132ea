#pragma once
// CIFAR-10 and CIFAR-100 in their binary form: records of label bytes and 3 x 32 x 32 pixel bytes (the red plane, the green, the blue),
// plain or gzip.

#include <cstdint>
#include <string>
#include <vector>

#include "data/image/labelled_images.h"

namespace capstan::data {

enum class CifarLabels : std::uint8_t {
  ten,     ///< CIFAR-10: one label byte
  coarse,  ///< CIFAR-100: the first of two, 20 superclasses
  fine,    ///< CIFAR-100: the second, 100 classes
};

/// The records of some files, one after another. Throws DataError naming the file if its length is no multiple of a record or a label is
/// out of range. Empty `class_names`: numbers.
LabelledImages read_cifar(const std::vector<std::string>& paths, CifarLabels labels, std::vector<std::string> class_names = {});

enum class CifarPart : std::uint8_t { train, test };
/// A part of a folder with the usual names: data_batch_*.bin and test_batch*.bin with class names in batches.meta.txt (CIFAR-10); train.bin
/// and test.bin with fine_label_names.txt, coarse_label_names.txt (CIFAR-100); each with .gz or without. Some of the batches will do.
LabelledImages read_cifar_folder(const std::string& folder, CifarPart part, CifarLabels labels);

}  // namespace capstan::data
