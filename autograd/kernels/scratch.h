#pragma once
// Scratch memory from the arena, and the types of statistics.

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <type_traits>

#include "autograd/core/dtype.h"
#include "autograd/core/storage.h"
#include "autograd/kernels/numeric.h"

namespace capstan::kernels {

/// The element type of statistics and losses of values stored as `t`: never narrower than f32.
constexpr DType compute_dtype(DType t) { return t == DType::bf16 ? DType::f32 : t; }

template <class T>
inline constexpr T kInfinity = std::numeric_limits<T>::infinity();

/// Uninitialised memory for the time of a call; 64-byte aligned.
template <class T>
class Scratch {
  static_assert(std::is_trivially_destructible_v<T>);

 public:
  explicit Scratch(std::int64_t count) : storage_(static_cast<std::size_t>(count) * sizeof(T)), count_(count) {}

  T* data() const { return reinterpret_cast<T*>(storage_.data()); }
  std::int64_t size() const { return count_; }
  std::span<T> span() const { return {data(), static_cast<std::size_t>(count_)}; }
  T& operator[](std::int64_t i) const { return data()[i]; }

 private:
  Storage storage_;
  std::int64_t count_;
};

}  // namespace capstan::kernels
