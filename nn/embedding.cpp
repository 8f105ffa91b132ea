#include "nn/embedding.h"

namespace capstan::nn {
namespace {

Parameter make_table(const Scope& scope, const EmbeddingOptions& o) {
  require<ConfigError>(!o.padding || (*o.padding >= 0 && *o.padding < o.rows), scope.path(), ": the padding id must lie in the table: id ",
                       o.padding.value_or(0), ", rows ", o.rows);
  return scope.parameter("weight", {o.rows, o.width}, o.padding ? with_zero_row(o.init, *o.padding) : o.init,
                         {.decay = o.decay, .sparse_gradient = o.sparse_gradient});
}

}  // namespace

Embedding::Embedding(const Scope& scope, const EmbeddingOptions& options)
    : table_(make_table(scope, options)),
      lookup_{.padding_index = options.padding.value_or(-1), .scale = options.scale, .sparse = options.sparse_gradient} {}

Tensor Embedding::operator()(const Tensor& ids) const { return embedding(table_.value(), ids, lookup_); }

}  // namespace capstan::nn
