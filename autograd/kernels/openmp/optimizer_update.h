#pragma once
// Optimiser updates for f32, vectorised and shared among threads; contracts in kernels/optimizer_update.h.

#include <cstdint>
#include <span>

#include "autograd/kernels/optimizer_update.h"

namespace capstan::kernels::openmp {

void average_update(std::span<const UpdateTensor<float>> tensors, double rate);
void sgd_update(std::span<const UpdateTensor<float>> tensors, const SgdRule& rule);
void adam_update(std::span<const UpdateTensor<float>> tensors, const AdamRule& rule);
void adagrad_update(std::span<const UpdateTensor<float>> tensors, const AdagradRule& rule);
void adam_catch_up(std::span<const AdamMissedRow<float>> rows, std::int64_t width, const AdamRule& rule);
double sum_of_squares(std::span<const std::span<const float>> tensors);

}  // namespace capstan::kernels::openmp
