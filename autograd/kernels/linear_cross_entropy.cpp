#include "autograd/kernels/linear_cross_entropy.h"

#include <algorithm>
#include <type_traits>

#include "autograd/kernels/elementwise.h"
#include "autograd/kernels/loss.h"
#include "autograd/kernels/matmul.h"
#include "autograd/kernels/scratch.h"

namespace capstan::kernels {
namespace {

// The rows of a block: with the logits of 30,522 classes, 32 MB of f32 and, since the gradient in bf16 is made part by part, 48 MB; more of
// them where there are fewer classes. The more rows, the less often the table and its gradient pass through memory. All blocks are about
// as large, as products of few rows are slow.
std::int64_t block_rows(DType type, std::int64_t rows, std::int64_t classes) {
  constexpr std::int64_t kUnit = 16;
  const std::int64_t least = type == DType::bf16 ? 384 : 256;
  const std::int64_t most = std::clamp<std::int64_t>((1 << 20) / std::max<std::int64_t>(classes, 1), least, 1024);
  const std::int64_t blocks = std::max<std::int64_t>(1, (rows + most - 1) / most);
  return (rows + blocks * kUnit - 1) / (blocks * kUnit) * kUnit;
}

// The classes of a part: what one product reads and writes of them stays in the second-level cache, or near it, and their gradient there
// until three products and sums have read it. (Products of all 30,522 classes at a time are 5 to 20 % slower.)
std::int64_t part_classes(std::int64_t classes) {
  constexpr std::int64_t kUnit = 64, kMost = 2048;
  const std::int64_t parts = std::max<std::int64_t>(1, (classes + kMost - 1) / kMost);
  return (classes + parts * kUnit - 1) / (parts * kUnit) * kUnit;
}

}  // namespace

template <class T>
void linear_cross_entropy(const LinearClasses<T>& in, Compute<T>* losses, const LinearClassGradients<T>& gradients) {
  using C = Compute<T>;
  constexpr bool kNarrow = !std::is_same_v<T, C>;
  const std::int64_t width = in.width, classes = in.classes, block = block_rows(dtype_of<T>, in.rows, classes),
                     most = part_classes(classes);
  const bool narrow_dx = kNarrow && gradients.dx != nullptr;
  const Scratch<C> logits(block * classes), log_sums(block), wide_dx(narrow_dx ? block * width : 0);
  const Scratch<T> narrow(kNarrow && gradients.any() ? block * most : 0);  // the gradient of a part in T
  if (gradients.dbias != nullptr) std::fill_n(gradients.dbias, classes, C(0));
  if (in.rows == 0 && gradients.dweight != nullptr) std::fill_n(gradients.dweight, classes * width, C(0));

  for (std::int64_t first = 0; first < in.rows; first += block) {
    const std::int64_t rows = std::min(block, in.rows - first);
    const T* const x = in.x + first * width;
    for (std::int64_t c = 0; c < classes; c += most)
      matmul({.in = dtype_of<T>,
              .out = dtype_of<C>,
              .rows = rows,
              .columns = std::min(most, classes - c),
              .depth = width,
              .a = {.row = width, .column = 1},
              .b = {.row = 1, .column = width},
              .c = {.row = classes, .column = 1}},
             x, in.weight + c * width, logits.data() + c, in.bias == nullptr ? nullptr : in.bias + c);
    const ClassTargets targets{.target = in.target + first, .ignore_index = in.ignore_index, .smoothing = in.smoothing};
    cross_entropy(logits.data(), targets, rows, classes, losses + first, log_sums.data());
    if (!gradients.any()) continue;

    // Part by part the gradient G of the logits, in f32 in their place; then dx += G W, dW += G^T x, dbias += 1^T G.
    C* dx = nullptr;
    if constexpr (kNarrow) {
      dx = narrow_dx ? wide_dx.data() : nullptr;
    } else {
      dx = gradients.dx == nullptr ? nullptr : gradients.dx + first * width;
    }
    for (std::int64_t c = 0; c < classes; c += most) {
      const ClassPart part{.rows = rows, .classes = classes, .first = c, .count = std::min(most, classes - c)};
      T* g = nullptr;
      std::int64_t pitch = 0;
      if constexpr (kNarrow) {
        g = narrow.data(), pitch = part.count;
      } else {
        g = logits.data() + c, pitch = classes;
      }
      cross_entropy_part_backward(logits.data(), targets, part, log_sums.data(), gradients.scale, g, pitch,
                                  gradients.dbias == nullptr ? nullptr : gradients.dbias + c);
      if (dx != nullptr)
        matmul({.in = dtype_of<T>,
                .out = dtype_of<C>,
                .rows = rows,
                .columns = width,
                .depth = part.count,
                .a = {.row = pitch, .column = 1},
                .b = {.row = width, .column = 1},
                .c = {.row = width, .column = 1},
                .beta = c == 0 ? 0.0 : 1.0},
               g, in.weight + c * width, dx);
      if (gradients.dweight != nullptr)
        matmul({.in = dtype_of<T>,
                .out = dtype_of<C>,
                .rows = part.count,
                .columns = width,
                .depth = rows,
                .a = {.row = 1, .column = pitch},
                .b = {.row = width, .column = 1},
                .c = {.row = width, .column = 1},
                .beta = first == 0 ? 0.0 : 1.0},
               g, x, gradients.dweight + c * width);
    }
    if constexpr (kNarrow) {
      if (narrow_dx) convert_type(dtype_of<C>, dx, Layout(Shape{rows * width}), dtype_of<T>, gradients.dx + first * width);
    }
  }
}

template void linear_cross_entropy(const LinearClasses<float>&, float*, const LinearClassGradients<float>&);
template void linear_cross_entropy(const LinearClasses<bfloat16>&, float*, const LinearClassGradients<bfloat16>&);
template void linear_cross_entropy(const LinearClasses<double>&, double*, const LinearClassGradients<double>&);

}  // namespace capstan::kernels
