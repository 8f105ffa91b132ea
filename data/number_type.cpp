#include "data/number_type.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "autograd/core/error.h"

namespace capstan::data {
namespace {

/// Numbers of type From as To; one that To does not hold is an error.
template <class From, class To>
void convert(std::span<const std::byte> bytes, std::span<To> to, const std::string& what) {
  for (std::size_t i = 0; i < to.size(); ++i) {
    From value;
    std::memcpy(&value, bytes.data() + i * sizeof(From), sizeof(From));
    if constexpr (std::is_same_v<From, std::uint64_t>)
      require<DataError>(value <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()), what, ": the number ", value,
                         " does not fit into 64 bits with a sign");
    to[i] = static_cast<To>(value);
  }
}

}  // namespace

std::size_t size_of(NumberType type) {
  switch (type) {
    case NumberType::boolean:
    case NumberType::u8:
    case NumberType::i8: return 1;
    case NumberType::u16:
    case NumberType::i16:
    case NumberType::f16:
    case NumberType::bf16: return 2;
    case NumberType::u32:
    case NumberType::i32:
    case NumberType::f32: return 4;
    case NumberType::u64:
    case NumberType::i64:
    case NumberType::f64: return 8;
  }
  throw InternalError("size_of: unknown number type");
}

DType read_as(NumberType type) {
  switch (type) {
    case NumberType::boolean:
    case NumberType::u8: return DType::u8;
    case NumberType::i8:
    case NumberType::u16:
    case NumberType::i16:
    case NumberType::i32: return DType::i32;
    case NumberType::u32:
    case NumberType::u64:
    case NumberType::i64: return DType::i64;
    case NumberType::f16:
    case NumberType::bf16:
    case NumberType::f32: return DType::f32;
    case NumberType::f64: return DType::f64;
  }
  throw InternalError("read_as: unknown number type");
}

Tensor tensor_of(NumberType type, std::span<const std::byte> bytes, const Shape& shape, const std::string& what) {
  Tensor out(shape, read_as(type));
  require<InternalError>(bytes.size() == static_cast<std::size_t>(out.numel()) * size_of(type), what, ": ", bytes.size(), " bytes for ",
                         out.spec());
  switch (type) {
    case NumberType::i8: convert<std::int8_t>(bytes, out.span<std::int32_t>(), what); break;
    case NumberType::u16: convert<std::uint16_t>(bytes, out.span<std::int32_t>(), what); break;
    case NumberType::i16: convert<std::int16_t>(bytes, out.span<std::int32_t>(), what); break;
    case NumberType::u32: convert<std::uint32_t>(bytes, out.span<std::int64_t>(), what); break;
    case NumberType::u64: convert<std::uint64_t>(bytes, out.span<std::int64_t>(), what); break;
    case NumberType::f16:
    case NumberType::bf16: {
      const auto to = out.span<float>();
      for (std::size_t i = 0; i < to.size(); ++i) {
        std::uint16_t half = 0;
        std::memcpy(&half, bytes.data() + 2 * i, 2);
        to[i] = type == NumberType::f16 ? from_float16(half) : std::bit_cast<float>(static_cast<std::uint32_t>(half) << 16);
      }
      break;
    }
    default:
      dispatch(out.dtype(), [&](auto zero) {
        if (!bytes.empty()) std::memcpy(out.span<decltype(zero)>().data(), bytes.data(), bytes.size());
      });
  }
  return out;
}

std::vector<std::byte> bytes_of(const Tensor& tensor) {
  const Tensor t = tensor.contiguous();
  const auto n = static_cast<std::size_t>(t.numel());
  std::vector<std::byte> out(n * (t.dtype() == DType::bf16 ? sizeof(float) : size_of(t.dtype())));
  dispatch(t.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const std::span<const T> from = t.span<const T>();
    if constexpr (std::is_same_v<T, bfloat16>) {
      const std::vector<float> wide(from.begin(), from.end());
      if (n > 0) std::memcpy(out.data(), wide.data(), out.size());
    } else if (n > 0) {
      std::memcpy(out.data(), from.data(), out.size());
    }
  });
  return out;
}

std::uint16_t to_float16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000u);
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  const auto signed_bits = [&](std::uint32_t half) { return static_cast<std::uint16_t>(sign | half); };
  if (magnitude > 0x7f800000u) return signed_bits(0x7e00u | ((magnitude >> 13) & 0x3ffu));  // NaN, quiet
  if (magnitude >= 0x477ff000u) return signed_bits(0x7c00u);                                // 65520 and more: infinity
  if (magnitude < 0x38800000u) {                                                            // below 2^-14: a multiple of 2^-24
    const float scaled = std::bit_cast<float>(magnitude) * 0x1p24f;
    return signed_bits(static_cast<std::uint32_t>(std::nearbyint(scaled)));
  }
  const std::uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
  return signed_bits((rounded - 0x38000000u) >> 13);
}

float from_float16(std::uint16_t bits) {
  const float sign = (bits & 0x8000u) != 0 ? -1.f : 1.f;
  const std::uint32_t exponent = (bits >> 10) & 0x1fu, fraction = bits & 0x3ffu;
  if (exponent == 0) return sign * static_cast<float>(fraction) * 0x1p-24f;
  const std::uint32_t wide = exponent == 31 ? 0x7f800000u : (exponent + 112) << 23;
  return std::bit_cast<float>((static_cast<std::uint32_t>(bits & 0x8000u) << 16) | wide | (fraction << 13));
}

}  // namespace capstan::data
