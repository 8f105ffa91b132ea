#pragma once
// The functions that work element by element, each with its derivative, in one place: the reference and the fast kernels call these.
//
// A unary function has value(x) and slope(kept) = df/dx, where `keeps` says what slope reads: the input x, the output y, or nothing.
// A binary function has value(a, b), slope_a(a, b) and slope_b(a, b). T is float or double. NaN in, NaN out, everywhere.
// They are written without branches around calls so that loops over them vectorise.

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string_view>
#include <variant>

namespace capstan::kernels {

enum class Keeps { nothing, input, output };

namespace functions {

// A function with its derivative is read as one table, a formula a line.
// clang-format off

/// y = scale x + shift.
struct Affine {
  static constexpr std::string_view name = "affine";
  static constexpr Keeps keeps = Keeps::nothing;
  double scale = 1.0, shift = 0.0;
  template <class T> T value(T x) const { return static_cast<T>(scale) * x + static_cast<T>(shift); }
  template <class T> T slope(T) const { return static_cast<T>(scale); }
};

struct Neg {
  static constexpr std::string_view name = "neg";
  static constexpr Keeps keeps = Keeps::nothing;
  template <class T> T value(T x) const { return -x; }
  template <class T> T slope(T) const { return T(-1); }
};

/// |x|; the slope at 0 is 0.
struct Abs {
  static constexpr std::string_view name = "abs";
  static constexpr Keeps keeps = Keeps::input;
  template <class T> T value(T x) const { return std::abs(x); }
  template <class T> T slope(T x) const { return T(x > T(0)) - T(x < T(0)); }
};

struct Square {
  static constexpr std::string_view name = "square";
  static constexpr Keeps keeps = Keeps::input;
  template <class T> T value(T x) const { return x * x; }
  template <class T> T slope(T x) const { return T(2) * x; }
};

/// dy/dx = 1 / (2 y): infinite at 0.
struct Sqrt {
  static constexpr std::string_view name = "sqrt";
  static constexpr Keeps keeps = Keeps::output;
  template <class T> T value(T x) const { return std::sqrt(x); }
  template <class T> T slope(T y) const { return T(0.5) / y; }
};

/// y = 1 / sqrt(x), dy/dx = -y^3 / 2: both infinite at 0.
struct Rsqrt {
  static constexpr std::string_view name = "rsqrt";
  static constexpr Keeps keeps = Keeps::output;
  template <class T> T value(T x) const { return T(1) / std::sqrt(x); }
  template <class T> T slope(T y) const { return T(-0.5) * y * y * y; }
};

/// x^exponent. For exponent 0 the slope is 0, also at x = 0.
struct Pow {
  static constexpr std::string_view name = "pow";
  static constexpr Keeps keeps = Keeps::input;
  double exponent = 1.0;
  template <class T> T value(T x) const { return std::pow(x, static_cast<T>(exponent)); }
  template <class T> T slope(T x) const {
    const T e = static_cast<T>(exponent);
    return exponent == 0.0 ? T(0) : e * std::pow(x, e - T(1));
  }
};

struct Exp {
  static constexpr std::string_view name = "exp";
  static constexpr Keeps keeps = Keeps::output;
  template <class T> T value(T x) const { return std::exp(x); }
  template <class T> T slope(T y) const { return y; }
};

struct Log {
  static constexpr std::string_view name = "log";
  static constexpr Keeps keeps = Keeps::input;
  template <class T> T value(T x) const { return std::log(x); }
  template <class T> T slope(T x) const { return T(1) / x; }
};

/// max(x, 0); the slope at 0 is 0.
struct Relu {
  static constexpr std::string_view name = "relu";
  static constexpr Keeps keeps = Keeps::output;
  template <class T> T value(T x) const { return std::max(x, T(0)); }
  template <class T> T slope(T y) const { return T(y > T(0)); }
};

/// x above 0, else negative_slope x.
struct LeakyRelu {
  static constexpr std::string_view name = "leaky_relu";
  static constexpr Keeps keeps = Keeps::input;
  double negative_slope = 0.01;
  template <class T> T value(T x) const { return x > T(0) ? x : static_cast<T>(negative_slope) * x; }
  template <class T> T slope(T x) const { return x > T(0) ? T(1) : static_cast<T>(negative_slope); }
};

/// x above 0, else alpha (e^x - 1) (Clevert et al. 2016).
struct Elu {
  static constexpr std::string_view name = "elu";
  static constexpr Keeps keeps = Keeps::input;
  double alpha = 1.0;
  template <class T> T value(T x) const { return std::max(x, T(0)) + static_cast<T>(alpha) * std::expm1(std::min(x, T(0))); }
  template <class T> T slope(T x) const { return T(x > T(0)) + T(x <= T(0)) * static_cast<T>(alpha) * std::exp(std::min(x, T(0))); }
};

/// x P(x), P the distribution function of the standard normal (Hendrycks and Gimpel 2016). dy/dx = P(x) + x p(x), p the density.
struct Gelu {
  static constexpr std::string_view name = "gelu";
  static constexpr Keeps keeps = Keeps::input;
  template <class T> static T distribution(T x) { return T(0.5) * std::erfc(x * (std::numbers::sqrt2_v<T> / T(-2))); }
  template <class T> T value(T x) const { return x * distribution(x); }
  template <class T> T slope(T x) const {
    constexpr T normaliser = std::numbers::inv_sqrtpi_v<T> / std::numbers::sqrt2_v<T>;
    return distribution(x) + x * normaliser * std::exp(T(-0.5) * x * x);
  }
};

/// The tanh form of GELU: 0.5 x (1 + tanh(u)), u = sqrt(2 / pi) (x + 0.044715 x^3), which is x s with s the logistic function of 2 u.
/// dy/dx = s + x s (1 - s) 2 du/dx.
struct GeluTanh {
  static constexpr std::string_view name = "gelu_tanh";
  static constexpr Keeps keeps = Keeps::input;
  template <class T> static constexpr T factor = std::numbers::sqrt2_v<T> * std::numbers::inv_sqrtpi_v<T>;
  template <class T> static constexpr T cubic = T(0.044715);
  template <class T> static T twice_inner(T x) { return T(2) * factor<T> * x * (T(1) + cubic<T> * x * x); }
  template <class T> static T twice_inner_slope(T x) { return T(2) * factor<T> * (T(1) + T(3) * cubic<T> * x * x); }
  template <class T> T value(T x) const { return x / (T(1) + std::exp(-twice_inner(x))); }
  template <class T> T slope(T x) const {
    const T s = T(1) / (T(1) + std::exp(-twice_inner(x)));
    return s + x * s * (T(1) - s) * twice_inner_slope(x);
  }
};

struct Tanh {
  static constexpr std::string_view name = "tanh";
  static constexpr Keeps keeps = Keeps::output;
  template <class T> T value(T x) const { return std::tanh(x); }
  template <class T> T slope(T y) const { return T(1) - y * y; }
};

struct Sigmoid {
  static constexpr std::string_view name = "sigmoid";
  static constexpr Keeps keeps = Keeps::output;
  template <class T> T value(T x) const { return T(1) / (T(1) + std::exp(-x)); }
  template <class T> T slope(T y) const { return y * (T(1) - y); }
};

/// log(1 + e^x) = max(x, 0) + log(1 + e^-|x|), which neither overflows nor loses the small values.
struct Softplus {
  static constexpr std::string_view name = "softplus";
  static constexpr Keeps keeps = Keeps::input;
  template <class T> T value(T x) const { return std::max(x, T(0)) + std::log1p(std::exp(-std::abs(x))); }
  template <class T> T slope(T x) const { return Sigmoid{}.value(x); }
};

/// x sigmoid(x). With s = sigmoid(x): dy/dx = s (1 + x (1 - s)).
struct Silu {
  static constexpr std::string_view name = "silu";
  static constexpr Keeps keeps = Keeps::input;
  template <class T> T value(T x) const { return x * Sigmoid{}.value(x); }
  template <class T> T slope(T x) const {
    const T s = Sigmoid{}.value(x);
    return s * (T(1) + x * (T(1) - s));
  }
};

struct Add {
  static constexpr std::string_view name = "add";
  template <class T> T value(T a, T b) const { return a + b; }
  template <class T> T slope_a(T, T) const { return T(1); }
  template <class T> T slope_b(T, T) const { return T(1); }
};

struct Sub {
  static constexpr std::string_view name = "sub";
  template <class T> T value(T a, T b) const { return a - b; }
  template <class T> T slope_a(T, T) const { return T(1); }
  template <class T> T slope_b(T, T) const { return T(-1); }
};

struct Mul {
  static constexpr std::string_view name = "mul";
  template <class T> T value(T a, T b) const { return a * b; }
  template <class T> T slope_a(T, T b) const { return b; }
  template <class T> T slope_b(T a, T) const { return a; }
};

struct Div {
  static constexpr std::string_view name = "div";
  template <class T> T value(T a, T b) const { return a / b; }
  template <class T> T slope_a(T, T b) const { return T(1) / b; }
  template <class T> T slope_b(T a, T b) const { return -a / (b * b); }
};

/// The larger one; NaN if either is. The gradient of a tie goes to a. (The sum in the last arm is reached with a NaN only.)
struct Maximum {
  static constexpr std::string_view name = "maximum";
  template <class T> T value(T a, T b) const { return a >= b ? a : b > a ? b : a + b; }
  template <class T> T slope_a(T a, T b) const { return T(a >= b); }
  template <class T> T slope_b(T a, T b) const { return T(b > a); }
};

/// The smaller one; NaN if either is. The gradient of a tie goes to a.
struct Minimum {
  static constexpr std::string_view name = "minimum";
  template <class T> T value(T a, T b) const { return a <= b ? a : b < a ? b : a + b; }
  template <class T> T slope_a(T a, T b) const { return T(a <= b); }
  template <class T> T slope_b(T a, T b) const { return T(b < a); }
};

/// f(a) b: a gate and what passes through it (Shazeer 2020).
template <class Gate>
struct Gated {
  template <class T> T value(T a, T b) const { return Gate{}.value(a) * b; }
  template <class T> T slope_a(T a, T b) const { return Gate{}.slope(a) * b; }
  template <class T> T slope_b(T a, T) const { return Gate{}.value(a); }
};
struct Swiglu : Gated<Silu> { static constexpr std::string_view name = "swiglu"; };
/// GELU in its tanh form.
struct Geglu : Gated<GeluTanh> { static constexpr std::string_view name = "geglu"; };

// clang-format on

}  // namespace functions

using UnaryFunction =
    std::variant<functions::Affine, functions::Neg, functions::Abs, functions::Square, functions::Sqrt, functions::Rsqrt, functions::Pow,
                 functions::Exp, functions::Log, functions::Relu, functions::LeakyRelu, functions::Elu, functions::Gelu,
                 functions::GeluTanh, functions::Tanh, functions::Sigmoid, functions::Softplus, functions::Silu>;
using BinaryFunction = std::variant<functions::Add, functions::Sub, functions::Mul, functions::Div, functions::Maximum, functions::Minimum,
                                    functions::Swiglu, functions::Geglu>;
/// Those that gate one operand by the other.
using GateFunction = std::variant<functions::Swiglu, functions::Geglu>;
/// Those that are fused with the addition of a bias.
using BiasFunction = std::variant<functions::Relu, functions::Gelu, functions::GeluTanh, functions::Tanh>;

}  // namespace capstan::kernels
