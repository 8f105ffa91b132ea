#pragma once
// What a stack of transformer layers keeps while sequences are decoded a few tokens at a time: for each layer the keys and values of the
// tokens so far and, where it has a memory, those of the memory, which are projected once. Stacks make it
// (TransformerStack::begin_decoding) and read it (decode); who generates reorders it by beams. It is a value: a copy has memory of its own.
// It holds numbers, not a part of a graph: decode in the scope of a NoGrad.

#include <cstdint>
#include <span>
#include <vector>

#include "nn/key_value_cache.h"

namespace capstan::nn {

/// What one layer keeps.
struct LayerCache {
  KeyValueCache self_attention = KeyValueCache();   ///< of the tokens so far
  KeyValueCache cross_attention = KeyValueCache();  ///< of the memory; empty in a layer without one
};

/// Throws unless a layer can decode x [B, n, width] with the cache: GraphError while a tape records, ShapeError if the cache is of another
/// batch, or lacks a memory that the layer reads.
void check_decoding(const Tensor& x, const LayerCache& cache, bool reads_memory);

class DecodingState {
 public:
  /// Of `batch` sequences without tokens. Throws ShapeError if a layer's memory is of another batch.
  DecodingState(std::int64_t batch, std::vector<LayerCache> layers);

  std::int64_t batch() const { return static_cast<std::int64_t>(memory_of_.size()); }
  /// Tokens of each sequence so far: the place of the next one.
  std::int64_t position() const { return position_; }

  /// Sequence i becomes what sequence rows[i] was, its memory included; there may be more of them than before (beams of one prompt) or
  /// fewer. Keys and values of a memory are copied only if a sequence gets another one. Throws ShapeError for a row outside [0, batch).
  void reorder(std::span<const std::int64_t> rows);
  /// Forgets all but the first `position` tokens. Throws ShapeError if there are fewer.
  void truncate(std::int64_t position);

 private:
  template <class Layer>
  friend class TransformerStack;

  std::int64_t position_ = 0;
  std::vector<std::int64_t> memory_of_;  // whose memory each sequence has: its number at the start
  std::vector<LayerCache> layers_;
};

}  // namespace capstan::nn
