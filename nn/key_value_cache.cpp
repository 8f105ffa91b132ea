#include "nn/key_value_cache.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>
#include <vector>

#include "nn/tensor_bytes.h"

namespace capstan::nn {
namespace {

constexpr std::int64_t kStep = 64;  // the room grows by multiples of it

std::int64_t row_bytes(const Tensor& t) { return t.size(-1) * static_cast<std::int64_t>(size_of(t.dtype())); }

/// [B, 1, capacity, 1], all real.
Tensor without_padding(std::int64_t batch, std::int64_t capacity) { return Tensor::full({batch, 1, capacity, 1}, 1, DType::u8); }

/// Copies the first `tokens` of each sequence and head, `rows` naming the sequence of `from` for each of `to`; both are [B, H, capacity,
/// D].
void copy_sequences(const Tensor& from, const Tensor& to, std::span<const std::int64_t> rows, std::int64_t tokens) {
  const std::int64_t heads = from.size(1), row = row_bytes(from);
  for (std::size_t b = 0; b < rows.size(); ++b)
    for (std::int64_t h = 0; h < heads; ++h)
      std::memcpy(first_byte(to) + (static_cast<std::int64_t>(b) * heads + h) * to.size(2) * row,
                  first_byte(from) + (rows[b] * heads + h) * from.size(2) * row, static_cast<std::size_t>(tokens * row));
}

/// tokens [B, T, H, D] -> places [first, first + T) of to [B, H, capacity, D].
void copy_tokens(const Tensor& tokens, const Tensor& to, std::int64_t first) {
  const Tensor from = tokens.contiguous();
  const std::int64_t batch = from.size(0), count = from.size(1), heads = from.size(2), row = row_bytes(from);
  for (std::int64_t b = 0; b < batch; ++b)
    for (std::int64_t h = 0; h < heads; ++h)
      for (std::int64_t t = 0; t < count; ++t)
        std::memcpy(first_byte(to) + ((b * heads + h) * to.size(2) + first + t) * row,
                    first_byte(from) + ((b * count + t) * heads + h) * row, static_cast<std::size_t>(row));
}

}  // namespace

KeyValueCache::KeyValueCache(const KeyValueCache& other) : capacity_(other.capacity_), length_(other.length_) {
  if (other.keys_.defined()) {
    keys_ = other.keys_.clone();
    values_ = other.values_.clone();
    if (other.real_.defined()) real_ = other.real_.clone();
  }
}

KeyValueCache& KeyValueCache::operator=(const KeyValueCache& other) & {
  KeyValueCache copy(other);
  *this = std::move(copy);
  return *this;
}

void KeyValueCache::append(const Tensor& keys, const Tensor& values, const Tensor& real) {
  require(keys.rank() == 4 && values.spec() == keys.spec(), "key_value_cache: keys and values must be [B, T, H, D], alike: keys ", keys,
          ", values ", values);
  require(keys.node().kind == NodeRef::Kind::constant && values.node().kind == NodeRef::Kind::constant,
          "key_value_cache: takes constants, which pass no gradient: decode in the scope of a NoGrad: keys ", keys, ", values ", values);
  const bool fits = !keys_.defined() || (keys.size(0) == keys_.size(0) && keys.size(2) == keys_.size(1) && keys.size(3) == keys_.size(3) &&
                                         keys.dtype() == keys_.dtype());
  require(fits, "key_value_cache: batch, heads, width and type must be those of the tokens before (reset forgets them): held ",
          keys_.defined() ? view_of(keys_) : keys_, ", keys ", keys);
  const bool pads = real.defined();
  require(!pads || (real.dtype() == DType::u8 && real.shape() == Shape{keys.size(0), keys.size(1)}),
          "key_value_cache: real must be u8 [B, T]: keys ", keys, ", real ", real);
  reserve(length_ + keys.size(1), keys.spec());
  copy_tokens(keys, keys_, length_);
  copy_tokens(values, values_, length_);
  if (pads && !real_.defined()) real_ = without_padding(keys_.size(0), keys_.size(2));
  if (real_.defined()) {
    const Tensor flags = pads ? real.contiguous() : Tensor::full({keys.size(0), keys.size(1)}, 1, DType::u8);
    copy_tokens(flags.view(*flags.layout().reshape({keys.size(0), keys.size(1), 1, 1})), real_, length_);
  }
  length_ += keys.size(1);
}

void KeyValueCache::reserve(std::int64_t length, const Spec& like) {
  if (keys_.defined() && length <= keys_.size(2)) return;
  const std::int64_t doubled = keys_.defined() ? 2 * keys_.size(2) : capacity_;
  capacity_ = std::max((length + kStep - 1) / kStep * kStep, doubled);
  const Shape shape{like.shape[0], like.shape[2], capacity_, like.shape[3]};
  const Tensor keys(shape, like.dtype), values(shape, like.dtype);
  const Tensor real = real_.defined() ? without_padding(shape[0], capacity_) : real_;
  if (length_ > 0) {
    std::vector<std::int64_t> same(static_cast<std::size_t>(shape[0]));
    for (std::size_t b = 0; b < same.size(); ++b) same[b] = static_cast<std::int64_t>(b);
    copy_sequences(keys_, keys, same, length_);
    copy_sequences(values_, values, same, length_);
    if (real.defined()) copy_sequences(real_, real, same, length_);
  }
  keys_ = keys;
  values_ = values;
  real_ = real;
}

Tensor KeyValueCache::view_of(const Tensor& stored) const {
  require(stored.defined(), "key_value_cache: holds nothing before the first append");
  constexpr std::array<int, 4> kTokensFirst{0, 2, 1, 3};
  return stored.view(stored.layout().slice(2, 0, length_).permute(kTokensFirst));
}

Tensor KeyValueCache::real() const {
  if (!real_.defined()) return real_;
  return real_.view(*real_.layout().slice(2, 0, length_).reshape({batch(), length_}));
}

void KeyValueCache::reorder(std::span<const std::int64_t> rows) {
  for (std::size_t i = 0; i < rows.size(); ++i)
    require(rows[i] >= 0 && rows[i] < batch(), "key_value_cache: reorder names a sequence that is not there: position ", i, " holds ",
            rows[i], ", sequences ", batch());
  if (!keys_.defined()) return;
  bool moves = static_cast<std::int64_t>(rows.size()) != batch();
  for (std::size_t i = 0; i < rows.size(); ++i) moves = moves || rows[i] != static_cast<std::int64_t>(i);
  if (!moves) return;
  const Shape shape = keys_.shape().with(0, static_cast<std::int64_t>(rows.size()));
  const Tensor keys(shape, keys_.dtype()), values(shape, keys_.dtype());
  copy_sequences(keys_, keys, rows, length_);
  copy_sequences(values_, values, rows, length_);
  if (real_.defined()) {
    const Tensor real = without_padding(shape[0], shape[2]);
    copy_sequences(real_, real, rows, length_);
    real_ = real;
  }
  keys_ = keys;
  values_ = values;
}

void KeyValueCache::truncate(std::int64_t length) {
  require(length >= 0 && length <= length_, "key_value_cache: truncate keeps at most what is there: asked ", length, ", held ", length_);
  length_ = length;
}

void KeyValueCache::reset() {
  length_ = 0;
  keys_ = values_ = real_ = Tensor();
}

}  // namespace capstan::nn
