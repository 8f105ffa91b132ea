#include "nn/token_layout.h"

#include <algorithm>
#include <functional>

#include "autograd/core/error.h"

namespace capstan::nn {

TokenLayout token_layout(std::span<const std::int64_t> lengths, std::int64_t length, bool packed, Align align, KeysOfBatch keys) {
  const auto count = static_cast<std::int64_t>(lengths.size());
  if (keys.length == 0) keys.length = length;
  require(keys.length >= length, "token layout: the keys of a batch with sequences of ", keys.length,
          " tokens cannot name those of a part with ", length);
  TokenLayout out;
  out.sequences = count;
  out.length = length;
  out.packed = packed;
  out.offsets = Tensor(Shape{count + 1}, DType::i64);
  auto* const offsets = out.offsets.data<std::int64_t>();
  offsets[0] = 0;
  for (std::int64_t b = 0; b < count; ++b) {
    const std::int64_t n = lengths[static_cast<std::size_t>(b)];
    require(n >= 1 && n <= length, "token layout: a sequence must have 1 to ", length, " tokens: sequence ", b, " has ", n);
    offsets[b + 1] = offsets[b] + n;
  }
  const std::int64_t tokens = packed ? offsets[count] : count * length;
  for (Tensor* t : {&out.positions, &out.keys}) *t = Tensor(Shape{tokens}, DType::i64);
  for (Tensor* t : {&out.first, &out.last}) *t = Tensor(Shape{count}, DType::i64);
  if (!packed) {
    out.real = Tensor(Shape{offsets[count]}, DType::i64);
    out.padding = Tensor::zeros({count, length}, DType::u8);
  }
  auto *position = out.positions.data<std::int64_t>(), *key = out.keys.data<std::int64_t>();
  for (std::int64_t b = 0; b < count; ++b) {
    const std::int64_t n = offsets[b + 1] - offsets[b], begin = align == Align::left ? 0 : length - n;
    const std::int64_t first = packed ? offsets[b] : b * length + begin;
    for (std::int64_t p = packed ? begin : 0; p < (packed ? begin + n : length); ++p) {
      *position++ = p;
      *key++ = (keys.first + b) * keys.length + p;
    }
    out.first.data<std::int64_t>()[b] = first;
    out.last.data<std::int64_t>()[b] = first + n - 1;
    if (packed) continue;
    for (std::int64_t i = 0; i < n; ++i) {
      out.real.data<std::int64_t>()[offsets[b] + i] = first + i;
      out.padding.data<std::uint8_t>()[first + i] = 1;
    }
  }
  return out;
}

Tensor TokenLayout::lengths() const {
  Tensor out(Shape{sequences}, DType::i64);
  const auto ends = offsets.span<const std::int64_t>();
  std::ranges::transform(ends.subspan(1), ends, out.data<std::int64_t>(), std::minus());
  return out;
}

}  // namespace capstan::nn
