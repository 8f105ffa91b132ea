#pragma once
// Keys and values that one attention layer has computed, kept while a sequence is decoded a few tokens at a time.
//
// A cache holds numbers, not a part of a graph: what is appended must be a constant (decode under NoGrad). It is a value: a copy has memory
// of its own. What keys() and values() return shares the cache's memory; it stays as it is while tokens are appended, and is stale after
// reorder, truncate or reset. All sequences of a batch have one length; shorter ones are padded, and the cache remembers where.

#include <cstdint>
#include <span>

#include "autograd/core/tensor.h"

namespace capstan::nn {

class KeyValueCache {
 public:
  /// Empty, with room for `capacity` tokens of each sequence from the first append on. A full cache doubles its room.
  explicit KeyValueCache(std::int64_t capacity = 0) : capacity_(capacity) {}
  KeyValueCache(const KeyValueCache& other);
  KeyValueCache& operator=(const KeyValueCache& other) &;
  KeyValueCache(KeyValueCache&&) noexcept = default;
  KeyValueCache& operator=(KeyValueCache&&) & noexcept = default;
  ~KeyValueCache() = default;

  std::int64_t length() const { return length_; }  ///< tokens held of each sequence
  std::int64_t batch() const { return keys_.defined() ? keys_.size(0) : 0; }

  /// keys and values [B, T, H, D], constants of one shape and type, as in earlier appends but for T; real u8 [B, T], 1 for a real token and
  /// 0 for padding, absent: all are real. Throws ShapeError if they do not fit or stand on a tape.
  void append(const Tensor& keys, const Tensor& values, const Tensor& real = {});
  /// All keys, all values: views [B, length, H, D]. Throws ShapeError before the first append.
  Tensor keys() const { return view_of(keys_); }
  Tensor values() const { return view_of(values_); }
  /// u8 [B, length], 1 for a real token and 0 for padding; undefined while there is no padding.
  Tensor real() const;

  /// Sequence i becomes what sequence rows[i] was; there may be more or fewer of them than before (beams). Throws ShapeError for a row
  /// outside [0, batch).
  void reorder(std::span<const std::int64_t> rows);
  /// Forgets all but the first `length` tokens. Throws ShapeError if there are fewer.
  void truncate(std::int64_t length);
  /// Forgets everything, and lets the next append bring another batch size, number of heads, width or type.
  void reset();

 private:
  void reserve(std::int64_t length, const Spec& like);
  Tensor view_of(const Tensor& stored) const;

  std::int64_t capacity_ = 0, length_ = 0;
  Tensor keys_, values_;  // [B, H, capacity, D]: a head is read in one piece
  Tensor real_;           // u8 [B, 1, capacity, 1], or undefined: no padding so far
};

}  // namespace capstan::nn
