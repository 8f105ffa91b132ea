#include "recipes/engine/command/row_file.h"

#include "autograd/core/tensor.h"
#include "data/file.h"
#include "data/hdf5/hdf5.h"
#include "data/output_file.h"

namespace capstan::engine {

RowFile::RowFile(const std::string& path, AnswerFormat format, std::int64_t width) : path_(data::regular_output(path)), width_(width) {
  data::require_output(path);
  if (format == AnswerFormat::npy) npy_.emplace(path_, width);
}

void RowFile::append(std::span<const float> row) {
  if (npy_) return npy_->append(row);
  rows_.insert(rows_.end(), row.begin(), row.end());
}

void RowFile::commit() {
  if (npy_) return npy_->commit();
  data::Hdf5Writer writer(rows_.size() * sizeof(float));
  writer.write(kRowDataset, Tensor::from(rows_, {static_cast<std::int64_t>(rows_.size()) / width_, width_}));
  data::write_file_durably(path_, writer.finish());
}

}  // namespace capstan::engine
