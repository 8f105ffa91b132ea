// The losses over shared candidates, written down row by row from the formulas of kernels/session_loss.h.

#include "autograd/kernels/session_loss.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numbers>
#include <vector>

namespace capstan::kernels {

template <class T>
double SessionLoss<T>::reference(const SessionScores<T>& k, const SessionLossRule& rule) {
  const auto n = static_cast<std::size_t>(k.columns);
  const auto sigmoid = [](T x) { return T(1) / (T(1) + std::exp(-x)); };
  const auto slope = [](T s) { return s * (T(1) - s); };  // of the sigmoid, from its value
  const T elu = static_cast<T>(rule.elu), bpreg = static_cast<T>(rule.bpreg);
  std::vector<T> r(n), w(n), g(n);
  std::vector<std::size_t> negatives;
  double total = 0;
  for (std::int64_t row = 0; row < k.rows; ++row) {
    const auto i = static_cast<std::size_t>(row);
    T* const scores = k.scores + row * k.columns;
    negatives.clear();
    for (std::size_t j = 0; j < n; ++j) {
      r[j] = scores[j] + (k.column_add != nullptr ? k.column_add[j] : T(0));
      if (elu > 0 && r[j] < 0) r[j] = elu * std::expm1(r[j]);
      if (j != i && (k.items == nullptr || k.items[j] != k.items[i])) negatives.push_back(j);
    }
    const T t = r[i];
    std::ranges::fill(g, T(0));
    T max = -std::numeric_limits<T>::infinity(), sum = 0;
    for (const std::size_t j : negatives) max = std::max(max, r[j]);
    for (const std::size_t j : negatives) sum += w[j] = std::exp(r[j] - max);
    for (const std::size_t j : negatives) w[j] /= sum;

    T loss = 0;
    switch (rule.kind) {
      case SessionLossKind::cross_entropy: {
        const T top = std::max(max, t);
        T all = std::exp(t - top);
        for (const std::size_t j : negatives) all += std::exp(r[j] - top);
        loss = std::log(all) + top - t;
        for (const std::size_t j : negatives) g[j] = std::exp(r[j] - top) / all;
        g[i] = std::exp(t - top) / all - T(1);
        break;
      }
      case SessionLossKind::bpr:
        loss = std::numbers::ln2_v<T>;
        for (const std::size_t j : negatives) {
          const T x = r[j] - t;
          loss += std::max(x, T(0)) + std::log1p(std::exp(-std::abs(x)));
          g[j] = sigmoid(x);
          g[i] -= g[j];
        }
        break;
      case SessionLossKind::top1: {
        const T count = static_cast<T>(negatives.size() + 1);
        loss = T(0.5) / count;
        for (const std::size_t j : negatives) {
          const T above = sigmoid(r[j] - t), size = sigmoid(r[j] * r[j]);
          loss += (above + size) / count;
          g[j] = (slope(above) + 2 * r[j] * slope(size)) / count;
          g[i] -= slope(above) / count;
        }
        break;
      }
      case SessionLossKind::top1_max:
        for (const std::size_t j : negatives) loss += w[j] * (sigmoid(r[j] - t) + sigmoid(r[j] * r[j]));
        for (const std::size_t j : negatives) {
          const T above = sigmoid(r[j] - t), size = sigmoid(r[j] * r[j]);
          g[j] = w[j] * (above + size - loss + slope(above) + 2 * r[j] * slope(size));
          g[i] -= w[j] * slope(above);
        }
        break;
      case SessionLossKind::bpr_max: {
        if (negatives.empty()) break;
        T below = 0, square = 0;
        for (const std::size_t j : negatives) {
          below += w[j] * sigmoid(t - r[j]);
          square += w[j] * r[j] * r[j];
        }
        const T p = below + T(1e-24);
        loss = -std::log(p) + bpreg * square;
        for (const std::size_t j : negatives) {
          const T s = sigmoid(t - r[j]);
          g[j] = w[j] * ((below - s + slope(s)) / p + bpreg * (r[j] * r[j] - square + 2 * r[j]));
          g[i] -= w[j] * slope(s) / p;
        }
        break;
      }
    }
    for (std::size_t j = 0; j < n; ++j) scores[j] = g[j] * (elu > 0 && r[j] < 0 ? r[j] + elu : T(1));
    total += static_cast<double>(loss);
  }
  return total;
}

template SessionLoss<float>::Signature SessionLoss<float>::reference;
template SessionLoss<double>::Signature SessionLoss<double>::reference;

}  // namespace capstan::kernels
