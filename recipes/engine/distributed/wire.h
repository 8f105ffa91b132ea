#pragma once
// How gradients travel between processes: as bytes in parcels, in whatever form each has, or as floats in a line whose sum is wanted, where
// they may travel in bf16.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "autograd/core/dtype.h"
#include "autograd/core/gradient.h"
#include "data/packing.h"
#include "recipes/engine/distributed/comm.h"

namespace capstan::engine {

/// The forms of a gradient that are told apart on the way.
enum class GradientForm : std::int64_t { absent, dense, rows, unique_rows };
GradientForm form_of(const Gradient& g);

/// A gradient as part of a parcel, and back; `shape` and `dtype` are those of the parameter. No slices.
void put(data::Packer& to, const Gradient& g);
Gradient gradient_from(data::Unpacker& from, const Shape& shape, DType dtype);

/// to[r] to rank r: what has arrived here, by rank. Sizes need not be known.
std::vector<std::vector<std::byte>> exchange_bytes(Comm& comm, std::span<const std::vector<std::byte>> to);

/// The sum over all processes, of all elements, or with `counts` to each process those of its part: counts[r] elements for rank r, one part
/// behind the other. With `wire` = bf16 what travels is rounded to it, and summed in f32.
void sum_over_wire(Comm& comm, std::span<float> line, std::span<const std::size_t> counts, DType wire);

}  // namespace capstan::engine
