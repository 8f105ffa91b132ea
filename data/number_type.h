#pragma once
// The number types of other people's weight files, and the tensors that are made of their little-endian bytes.
//
// A Tensor knows fewer types than files do: what it lacks is read as the next wider one, without loss.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "autograd/core/dtype.h"
#include "autograd/core/tensor.h"

namespace capstan::data {

enum class NumberType : std::uint8_t { boolean, u8, i8, u16, i16, f16, bf16, u32, i32, f32, u64, i64, f64 };

std::size_t size_of(NumberType type);  ///< in bytes

/// What it is read as: f32, f64, i64 and i32 as they are, f16 and bf16 as f32, boolean and u8 as u8, i8, i16 and u16 as i32, u32 and u64 as
/// i64.
DType read_as(NumberType type);

/// A tensor of `shape` from its numbers in row-major order; `bytes` are as many as they take. Throws DataError that begins with `what` for
/// a number that does not fit.
Tensor tensor_of(NumberType type, std::span<const std::byte> bytes, const Shape& shape, const std::string& what);

/// The bytes of a tensor's numbers in row-major order: f32 and bf16 as f32, others as they are.
std::vector<std::byte> bytes_of(const Tensor& tensor);

/// IEEE binary16, as bits: rounded to nearest, ties to even; too large is infinity.
std::uint16_t to_float16(float value);
float from_float16(std::uint16_t bits);

}  // namespace capstan::data
