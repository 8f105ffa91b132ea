#pragma once
// tests/goldens/image.h5 (see make_image.py): image files and what the Python Imaging Library makes of images.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "data/hdf5/hdf5.h"
#include "data/image/image.h"

namespace capstan::data {

inline const Hdf5Reader& golden_file() {
  static const Hdf5Reader file(CAPSTAN_SOURCE_DIR "/tests/goldens/image.h5", {.require_seal = false});
  return file;
}

/// The names of the datasets below "/group/", without it.
inline std::vector<std::string> golden_names(const std::string& group) {
  std::vector<std::string> names;
  for (const Hdf5Entry& e : golden_file().entries())
    if (e.name.starts_with("/" + group + "/")) names.push_back(e.name.substr(group.size() + 2));
  return names;
}

inline Image golden_image(const std::string& name) {
  const Tensor t = golden_file().read("/" + name);
  Image image(t.size(0), t.size(1), t.rank() == 3 ? t.size(2) : 1);
  std::ranges::copy(t.span<const std::uint8_t>(), image.pixels.begin());
  return image;
}

inline std::vector<std::byte> golden_bytes(const std::string& name) {
  const Tensor t = golden_file().read("/file/" + name);
  const auto bytes = std::as_bytes(t.span<const std::uint8_t>());
  return {bytes.begin(), bytes.end()};
}

/// The largest difference of two pixels; 256 if the sizes differ.
inline int difference(const Image& a, const Image& b) {
  if (a.height != b.height || a.width != b.width || a.channels != b.channels) return 256;
  int most = 0;
  for (std::size_t i = 0; i < a.pixels.size(); ++i) most = std::max(most, std::abs(a.pixels[i] - b.pixels[i]));
  return most;
}

}  // namespace capstan::data
