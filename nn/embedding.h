#pragma once
// An embedding table [rows, width]. Its gradient is row-sparse: only rows that were looked up have one.

#include <cstdint>
#include <optional>

#include "nn/init.h"
#include "nn/parameter_store.h"

namespace capstan::nn {

struct EmbeddingOptions {
  std::int64_t rows = 0, width = 0;
  Initializer init = normal(0.02);
  std::optional<std::int64_t> padding;  ///< this id gives a zero vector and no gradient, whatever its row holds (it starts as zero)
  bool decay = true;
};

class Embedding {
 public:
  Embedding(const Scope& scope, const EmbeddingOptions& options);

  /// ids i64 [...] -> [..., width]. Throws ShapeError for an id outside the table.
  Tensor operator()(const Tensor& ids) const;

  const Tensor& table() const { return table_; }

 private:
  Tensor table_;
  std::optional<std::int64_t> padding_;
};

}  // namespace capstan::nn
