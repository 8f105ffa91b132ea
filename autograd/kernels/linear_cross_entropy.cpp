#include "autograd/kernels/linear_cross_entropy.h"

#include <algorithm>
#include <type_traits>

#include "autograd/kernels/elementwise.h"
#include "autograd/kernels/loss.h"
#include "autograd/kernels/matmul.h"
#include "autograd/kernels/scratch.h"

namespace capstan::kernels {
namespace {

// Rows of a block: its logits should stay in the outer caches, its products be large enough to run at full speed.
std::int64_t block_rows(std::int64_t classes) {
  return std::clamp<std::int64_t>((1 << 20) / std::max<std::int64_t>(classes, 1), 256, 1024);
}

template <class T, class C>
void convert_block(const T* from, std::int64_t n, C* to) {
  convert_type(dtype_of<T>, from, Layout(Shape{n}), dtype_of<C>, to);
}

}  // namespace

template <class T>
void linear_cross_entropy(const LinearClasses<T>& in, Compute<T>* losses, const LinearClassGradients<T>& gradients) {
  using C = Compute<T>;
  constexpr bool kNarrow = !std::is_same_v<T, C>;
  const std::int64_t width = in.width, classes = in.classes, block = std::min(block_rows(classes), std::max<std::int64_t>(in.rows, 1));
  const Scratch<C> logits(block * classes), log_sums(block);
  const Scratch<T> narrow(kNarrow && gradients.any() ? block * classes : 0);  // the block's gradient in T
  const Scratch<T> ones(gradients.dbias != nullptr ? block : 0);
  std::ranges::fill(ones.span(), T(1));
  if (in.rows == 0) {
    if (gradients.dweight != nullptr) std::fill_n(gradients.dweight, classes * width, C(0));
    if (gradients.dbias != nullptr) std::fill_n(gradients.dbias, classes, C(0));
  }

  for (std::int64_t first = 0; first < in.rows; first += block) {
    const std::int64_t rows = std::min(block, in.rows - first);
    const T* const x = in.x + first * width;
    matmul({.in = dtype_of<T>,
            .out = dtype_of<C>,
            .rows = rows,
            .columns = classes,
            .depth = width,
            .a = {.row = width, .column = 1},
            .b = {.row = 1, .column = width},
            .c = {.row = classes, .column = 1}},
           x, in.weight, logits.data(), in.bias);
    const ClassTargets targets{.target = in.target + first, .ignore_index = in.ignore_index, .smoothing = in.smoothing};
    cross_entropy(logits.data(), targets, rows, classes, losses + first, log_sums.data());
    if (!gradients.any()) continue;

    // The block's gradient takes the place of its logits: G; then dx = G W, dW += G^T x, dbias += 1^T G.
    cross_entropy_backward(logits.data(), targets, rows, classes, log_sums.data(), gradients.scale, logits.data());
    const T* g = nullptr;
    if constexpr (kNarrow) {
      convert_block(logits.data(), rows * classes, narrow.data());
      g = narrow.data();
    } else {
      g = logits.data();
    }
    if (gradients.dx != nullptr)
      matmul({.in = dtype_of<T>,
              .out = dtype_of<T>,
              .rows = rows,
              .columns = width,
              .depth = classes,
              .a = {.row = classes, .column = 1},
              .b = {.row = width, .column = 1},
              .c = {.row = width, .column = 1}},
             g, in.weight, gradients.dx + first * width);
    const double beta = first == 0 ? 0.0 : 1.0;
    if (gradients.dweight != nullptr)
      matmul({.in = dtype_of<T>,
              .out = dtype_of<C>,
              .rows = classes,
              .columns = width,
              .depth = rows,
              .a = {.row = 1, .column = classes},
              .b = {.row = width, .column = 1},
              .c = {.row = width, .column = 1},
              .beta = beta},
             g, x, gradients.dweight);
    if (gradients.dbias != nullptr)
      matmul({.in = dtype_of<T>,
              .out = dtype_of<C>,
              .rows = 1,
              .columns = classes,
              .depth = rows,
              .a = {.row = rows, .column = 1},
              .b = {.row = classes, .column = 1},
              .c = {.row = classes, .column = 1},
              .beta = beta},
             ones.data(), g, gradients.dbias);
  }
}

template void linear_cross_entropy(const LinearClasses<float>&, float*, const LinearClassGradients<float>&);
template void linear_cross_entropy(const LinearClasses<bfloat16>&, float*, const LinearClassGradients<bfloat16>&);
template void linear_cross_entropy(const LinearClasses<double>&, double*, const LinearClassGradients<double>&);

}  // namespace capstan::kernels
