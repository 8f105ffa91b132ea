#pragma once
// RowFile: rows of numbers, one after the other, as one array in a file that appears when it is whole.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/npy.h"
#include "recipes/engine/config/options.h"

namespace capstan::engine {

/// The dataset of an HDF5 file.
inline constexpr std::string_view kRowDataset = "/vectors";

class RowFile {
 public:
  /// `format`: npy, written as the rows come, or hdf5, which is put together in memory. A regular file is replaced, or the one that a link
  /// leads to; without commit() it stays as it was. Throws IoError for what is no file.
  RowFile(const std::string& path, AnswerFormat format, std::int64_t width);
  void append(std::span<const float> row);
  void commit();

 private:
  std::string path_;
  std::int64_t width_;
  std::optional<data::NpyRows> npy_;
  std::vector<float> rows_;  // of an HDF5 file
};

}  // namespace capstan::engine
