#include "autograd/inference/packed_weight.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "autograd/inference/weight_format.h"
#include "autograd/kernels/decoding.h"

namespace capstan {
namespace {

using kernels::kPanelOutputs;

/// The bits that a weight is stored in, and the number that they stand for.
struct Stored {
  std::uint32_t bits;
  float value;
};

Stored stored(float w, float scale, WeightStorage storage) {
  switch (storage) {
    case WeightStorage::f32: return {std::bit_cast<std::uint32_t>(w), w};
    case WeightStorage::bf16: return {bfloat16(w).bits, static_cast<float>(bfloat16(w))};
    case WeightStorage::int8: {
      const float n = scale == 0.0f ? 0.0f : std::clamp(std::nearbyint(w / scale), -127.0f, 127.0f);
      return {static_cast<std::uint8_t>(static_cast<std::int8_t>(n)), scale * n};
    }
  }
  throw InternalError("packed_weight: unknown storage");
}

}  // namespace

std::string to_text(WeightStorage s) {
  switch (s) {
    case WeightStorage::f32: return "f32";
    case WeightStorage::bf16: return "bf16";
    case WeightStorage::int8: return "int8";
  }
  throw InternalError("packed_weight: unknown storage");
}

WeightStorage weight_storage(std::string_view name) {
  for (const WeightStorage s : {WeightStorage::f32, WeightStorage::bf16, WeightStorage::int8})
    if (to_text(s) == name) return s;
  throw ConfigError(join_text("weights are stored as f32, bf16 or int8: asked for ", name));
}

PackedWeight::PackedWeight(std::span<const Tensor> matrices, WeightStorage storage) : storage_(storage) {
  for (const Tensor& m : matrices) {
    require(m.rank() == 2 && m.size(1) == matrices.front().size(1), "packed_weight: matrices are [out, in] with one in: first ",
            matrices.front(), ", then ", m);
    require<DTypeError>(m.dtype() == DType::f32, "packed_weight: packs f32: weight ", m);
    out_ += m.size(0);
    in_ = m.size(1);
  }
  const std::int64_t inputs = kernels::inputs_of_word(format_of(storage)), words = (in_ + inputs - 1) / inputs;
  const std::int64_t panels = (out_ + kPanelOutputs - 1) / kPanelOutputs;
  panels_ = Storage(static_cast<std::size_t>(panels * words * kPanelOutputs) * sizeof(std::uint32_t));
  std::memset(panels_.data(), 0, panels_.bytes());
  if (storage == WeightStorage::int8) scales_ = Tensor(Shape{out_});
  std::int64_t output = 0;
  for (const Tensor& m : matrices) {
    const Tensor dense = m.detach().contiguous();
    for (std::int64_t row = 0; row < m.size(0); ++row, ++output) {
      const float* const weights = dense.data<const float>() + row * in_;
      float scale = 1;
      if (storage == WeightStorage::int8) {
        float largest = 0;
        for (std::int64_t k = 0; k < in_; ++k) largest = std::max(largest, std::abs(weights[k]));
        scale = scales_.data<float>()[output] = largest / 127.0f;
      }
      std::uint32_t* const to =
          reinterpret_cast<std::uint32_t*>(panels_.data()) + output / kPanelOutputs * words * kPanelOutputs + output % kPanelOutputs;
      for (std::int64_t k = 0; k < in_; ++k) {
        const Stored s = stored(weights[k], scale, storage);
        to[k / inputs * kPanelOutputs] |= s.bits << (k % inputs * (32 / inputs));
        const double weight = static_cast<double>(weights[k]), error = static_cast<double>(s.value) - weight;
        squared_error_ += error * error;
        squared_norm_ += weight * weight;
      }
    }
  }
}

std::int64_t PackedWeight::bytes() const {
  const std::int64_t scales = scales_.defined() ? out_ * static_cast<std::int64_t>(sizeof(float)) : 0;
  return out_ * in_ * 4 / kernels::inputs_of_word(format_of(storage_)) + scales;
}

}  // namespace capstan
