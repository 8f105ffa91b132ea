#include "nn/init.h"

#include <array>
#include <cmath>
#include <numbers>

#include "autograd/core/rng.h"

namespace capstan::nn {
namespace {

// Elements 2j and 2j + 1 come from one Philox call with counter (j, attempt).
std::array<double, 2> uniforms(std::uint64_t key, std::uint64_t pair, std::uint64_t attempt) {
  const auto words = philox(key, pair, attempt);
  const auto to_unit = [](std::uint64_t high, std::uint64_t low) { return static_cast<double>((high << 32 | low) >> 11) * 0x1.0p-53; };
  return {to_unit(words[0], words[1]), to_unit(words[2], words[3])};
}

/// Two standard normal values (Box and Muller).
std::array<double, 2> normals(std::uint64_t key, std::uint64_t pair, std::uint64_t attempt) {
  const auto [u, w] = uniforms(key, pair, attempt);
  const double radius = std::sqrt(-2 * std::log1p(-u)), angle = 2 * std::numbers::pi * w;
  return {radius * std::cos(angle), radius * std::sin(angle)};
}

/// value[2j], value[2j + 1] = pair(j)
template <class Pair>
void fill_pairs(const Tensor& value, Pair&& pair) {
  dispatch_floating("init", value.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const std::span<T> out = value.span<T>();
    for (std::size_t i = 0; i < out.size(); i += 2) {
      const std::array<double, 2> two = pair(static_cast<std::uint64_t>(i / 2));
      out[i] = T(static_cast<std::conditional_t<std::is_same_v<T, double>, double, float>>(two[0]));
      if (i + 1 < out.size()) out[i + 1] = T(static_cast<std::conditional_t<std::is_same_v<T, double>, double, float>>(two[1]));
    }
  });
}

Fans resolve(const Fans& given, const Shape& shape) {
  if (given.in > 0 && given.out > 0) return given;
  require(shape.rank() >= 1, "init: fans need an axis: shape ", shape);
  const std::int64_t window = shape.rank() > 2 ? shape.sub(2, shape.rank()).numel() : 1;
  const std::int64_t in = (shape.rank() == 1 ? shape[0] : shape[1]) * window, out = shape[0] * window;
  return {given.in > 0 ? given.in : in, given.out > 0 ? given.out : out};
}

/// An initialiser whose one number comes from the fans.
template <class Number, class Make>
Initializer of_fans(const Fans& fans, Number&& number, Make&& make) {
  return [=](const Tensor& value, std::uint64_t key) {
    const Fans f = resolve(fans, value.shape());
    make(number(static_cast<double>(f.in), static_cast<double>(f.out)))(value, key);
  };
}

Initializer symmetric(double bound) { return uniform(-bound, bound); }
Initializer centred(double stddev) { return normal(stddev); }

}  // namespace

Initializer constant(double v) {
  return [=](const Tensor& value, std::uint64_t) { fill_pairs(value, [&](std::uint64_t) { return std::array{v, v}; }); };
}
Initializer zeros() { return constant(0); }
Initializer ones() { return constant(1); }

Initializer uniform(double low, double high) {
  return [=](const Tensor& value, std::uint64_t key) {
    fill_pairs(value, [&](std::uint64_t pair) {
      const auto [a, b] = uniforms(key, pair, 0);
      return std::array{low + (high - low) * a, low + (high - low) * b};
    });
  };
}

Initializer normal(double stddev, double mean) {
  return [=](const Tensor& value, std::uint64_t key) {
    fill_pairs(value, [&](std::uint64_t pair) {
      const auto [a, b] = normals(key, pair, 0);
      return std::array{mean + stddev * a, mean + stddev * b};
    });
  };
}

Initializer truncated_normal(double stddev, double mean) {
  return [=](const Tensor& value, std::uint64_t key) {
    fill_pairs(value, [&](std::uint64_t pair) {
      std::array<double, 2> z = normals(key, pair, 0);
      for (std::uint64_t attempt = 1; std::abs(z[0]) > 2 || std::abs(z[1]) > 2; ++attempt) {
        const std::array<double, 2> again = normals(key, pair, attempt);
        for (std::size_t i = 0; i < 2; ++i)
          if (std::abs(z[i]) > 2) z[i] = again[i];
      }
      return std::array{mean + stddev * z[0], mean + stddev * z[1]};
    });
  };
}

Initializer glorot_uniform(const Fans& fans) {
  return of_fans(
      fans, [](double in, double out) { return std::sqrt(6 / (in + out)); }, symmetric);
}
Initializer glorot_normal(const Fans& fans) {
  return of_fans(
      fans, [](double in, double out) { return std::sqrt(2 / (in + out)); }, centred);
}
Initializer he_uniform(const Fans& fans) {
  return of_fans(
      fans, [](double in, double) { return std::sqrt(6 / in); }, symmetric);
}
Initializer he_normal(const Fans& fans) {
  return of_fans(
      fans, [](double in, double) { return std::sqrt(2 / in); }, centred);
}
Initializer fan_in_uniform(const Fans& fans) {
  return of_fans(
      fans, [](double in, double) { return 1 / std::sqrt(in); }, symmetric);
}

Initializer with_zero_row(Initializer init, std::int64_t row) {
  return [=, init = std::move(init)](const Tensor& value, std::uint64_t key) {
    require(value.rank() >= 1 && row >= 0 && row < value.size(0), "init: the zero row must exist: ", value, ", row ", row);
    init(value, key);
    zeros()(value.view(value.layout().slice(0, row, 1)), key);
  };
}

Initializer by_parts(Initializer init, std::int64_t parts) {
  return [=, init = std::move(init)](const Tensor& value, std::uint64_t key) {
    require(parts > 0 && value.rank() >= 1 && value.size(0) % parts == 0, "init: axis 0 must divide into equal parts: ", value, ", parts ",
            parts);
    const std::int64_t rows = value.size(0) / parts;
    for (std::int64_t part = 0; part < parts; ++part)
      init(value.view(value.layout().slice(0, part * rows, rows)), mix_key(key, static_cast<std::uint64_t>(part)));
  };
}

}  // namespace capstan::nn
