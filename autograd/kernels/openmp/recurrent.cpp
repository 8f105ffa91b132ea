#include "autograd/kernels/recurrent.h"

#include <algorithm>
#include <cmath>

#include "autograd/kernels/openmp/row_math.h"
#include "autograd/kernels/product.h"
#include "autograd/kernels/scratch.h"

namespace capstan::kernels {
namespace {

constexpr std::int64_t kGateCost = 12;  // of one gate, in additions

float sigmoid(float x) { return 1.0f / (1.0f + std::exp(-x)); }
float slope(float s) { return s * (1.0f - s); }  // of the sigmoid, from its value

bool is_real(const RecurrentSizes& s, std::int64_t b, std::int64_t t) { return s.lengths == nullptr || t < s.lengths[b]; }

// Runs over the steps in the order of the layer, or against it for backward. Rows that are at a pad in a step stand still.
template <class F>
void for_steps(const RecurrentSizes& s, bool against, const F& f) {
  for (std::int64_t k = 0; k < s.time; ++k) f(s.reverse == against ? k : s.time - 1 - k);
}

template <class F>
void for_rows(std::int64_t batch, std::int64_t gates, const F& f) {
  parallel_tasks(batch, batch * gates * kGateCost, f);
}

void copy_or_zero(const float* from, float* to, std::int64_t n) { from != nullptr ? std::copy_n(from, n, to) : std::fill_n(to, n, 0.0f); }

/// sums[j] = the sum of column j; threads divide the columns, so each sum runs over the rows in order.
void sum_columns(const float* x, std::int64_t rows, std::int64_t columns, float* sums) {
  constexpr std::int64_t kBlock = 64;
  parallel_tasks((columns + kBlock - 1) / kBlock, rows * columns, [&](std::int64_t block) {
    const std::int64_t first = block * kBlock, n = std::min(kBlock, columns - first);
    std::fill_n(sums + first, n, 0.0f);
    for (std::int64_t r = 0; r < rows; ++r) {
      const float* const row = x + r * columns + first;
#pragma omp simd
      for (std::int64_t j = 0; j < n; ++j) sums[first + j] += row[j];
    }
  });
}

// The state between steps: `now` is read by the step, which writes `next`. With one step both are the caller's arrays.
struct State {
  Scratch<float> memory;
  const float* now;
  float* next;
  State(const RecurrentSizes& s, const float* first)
      : memory(first != nullptr && s.time == 1 ? 0 : s.batch * s.hidden), now(first), next(nullptr) {
    if (memory.size() == 0) return;
    copy_or_zero(first, memory.data(), memory.size());
    now = next = memory.data();
  }
};

}  // namespace

template <class T>
void GruForward<T>::fast(const GruForward<T>& k) {
  const std::int64_t batch = k.sizes.batch, time = k.sizes.time, n = k.sizes.hidden;
  const bool before = k.variant == GruVariant::reset_before;
  const State state(k.sizes, k.h0);
  const Scratch<float> projection(batch * 3 * n), reset_state(before ? batch * n : 0), no_bias(k.bias == nullptr ? 3 * n : 0);
  std::ranges::fill(no_bias.span(), 0.0f);
  const float* const bias = k.bias != nullptr ? k.bias : no_bias.data();

  for_steps(k.sizes, false, [&](std::int64_t t) {
    multiply(state.now, k.weight, projection.data(), {.m = batch, .n = before ? 2 * n : 3 * n, .k = n, .transpose_b = true, .ldc = 3 * n});
    if (before) {
      for_rows(batch, 2 * n, [&](std::int64_t b) {
        const float *const a = projection.data() + b * 3 * n, *const x = k.input + (b * time + t) * 3 * n, *const h = state.now + b * n;
        float *const gates = k.gates + (b * time + t) * 4 * n, *const rh = reset_state.data() + b * n;
#pragma omp simd
        for (std::int64_t j = 0; j < n; ++j) {
          const float r = sigmoid(x[j] + a[j] + bias[j]);
          gates[j] = r;
          gates[n + j] = sigmoid(x[n + j] + a[n + j] + bias[n + j]);
          rh[j] = r * h[j];
          gates[3 * n + j] = r * h[j];
        }
      });
      multiply(reset_state.data(), k.weight + 2 * n * n, projection.data() + 2 * n,
               {.m = batch, .n = n, .k = n, .transpose_b = true, .ldc = 3 * n});
    }
    for_rows(batch, 3 * n, [&](std::int64_t b) {
      const float *const a = projection.data() + b * 3 * n, *const x = k.input + (b * time + t) * 3 * n, *const h = state.now + b * n;
      const std::int64_t at = b * time + t;
      float *const gates = k.gates + at * 4 * n, *const y = k.y + at * n;
      if (!is_real(k.sizes, b, t)) {  // finite, since products over all steps will meet them times zero
        std::fill_n(gates, 4 * n, 0.0f);
        std::fill_n(y, n, 0.0f);
        if (k.previous != nullptr) std::fill_n(k.previous + at * n, n, 0.0f);
        return;
      }
      if (k.previous != nullptr) std::copy_n(h, n, k.previous + at * n);
      if (before) {
#pragma omp simd
        for (std::int64_t j = 0; j < n; ++j) {
          const float z = gates[n + j], c = std::tanh(x[2 * n + j] + a[2 * n + j] + bias[2 * n + j]);
          gates[2 * n + j] = c;
          y[j] = h[j] + z * (c - h[j]);
        }
      } else {
#pragma omp simd
        for (std::int64_t j = 0; j < n; ++j) {
          const float r = sigmoid(x[j] + a[j] + bias[j]), z = sigmoid(x[n + j] + a[n + j] + bias[n + j]);
          const float an = a[2 * n + j] + bias[2 * n + j], c = std::tanh(x[2 * n + j] + r * an);
          gates[j] = r;
          gates[n + j] = z;
          gates[2 * n + j] = c;
          gates[3 * n + j] = an;
          y[j] = c + z * (h[j] - c);
        }
      }
      if (state.next != nullptr) std::copy_n(y, n, state.next + b * n);
    });
  });
  if (k.last != nullptr) std::copy_n(state.next != nullptr ? state.next : k.y, batch * n, k.last);
}

template <class T>
void GruBackward<T>::fast(const GruBackward<T>& k) {
  const std::int64_t batch = k.sizes.batch, time = k.sizes.time, n = k.sizes.hidden, steps = batch * time;
  const bool before = k.variant == GruVariant::reset_before;
  // dh of a step = dy + what the later step left (carried, elementwise) + what came through its product with the weight.
  const Scratch<float> carried(batch * n), product(batch * n), dreset(before ? batch * n : 0);
  copy_or_zero(k.dlast, carried.data(), batch * n);
  std::fill_n(product.data(), batch * n, 0.0f);
  const Scratch<float> after(before ? 0 : steps * 3 * n);  // the gradient of a = h * weight^T
  float* const da = before ? k.dinput : after.data();

  std::int64_t done = 0;
  for_steps(k.sizes, true, [&](std::int64_t t) {
    for_rows(batch, 2 * n, [&](std::int64_t b) {
      const std::int64_t at = b * time + t;
      const float *const gates = k.gates + at * 4 * n, *const h = k.previous + at * n, *const dy = k.dy + at * n,
                         *const p = product.data() + b * n;
      float *const dx = k.dinput + at * 3 * n, *const d = da + at * 3 * n, *const carry = carried.data() + b * n;
      if (!is_real(k.sizes, b, t)) {
        std::fill_n(dx, 3 * n, 0.0f);
        std::fill_n(d, 3 * n, 0.0f);
#pragma omp simd
        for (std::int64_t j = 0; j < n; ++j) carry[j] += p[j];
      } else if (before) {
#pragma omp simd
        for (std::int64_t j = 0; j < n; ++j) {
          const float z = gates[n + j], c = gates[2 * n + j], dh = dy[j] + carry[j] + p[j];
          dx[2 * n + j] = dh * z * (1 - c * c);
          dx[n + j] = dh * (c - h[j]) * slope(z);
          carry[j] = dh * (1 - z);
        }
      } else {
#pragma omp simd
        for (std::int64_t j = 0; j < n; ++j) {
          const float r = gates[j], z = gates[n + j], c = gates[2 * n + j], dh = dy[j] + carry[j] + p[j];
          const float dn = dh * (1 - z) * (1 - c * c), dr = dn * gates[3 * n + j] * slope(r), dz = dh * (h[j] - c) * slope(z);
          dx[j] = d[j] = dr;
          dx[n + j] = d[n + j] = dz;
          dx[2 * n + j] = dn;
          d[2 * n + j] = dn * r;
          carry[j] = dh * z;
        }
      }
    });
    if (before) {
      multiply(k.dinput + t * 3 * n + 2 * n, k.weight + 2 * n * n, dreset.data(), {.m = batch, .n = n, .k = n, .lda = time * 3 * n});
      for_rows(batch, n, [&](std::int64_t b) {
        if (!is_real(k.sizes, b, t)) return;
        const std::int64_t at = b * time + t;
        const float *const gates = k.gates + at * 4 * n, *const h = k.previous + at * n, *const drh = dreset.data() + b * n;
        float *const dx = k.dinput + at * 3 * n, *const carry = carried.data() + b * n;
#pragma omp simd
        for (std::int64_t j = 0; j < n; ++j) {
          dx[j] = drh[j] * h[j] * slope(gates[j]);
          carry[j] += drh[j] * gates[j];
        }
      });
    }
    if (++done < time || k.dh0 != nullptr)
      multiply(da + t * 3 * n, k.weight, product.data(), {.m = batch, .n = n, .k = before ? 2 * n : 3 * n, .lda = time * 3 * n});
  });

  if (k.dh0 != nullptr) {
#pragma omp simd
    for (std::int64_t i = 0; i < batch * n; ++i) k.dh0[i] = carried[i] + product[i];
  }
  if (k.dweight != nullptr) {
    if (before) {
      multiply(da, k.previous, k.dweight, {.m = 2 * n, .n = n, .k = steps, .transpose_a = true, .lda = 3 * n});
      multiply(da + 2 * n, k.gates + 3 * n, k.dweight + 2 * n * n,
               {.m = n, .n = n, .k = steps, .transpose_a = true, .lda = 3 * n, .ldb = 4 * n});
    } else {
      multiply(da, k.previous, k.dweight, {.m = 3 * n, .n = n, .k = steps, .transpose_a = true});
    }
  }
  if (k.dbias != nullptr) sum_columns(da, steps, 3 * n, k.dbias);
}

template <class T>
void LstmForward<T>::fast(const LstmForward<T>& k) {
  const std::int64_t batch = k.sizes.batch, time = k.sizes.time, n = k.sizes.hidden;
  const Scratch<float> h(batch * n), c(batch * n), projection(batch * 4 * n), no_bias(k.bias == nullptr ? 4 * n : 0);
  copy_or_zero(k.h0, h.data(), batch * n);
  copy_or_zero(k.c0, c.data(), batch * n);
  std::ranges::fill(no_bias.span(), 0.0f);
  const float* const bias = k.bias != nullptr ? k.bias : no_bias.data();

  for_steps(k.sizes, false, [&](std::int64_t t) {
    multiply(h.data(), k.weight, projection.data(), {.m = batch, .n = 4 * n, .k = n, .transpose_b = true});
    for_rows(batch, 5 * n, [&](std::int64_t b) {
      const std::int64_t at = b * time + t;
      const float *const a = projection.data() + b * 4 * n, *const x = k.input + at * 4 * n;
      float *const gates = k.gates + at * 4 * n, *const y = k.y + at * n, *const state = h.data() + b * n, *const cell = c.data() + b * n;
      float *const previous_h = k.previous_h + at * n, *const previous_c = k.previous_c + at * n;
      if (!is_real(k.sizes, b, t)) {
        std::fill_n(gates, 4 * n, 0.0f);
        for (float* const zero : {y, previous_h, previous_c}) std::fill_n(zero, n, 0.0f);
        return;
      }
#pragma omp simd
      for (std::int64_t j = 0; j < n; ++j) {
        const float i = sigmoid(x[j] + a[j] + bias[j]), f = sigmoid(x[n + j] + a[n + j] + bias[n + j]);
        const float g = std::tanh(x[2 * n + j] + a[2 * n + j] + bias[2 * n + j]),
                    o = sigmoid(x[3 * n + j] + a[3 * n + j] + bias[3 * n + j]);
        const float next = f * cell[j] + i * g;
        gates[j] = i;
        gates[n + j] = f;
        gates[2 * n + j] = g;
        gates[3 * n + j] = o;
        previous_h[j] = state[j];
        previous_c[j] = cell[j];
        cell[j] = next;
        y[j] = state[j] = o * std::tanh(next);
      }
    });
  });
  std::copy_n(h.data(), batch * n, k.last_h);
  std::copy_n(c.data(), batch * n, k.last_c);
}

template <class T>
void LstmBackward<T>::fast(const LstmBackward<T>& k) {
  const std::int64_t batch = k.sizes.batch, time = k.sizes.time, n = k.sizes.hidden, steps = batch * time;
  const Scratch<float> dh(batch * n), dc(batch * n), product(batch * n);
  copy_or_zero(k.dlast_h, dh.data(), batch * n);  // what passes by a pad; 0 once a row has made a step
  copy_or_zero(k.dlast_c, dc.data(), batch * n);
  std::fill_n(product.data(), batch * n, 0.0f);

  std::int64_t done = 0;
  for_steps(k.sizes, true, [&](std::int64_t t) {
    for_rows(batch, 3 * n, [&](std::int64_t b) {
      const std::int64_t at = b * time + t;
      const float *const gates = k.gates + at * 4 * n, *const before = k.previous_c + at * n, *const dy = k.dy + at * n;
      float *const dx = k.dinput + at * 4 * n, *const carry = dh.data() + b * n, *const cell = dc.data() + b * n,
                   *const p = product.data() + b * n;
      if (!is_real(k.sizes, b, t)) {
        std::fill_n(dx, 4 * n, 0.0f);
#pragma omp simd
        for (std::int64_t j = 0; j < n; ++j) carry[j] += p[j];
        return;
      }
#pragma omp simd
      for (std::int64_t j = 0; j < n; ++j) {
        const float i = gates[j], f = gates[n + j], g = gates[2 * n + j], o = gates[3 * n + j];
        const float tanh_c = std::tanh(f * before[j] + i * g), d = dy[j] + carry[j] + p[j],
                    d_cell = cell[j] + d * o * (1 - tanh_c * tanh_c);
        dx[j] = d_cell * g * slope(i);
        dx[n + j] = d_cell * before[j] * slope(f);
        dx[2 * n + j] = d_cell * i * (1 - g * g);
        dx[3 * n + j] = d * tanh_c * slope(o);
        cell[j] = d_cell * f;
        carry[j] = 0;
      }
    });
    if (++done < time || k.dh0 != nullptr)
      multiply(k.dinput + t * 4 * n, k.weight, product.data(), {.m = batch, .n = n, .k = 4 * n, .lda = time * 4 * n});
  });

  if (k.dh0 != nullptr) {
#pragma omp simd
    for (std::int64_t i = 0; i < batch * n; ++i) k.dh0[i] = dh[i] + product[i];
  }
  if (k.dc0 != nullptr) std::copy_n(dc.data(), batch * n, k.dc0);
  if (k.dweight != nullptr) multiply(k.dinput, k.previous_h, k.dweight, {.m = 4 * n, .n = n, .k = steps, .transpose_a = true});
  if (k.dbias != nullptr) sum_columns(k.dinput, steps, 4 * n, k.dbias);
}

template GruForward<float>::Signature GruForward<float>::fast;
template GruBackward<float>::Signature GruBackward<float>::fast;
template LstmForward<float>::Signature LstmForward<float>::fast;
template LstmBackward<float>::Signature LstmBackward<float>::fast;

}  // namespace capstan::kernels
