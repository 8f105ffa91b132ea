#pragma once
// Cross-entropy of logits x W^T + bias, block of rows by block of rows: the logits are never stored whole. Within a block products and
// gradients go through the classes part by part, so that the gradient of a part is still in the cache when it is multiplied. Blocks and
// parts are fixed by the sizes alone. T: float, bfloat16 (logits and sums in float), double.

#include <cstdint>

#include "autograd/kernels/numeric.h"

namespace capstan::kernels {

template <class T>
struct LinearClasses {
  const T* x = nullptr;       ///< [rows, width]
  const T* weight = nullptr;  ///< [classes, width]
  const T* bias = nullptr;    ///< [classes] or null
  const std::int64_t* target = nullptr;
  std::int64_t rows = 0, classes = 0, width = 0;
  std::int64_t ignore_index = -100;
  double smoothing = 0;  ///< as in loss.h
};

/// Gradients of scale * (the sum of the losses), as wide as the sums are made. A null one is not wanted and costs nothing; of the others
/// every element is written.
template <class T>
struct LinearClassGradients {
  T* dx = nullptr;                ///< [rows, width]
  Compute<T>* dweight = nullptr;  ///< [classes, width]
  Compute<T>* dbias = nullptr;    ///< [classes]
  double scale = 1;

  bool any() const { return dx != nullptr || dweight != nullptr || dbias != nullptr; }
};

/// losses[r] = the cross-entropy of softmax(x_r W^T + bias) and target_r, 0 for an ignored row; gradients in the same pass.
template <class T>
void linear_cross_entropy(const LinearClasses<T>& in, Compute<T>* losses, const LinearClassGradients<T>& gradients);

}  // namespace capstan::kernels
