#pragma once
// Functions of functions.h for floats, written out where a call of the vectorised library would cost most of a pass: a loop with calls
// keeps nothing in registers across them. For kernels/openmp/*.cpp, as row_math.h.
//
//     std::visit([&](const auto& f) { loop(written_out(f)); }, function);
//
// The standard normal distribution comes from its density: for a >= 0, P(-a) = exp(-a^2 / 2) r(a), where r, the tail over the density up
// to a factor, is a polynomial in t = 1 / (1 + 0.3 a) with r(inf) = 0. The form is that of Hastings (1955; Abramowitz and Stegun 7.1.26);
// the coefficients minimise the largest relative error over 0 <= a <= 13, which is 1.2e-7. So the tails are right in relation to their
// size, which 1 + erf in floats is not.

#include <cmath>
#include <numbers>

#include "autograd/kernels/functions.h"
#include "autograd/kernels/openmp/row_math.h"

namespace capstan::kernels {

struct Logistic {
  float value, slope;
};
/// 1 / (1 + exp(-x)), and its derivative without the difference of 1 and a value near it.
inline Logistic logistic(float x) {
  const float e = exp_or_zero(-std::abs(x)), r = 1.0f / (1.0f + e);
  return {x < 0.0f ? e * r : r, e * r * r};
}

struct Normal {
  float distribution, density;
};
/// The standard normal distribution at x. The density is 0 beyond |x| = 12.6.
inline Normal normal(float x) {
  const float a = std::abs(x), e = exp_or_zero(-0.5f * x * x), t = 1.0f / (1.0f + 0.3f * a);
  float p = 3.61947086e-2f;
  p = p * t - 1.59377663e-1f;
  p = p * t + 2.10117226e-1f;
  p = p * t - 5.71662481e-2f;
  p = p * t + 1.30415842e-1f;
  p = p * t + 9.93473152e-2f;
  p = p * t + 1.20845499e-1f;
  p = p * t + 1.19623265e-1f;
  const float tail = p * t * e;
  constexpr float kNormaliser = std::numbers::inv_sqrtpi_v<float> / std::numbers::sqrt2_v<float>;
  return {x < 0.0f ? tail : 1.0f - tail, kNormaliser * e};
}

namespace written {

struct Gelu : functions::Gelu {
  float value(float x) const { return x * normal(x).distribution; }
  float slope(float x) const {
    const Normal at = normal(x);
    return at.distribution + x * at.density;
  }
};

struct Sigmoid : functions::Sigmoid {
  float value(float x) const { return logistic(x).value; }
};

struct Silu : functions::Silu {
  float value(float x) const { return x * logistic(x).value; }
  float slope(float x) const {
    const Logistic at = logistic(x);
    return at.value + x * at.slope;
  }
};

struct GeluTanh : functions::GeluTanh {
  float value(float x) const { return x * logistic(twice_inner(x)).value; }
  float slope(float x) const {
    const Logistic at = logistic(twice_inner(x));
    return at.value + x * at.slope * twice_inner_slope(x);
  }
};

}  // namespace written

/// The form of f to be used in loops over floats.
template <class F>
F written_out(const F& f) {
  return f;
}
inline written::Gelu written_out(const functions::Gelu&) { return {}; }
inline written::GeluTanh written_out(const functions::GeluTanh&) { return {}; }
inline written::Sigmoid written_out(const functions::Sigmoid&) { return {}; }
inline written::Silu written_out(const functions::Silu&) { return {}; }
inline functions::Gated<written::Silu> written_out(const functions::Swiglu&) { return {}; }
inline functions::Gated<written::GeluTanh> written_out(const functions::Geglu&) { return {}; }

}  // namespace capstan::kernels
