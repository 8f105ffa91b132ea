#pragma once
// A weight matrix in the form that products with few rows read (kernels/decoding.h): a copy, made once, of a model that has been trained.
// It does not follow its parameter: pack again after the value has changed.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "autograd/core/tensor.h"

namespace capstan {

/// How the weights of a product are stored; sums are of f32 always.
enum class WeightStorage : std::uint8_t {
  f32,
  bf16,  ///< rounded to nearest
  int8,  ///< whole numbers of [-127, 127] times a scale for each output: the largest magnitude of its weights / 127
};
std::string to_text(WeightStorage s);
/// "f32", "bf16" or "int8"; ConfigError otherwise.
WeightStorage weight_storage(std::string_view name);

class PackedWeight {
 public:
  PackedWeight() = default;  ///< none
  /// Matrices [out_i, in] of f32 one under the other, as one product. Throws ShapeError, DTypeError.
  PackedWeight(std::span<const Tensor> matrices, WeightStorage storage);

  std::int64_t in() const { return in_; }
  std::int64_t out() const { return out_; }
  WeightStorage storage() const { return storage_; }
  /// What a product reads: weights and scales.
  std::int64_t bytes() const;
  /// What rounding did: the sums of the squares of the stored weights' errors, and of the weights.
  double squared_error() const { return squared_error_; }
  double squared_norm() const { return squared_norm_; }

  const std::uint32_t* panels() const { return reinterpret_cast<const std::uint32_t*>(panels_.data()); }
  const float* scales() const { return scales_.defined() ? scales_.data<const float>() : nullptr; }  ///< [out], of int8

 private:
  std::int64_t in_ = 0, out_ = 0;
  WeightStorage storage_ = WeightStorage::f32;
  Storage panels_;
  Tensor scales_;
  double squared_error_ = 0, squared_norm_ = 0;
};

}  // namespace capstan
