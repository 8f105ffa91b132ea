// The recurrent layers written down: one sequence after the other, one step after the other. See kernels/recurrent.h for the formulas.

#include "autograd/kernels/recurrent.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace capstan::kernels {
namespace {

template <class T>
T sigmoid(T x) {
  return T(1) / (T(1) + std::exp(-x));
}

// The steps of one sequence in the order of the layer.
struct Steps {
  std::int64_t length;
  bool reverse;
  Steps(const RecurrentSizes& s, std::int64_t b) : length(s.lengths != nullptr ? s.lengths[b] : s.time), reverse(s.reverse) {}
  std::int64_t at(std::int64_t k) const { return reverse ? length - 1 - k : k; }
};

/// row . column j of W^T: sum over i of w[j * n + i] x[i].
template <class T>
T dot(const T* w, const T* x, std::int64_t n) {
  T sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += w[i] * x[i];
  return sum;
}

/// to += factor * from
template <class T>
void add_scaled(T* to, const T* from, T factor, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) to[i] += factor * from[i];
}

template <class T>
std::vector<T> initial(const T* all, std::int64_t b, std::int64_t n) {
  std::vector<T> row(static_cast<std::size_t>(n), T(0));
  if (all != nullptr) std::copy_n(all + b * n, n, row.begin());
  return row;
}

}  // namespace

template <class T>
void GruForward<T>::reference(const GruForward<T>& k) {
  const std::int64_t n = k.sizes.hidden, time = k.sizes.time;
  std::vector<T> reset_state(static_cast<std::size_t>(n));
  std::fill_n(k.y, k.sizes.batch * time * n, T(0));
  for (std::int64_t b = 0; b < k.sizes.batch; ++b) {
    std::vector<T> h = initial(k.h0, b, n);
    const Steps steps(k.sizes, b);
    for (std::int64_t s = 0; s < steps.length; ++s) {
      const std::int64_t at = b * time + steps.at(s);
      const T* const x = k.input + at * 3 * n;
      T* const gates = k.gates + at * 4 * n;
      const auto from_state = [&](std::int64_t row, const T* state) {
        return dot(k.weight + row * n, state, n) + (k.bias != nullptr ? k.bias[row] : T(0));
      };
      if (k.previous != nullptr) std::ranges::copy(h, k.previous + at * n);
      for (std::int64_t j = 0; j < n; ++j) {
        gates[j] = sigmoid(x[j] + from_state(j, h.data()));
        gates[n + j] = sigmoid(x[n + j] + from_state(n + j, h.data()));
        reset_state[static_cast<std::size_t>(j)] = gates[j] * h[static_cast<std::size_t>(j)];
      }
      for (std::int64_t j = 0; j < n; ++j) {
        const bool before = k.variant == GruVariant::reset_before;
        const T a = from_state(2 * n + j, before ? reset_state.data() : h.data());
        gates[2 * n + j] = std::tanh(x[2 * n + j] + (before ? a : gates[j] * a));
        gates[3 * n + j] = before ? reset_state[static_cast<std::size_t>(j)] : a;
      }
      for (std::int64_t j = 0; j < n; ++j) {
        T& state = h[static_cast<std::size_t>(j)];
        const T z = gates[n + j], c = gates[2 * n + j];
        state = k.variant == GruVariant::reset_before ? (1 - z) * state + z * c : (1 - z) * c + z * state;
        k.y[at * n + j] = state;
      }
    }
    if (k.last != nullptr) std::ranges::copy(h, k.last + b * n);
  }
}

template <class T>
void GruBackward<T>::reference(const GruBackward<T>& k) {
  const std::int64_t n = k.sizes.hidden, time = k.sizes.time;
  const auto size = static_cast<std::size_t>(n);
  std::fill_n(k.dinput, k.sizes.batch * time * 3 * n, T(0));
  if (k.dweight != nullptr) std::fill_n(k.dweight, 3 * n * n, T(0));
  if (k.dbias != nullptr) std::fill_n(k.dbias, 3 * n, T(0));
  std::vector<T> before(size), dreset(size), da(3 * size);  // gradients: of the previous state, of r o h, of a
  for (std::int64_t b = 0; b < k.sizes.batch; ++b) {
    std::vector<T> dh = initial(k.dlast, b, n);
    const Steps steps(k.sizes, b);
    for (std::int64_t s = steps.length; s-- > 0;) {
      const std::int64_t at = b * time + steps.at(s);
      const T* const gates = k.gates + at * 4 * n;
      const T* const h = k.previous + at * n;
      T* const dx = k.dinput + at * 3 * n;
      std::ranges::fill(dreset, T(0));
      for (std::int64_t j = 0; j < n; ++j) {
        const auto i = static_cast<std::size_t>(j);
        const T z = gates[n + j], c = gates[2 * n + j], d = dh[i] + k.dy[at * n + j];
        const bool is_before = k.variant == GruVariant::reset_before;
        const T weight = is_before ? z : 1 - z;  // of the candidate in h'
        dx[2 * n + j] = d * weight * (1 - c * c);
        dx[n + j] = d * (is_before ? c - h[j] : h[j] - c) * z * (1 - z);
        before[i] = d * (1 - weight);
      }
      if (k.variant == GruVariant::reset_before) {
        for (std::int64_t j = 0; j < n; ++j) add_scaled(dreset.data(), k.weight + (2 * n + j) * n, dx[2 * n + j], n);
        for (std::int64_t j = 0; j < n; ++j) {
          const T r = gates[j], d = dreset[static_cast<std::size_t>(j)];
          dx[j] = d * h[j] * r * (1 - r);
          before[static_cast<std::size_t>(j)] += d * r;
        }
        std::copy_n(dx, 3 * n, da.begin());
      } else {
        for (std::int64_t j = 0; j < n; ++j) {
          const T r = gates[j];
          dx[j] = dx[2 * n + j] * gates[3 * n + j] * r * (1 - r);
        }
        std::copy_n(dx, 2 * n, da.begin());
        for (std::int64_t j = 0; j < n; ++j) da[static_cast<std::size_t>(2 * n + j)] = dx[2 * n + j] * gates[j];
      }
      // a = weight * source: its source is h, but r o h for the candidate of reset_before, whose gradient went through `dreset`.
      for (std::int64_t row = 0; row < 3 * n; ++row) {
        const T d = da[static_cast<std::size_t>(row)];
        const bool through_reset = k.variant == GruVariant::reset_before && row >= 2 * n;
        if (!through_reset) add_scaled(before.data(), k.weight + row * n, d, n);
        if (k.dweight != nullptr) add_scaled(k.dweight + row * n, through_reset ? gates + 3 * n : h, d, n);
        if (k.dbias != nullptr) k.dbias[row] += d;
      }
      dh = before;
    }
    if (k.dh0 != nullptr) std::ranges::copy(dh, k.dh0 + b * n);
  }
}

