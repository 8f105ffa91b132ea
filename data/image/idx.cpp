#include "data/image/idx.h"

#include <algorithm>

#include "autograd/core/error.h"

namespace capstan::data {

IdxArray read_idx(const std::string& path) {
  IdxArray array;
  std::vector<std::uint8_t> bytes = read_inflated(path);
  require<DataError>(bytes.size() >= 4 && bytes[0] == 0 && bytes[1] == 0, path, ": not an IDX file: it does not begin with two zero bytes");
  require<DataError>(bytes[2] == 8, path, ": IDX elements of type ", static_cast<int>(bytes[2]), ", expected 8 (bytes)");
  const std::size_t axes = bytes[3], start = 4 + 4 * axes;
  require<DataError>(axes >= 1 && axes <= 8 && bytes.size() >= start, path, ": an IDX header of ", axes, " axes in ", bytes.size(),
                     " bytes");
  std::int64_t count = 1;
  for (std::size_t a = 0; a < axes; ++a) {
    std::int64_t size = 0;
    for (std::size_t i = 0; i < 4; ++i) size = size << 8 | bytes[4 + 4 * a + i];
    array.sizes.push_back(size);
    require<DataError>(size == 0 || count <= (std::int64_t{1} << 40) / size, path, ": the IDX header claims more than 2^40 elements");
    count *= size;
  }
  require<DataError>(static_cast<std::size_t>(count) == bytes.size() - start, path, ": the IDX header claims ", count, " bytes, there are ",
                     bytes.size() - start);
  bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(start));
  array.values = std::move(bytes);
  return array;
}

LabelledImages read_idx_images(const std::string& images_path, const std::string& labels_path, std::vector<std::string> class_names) {
  IdxArray images = read_idx(images_path);
  const IdxArray labels = read_idx(labels_path);
  require<DataError>(images.sizes.size() == 3, images_path, ": IDX images need 3 axes (number, height, width), found ",
                     images.sizes.size());
  require<DataError>(labels.sizes.size() == 1, labels_path, ": IDX labels need 1 axis, found ", labels.sizes.size());
  require<DataError>(images.sizes[0] == labels.sizes[0], images_path, ": ", images.sizes[0], " images, but ", labels_path, " has ",
                     labels.sizes[0], " labels");
  require<DataError>(images.sizes[0] > 0 && images.sizes[1] > 0 && images.sizes[2] > 0, images_path, ": no images");
  LabelledImages set;
  set.height = images.sizes[1];
  set.width = images.sizes[2];
  set.channels = 1;
  set.pixels = std::move(images.values);
  set.labels.assign(labels.values.begin(), labels.values.end());
  const std::int64_t classes = *std::ranges::max_element(set.labels) + 1;
  if (class_names.empty()) class_names = numbered_classes(classes);
  require<DataError>(classes <= static_cast<std::int64_t>(class_names.size()), labels_path, ": found label ", classes - 1, ", there are ",
                     class_names.size(), " classes");
  set.class_names = std::move(class_names);
  return set;
}

LabelledImages read_idx_folder(const std::string& folder, IdxPart part, std::vector<std::string> class_names) {
  const std::string stem = part == IdxPart::train ? "train" : "t10k";
  const std::string images = find_plain_or_gzip(folder, {stem + "-images-idx3-ubyte", stem + "-images.idx3-ubyte"});
  const std::string labels = find_plain_or_gzip(folder, {stem + "-labels-idx1-ubyte", stem + "-labels.idx1-ubyte"});
  require<DataError>(!images.empty(), folder, ": found neither ", stem, "-images-idx3-ubyte nor the same with .gz");
  require<DataError>(!labels.empty(), folder, ": found neither ", stem, "-labels-idx1-ubyte nor the same with .gz");
  return read_idx_images(images, labels, std::move(class_names));
}

}  // namespace capstan::data
