#pragma once
// What a kernel computes in, and conversion between element types without surprises.

#include <cstdint>
#include <type_traits>

#include "autograd/core/dtype.h"

namespace capstan::kernels {

/// The type in which a kernel computes on elements of T: bfloat16 only stores.
template <class T>
using Compute = std::conditional_t<std::is_same_v<T, bfloat16>, float, T>;

/// static_cast, through float where bfloat16 takes part.
template <class To, class From>
To convert(From v) {
  if constexpr (std::is_same_v<To, From>) {
    return v;
  } else if constexpr (std::is_same_v<From, bfloat16>) {
    return static_cast<To>(static_cast<float>(v));
  } else if constexpr (std::is_same_v<To, bfloat16>) {
    return bfloat16(static_cast<float>(v));
  } else {
    return static_cast<To>(v);
  }
}

/// Elements a vectorised loop over T takes at a time: 512 bits of storage where the machine has them. GCC would stay at 256.
template <class T>
inline constexpr int kSimdLength = sizeof(T) == 2 ? 32 : 16;

/// to = v, rounded. In loops over bfloat16 this vectorises where an assignment of the struct does not.
template <class To, class From>
void store(To& to, From v) {
  if constexpr (std::is_same_v<To, bfloat16>) {
    to.bits = convert<bfloat16>(v).bits;
  } else {
    to = convert<To>(v);
  }
}

}  // namespace capstan::kernels
