#include "autograd/inference/packed_weight.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "autograd/kernels/decoding.h"

namespace capstan {
namespace {

using kernels::kPanelOutputs;

std::size_t bytes_of(WeightStorage s) {
  switch (s) {
    case WeightStorage::f32: return sizeof(float);
    case WeightStorage::bf16: return sizeof(bfloat16);
    case WeightStorage::int8: return sizeof(std::int8_t);
  }
  throw InternalError("packed_weight: unknown storage");
}

// A stored weight and what it stands for.
template <class T>
float put(float w, float, T& to) {
  to = T(w);
  return static_cast<float>(to);
}
float put(float w, float scale, std::int8_t& to) {
  to = static_cast<std::int8_t>(scale == 0.0f ? 0.0f : std::clamp(std::nearbyint(w / scale), -127.0f, 127.0f));
  return scale * static_cast<float>(to);
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
  const std::int64_t panels = (out_ + kPanelOutputs - 1) / kPanelOutputs;
  panels_ = Storage(static_cast<std::size_t>(panels * in_ * kPanelOutputs) * bytes_of(storage));
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
      const auto fill = [&]<class T>(T* to) {
        to += output / kPanelOutputs * in_ * kPanelOutputs + output % kPanelOutputs;
        for (std::int64_t k = 0; k < in_; ++k) {
          const double error = static_cast<double>(put(weights[k], scale, to[k * kPanelOutputs])) - static_cast<double>(weights[k]);
          squared_error_ += error * error;
          squared_norm_ += static_cast<double>(weights[k]) * static_cast<double>(weights[k]);
        }
      };
      switch (storage) {
        case WeightStorage::f32: fill(reinterpret_cast<float*>(panels_.data())); break;
        case WeightStorage::bf16: fill(reinterpret_cast<bfloat16*>(panels_.data())); break;
        case WeightStorage::int8: fill(reinterpret_cast<std::int8_t*>(panels_.data())); break;
      }
    }
  }
}

std::int64_t PackedWeight::bytes() const {
  return out_ * in_ * static_cast<std::int64_t>(bytes_of(storage_)) +
         (scales_.defined() ? out_ * static_cast<std::int64_t>(sizeof(float)) : 0);
}

}  // namespace capstan