template <class T>
void LstmForward<T>::reference(const LstmForward<T>& k) {
  const std::int64_t n = k.sizes.hidden, time = k.sizes.time;
  std::fill_n(k.y, k.sizes.batch * time * n, T(0));
  for (std::int64_t b = 0; b < k.sizes.batch; ++b) {
    std::vector<T> h = initial(k.h0, b, n), c = initial(k.c0, b, n);
    const Steps steps(k.sizes, b);
    for (std::int64_t s = 0; s < steps.length; ++s) {
      const std::int64_t at = b * time + steps.at(s);
      T* const gates = k.gates + at * 4 * n;
      std::ranges::copy(h, k.previous_h + at * n);
      std::ranges::copy(c, k.previous_c + at * n);
      for (std::int64_t row = 0; row < 4 * n; ++row) {
        const T a = k.input[at * 4 * n + row] + dot(k.weight + row * n, h.data(), n) + (k.bias != nullptr ? k.bias[row] : T(0));
        gates[row] = row / n == 2 ? std::tanh(a) : sigmoid(a);
      }
      for (std::int64_t j = 0; j < n; ++j) {
        const auto i = static_cast<std::size_t>(j);
        c[i] = gates[n + j] * c[i] + gates[j] * gates[2 * n + j];
        h[i] = gates[3 * n + j] * std::tanh(c[i]);
        k.y[at * n + j] = h[i];
      }
    }
    std::ranges::copy(h, k.last_h + b * n);
    std::ranges::copy(c, k.last_c + b * n);
  }
}

template <class T>
void LstmBackward<T>::reference(const LstmBackward<T>& k) {
  const std::int64_t n = k.sizes.hidden, time = k.sizes.time;
  std::fill_n(k.dinput, k.sizes.batch * time * 4 * n, T(0));
  if (k.dweight != nullptr) std::fill_n(k.dweight, 4 * n * n, T(0));
  if (k.dbias != nullptr) std::fill_n(k.dbias, 4 * n, T(0));
  for (std::int64_t b = 0; b < k.sizes.batch; ++b) {
    std::vector<T> dh = initial(k.dlast_h, b, n), dc = initial(k.dlast_c, b, n);
    const Steps steps(k.sizes, b);
    for (std::int64_t s = steps.length; s-- > 0;) {
      const std::int64_t at = b * time + steps.at(s);
      const T* const gates = k.gates + at * 4 * n;
      T* const dx = k.dinput + at * 4 * n;
      for (std::int64_t j = 0; j < n; ++j) {
        const auto index = static_cast<std::size_t>(j);
        const T i = gates[j], f = gates[n + j], g = gates[2 * n + j], o = gates[3 * n + j], before = k.previous_c[at * n + j];
        const T tanh_c = std::tanh(f * before + i * g), d = dh[index] + k.dy[at * n + j];
        const T d_cell = dc[index] + d * o * (1 - tanh_c * tanh_c);
        dx[j] = d_cell * g * i * (1 - i);
        dx[n + j] = d_cell * before * f * (1 - f);
        dx[2 * n + j] = d_cell * i * (1 - g * g);
        dx[3 * n + j] = d * tanh_c * o * (1 - o);
        dc[index] = d_cell * f;
      }
      std::ranges::fill(dh, T(0));
      for (std::int64_t row = 0; row < 4 * n; ++row) {
        add_scaled(dh.data(), k.weight + row * n, dx[row], n);
        if (k.dweight != nullptr) add_scaled(k.dweight + row * n, k.previous_h + at * n, dx[row], n);
        if (k.dbias != nullptr) k.dbias[row] += dx[row];
      }
    }
    if (k.dh0 != nullptr) std::ranges::copy(dh, k.dh0 + b * n);
    if (k.dc0 != nullptr) std::ranges::copy(dc, k.dc0 + b * n);
  }
}

template GruForward<float>::Signature GruForward<float>::reference;
template GruForward<double>::Signature GruForward<double>::reference;
template GruBackward<float>::Signature GruBackward<float>::reference;
template GruBackward<double>::Signature GruBackward<double>::reference;
template LstmForward<float>::Signature LstmForward<float>::reference;
template LstmForward<double>::Signature LstmForward<double>::reference;
template LstmBackward<float>::Signature LstmBackward<float>::reference;
template LstmBackward<double>::Signature LstmBackward<double>::reference;

}  // namespace capstan::kernels
