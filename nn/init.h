#pragma once
// Initial values of parameters. An initialiser fills a tensor from a key; element i depends on the key and i alone, so a parameter's
// start depends on the seed and its name, not on what else is in the model, and is the same (rounded) in f32 and f64.

#include <cstdint>

#include "nn/parameter_store.h"

namespace capstan::nn {

Initializer zeros();
Initializer ones();
Initializer constant(double value);
Initializer uniform(double low, double high);
Initializer normal(double stddev, double mean = 0);
/// Normal values beyond two standard deviations are drawn again.
Initializer truncated_normal(double stddev, double mean = 0);

/// The number of inputs of an output element and of outputs of an input element. 0: from the shape, which is [out, in, window...] (a table
/// [rows, width] counts as such; a vector is both).
struct Fans {
  std::int64_t in = 0, out = 0;
};
/// Uniform within sqrt(6 / (in + out)), and normal with standard deviation sqrt(2 / (in + out)) (Glorot and Bengio 2010, "Xavier").
Initializer glorot_uniform(const Fans& fans = {});
Initializer glorot_normal(const Fans& fans = {});
/// Uniform within sqrt(6 / in), and normal with standard deviation sqrt(2 / in) (He et al. 2015, for ReLU).
Initializer he_uniform(const Fans& fans = {});
Initializer he_normal(const Fans& fans = {});
/// Uniform within 1 / sqrt(in): what PyTorch gives linear, convolution and recurrent layers.
Initializer fan_in_uniform(const Fans& fans = {});

/// As `init`, but one row (of axis 0) is zero: the vector of a padding token.
Initializer with_zero_row(Initializer init, std::int64_t row = 0);
/// Applies `init` to each of `parts` equal parts of axis 0 with a key of its own: gates or heads stacked in one matrix.
Initializer by_parts(Initializer init, std::int64_t parts);

}  // namespace capstan::nn
