#include "nn/decoding_state.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "autograd/tape/tape.h"

namespace capstan::nn {

void check_decoding(const Tensor& x, const LayerCache& cache, bool reads_memory) {
  require<GraphError>(Tape::recording() == nullptr, "decode: passes no gradient: decode in the scope of a NoGrad: x ", x);
  const std::int64_t before = cache.self_attention.batch(), memory = cache.cross_attention.batch();
  require(x.rank() == 3, "decode: takes tokens of a padded batch [B, n, width]: x ", x);
  require(before == 0 || before == x.size(0), "decode: the cache must be of the same sequences: x ", x, ", sequences ", x.size(0), " and ",
          before);
  require(!reads_memory || memory == x.size(0), "decode: there must be a memory for each sequence (begin_decoding): x ", x, ", sequences ",
          x.size(0), ", with a memory ", memory);
}

DecodingState::DecodingState(std::int64_t batch, std::vector<LayerCache> layers)
    : memory_of_(static_cast<std::size_t>(std::max<std::int64_t>(batch, 0))), layers_(std::move(layers)) {
  require<ArgumentError>(batch > 0, "decoding_state: needs a sequence: batch ", batch);
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const std::int64_t memory = layers_[i].cross_attention.batch(), tokens = layers_[i].self_attention.length();
    require(tokens == 0, "decoding_state: begins without tokens: layer ", i, " holds ", tokens);
    require(memory == 0 || memory == batch, "decoding_state: there must be a memory for each sequence: layer ", i, ", memories ", memory,
            ", sequences ", batch);
  }
  std::iota(memory_of_.begin(), memory_of_.end(), std::int64_t{0});
}

void DecodingState::reorder(std::span<const std::int64_t> rows) {
  require(!rows.empty(), "decoding_state: reorder must leave a sequence: sequences ", batch());
  std::vector<std::int64_t> memory_of(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    require(rows[i] >= 0 && rows[i] < batch(), "decoding_state: reorder names a sequence that is not there: position ", i, " holds ",
            rows[i], ", sequences ", batch());
    memory_of[i] = memory_of_[static_cast<std::size_t>(rows[i])];
  }
  for (LayerCache& layer : layers_) {
    if (layer.self_attention.batch() > 0) layer.self_attention.reorder(rows);
    if (layer.cross_attention.batch() > 0 && memory_of != memory_of_) layer.cross_attention.reorder(rows);
  }
  memory_of_ = std::move(memory_of);
}

void DecodingState::truncate(std::int64_t position) {
  require(position >= 0 && position <= position_, "decoding_state: truncate keeps at most what is there: asked ", position, ", held ",
          position_);
  for (LayerCache& layer : layers_) layer.self_attention.truncate(position);
  position_ = position;
}

}  // namespace capstan::nn
