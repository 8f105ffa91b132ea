#pragma once
// IDX: the files of MNIST and Fashion-MNIST, plain or gzip. Bytes only: of the format's element types no image set uses another.
//
//     0 0 8 <axes>   one big-endian 32-bit size for each axis   then the elements, row by row

#include <cstdint>
#include <string>
#include <vector>

#include "data/image/labelled_images.h"

namespace capstan::data {

struct IdxArray {
  std::vector<std::int64_t> sizes;
  std::vector<std::uint8_t> values;
};

/// Throws DataError naming the file for another type, sizes that do not fit its length, damage.
IdxArray read_idx(const std::string& path);

/// Grey images [N, height, width] and labels [N]. Classes are 0 .. the largest label, or `class_names` if given, which must reach that far.
LabelledImages read_idx_images(const std::string& images_path, const std::string& labels_path, std::vector<std::string> class_names = {});

enum class IdxPart : std::uint8_t { train, test };
/// A part of a folder with the usual names: train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-..., with .gz or without.
LabelledImages read_idx_folder(const std::string& folder, IdxPart part, std::vector<std::string> class_names = {});

}  // namespace capstan::data
