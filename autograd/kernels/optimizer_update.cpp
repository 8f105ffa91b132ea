#include "autograd/kernels/optimizer_update.h"

#include "autograd/kernels/backend.h"
#include "autograd/kernels/openmp/optimizer_update.h"
#include "autograd/kernels/reference/optimizer_update.h"

namespace capstan::kernels {

void average_update(std::span<const UpdateTensor<float>> tensors, double rate) {
  backend() == Backend::fast ? openmp::average_update(tensors, rate) : reference::average_update(tensors, rate);
}
void sgd_update(std::span<const UpdateTensor<float>> tensors, const SgdRule& rule) {
  backend() == Backend::fast ? openmp::sgd_update(tensors, rule) : reference::sgd_update(tensors, rule);
}
void adam_update(std::span<const UpdateTensor<float>> tensors, const AdamRule& rule) {
  backend() == Backend::fast ? openmp::adam_update(tensors, rule) : reference::adam_update(tensors, rule);
}
void adagrad_update(std::span<const UpdateTensor<float>> tensors, const AdagradRule& rule) {
  backend() == Backend::fast ? openmp::adagrad_update(tensors, rule) : reference::adagrad_update(tensors, rule);
}
void adam_catch_up(std::span<const AdamMissedRow<float>> rows, std::int64_t width, const AdamRule& rule) {
  backend() == Backend::fast ? openmp::adam_catch_up(rows, width, rule) : reference::adam_catch_up(rows, width, rule);
}
double sum_of_squares(std::span<const std::span<const float>> tensors) {
  return backend() == Backend::fast ? openmp::sum_of_squares(tensors) : reference::sum_of_squares(tensors);
}

void average_update(std::span<const UpdateTensor<double>> tensors, double rate) { reference::average_update(tensors, rate); }
void sgd_update(std::span<const UpdateTensor<double>> tensors, const SgdRule& rule) { reference::sgd_update(tensors, rule); }
void adam_update(std::span<const UpdateTensor<double>> tensors, const AdamRule& rule) { reference::adam_update(tensors, rule); }
void adagrad_update(std::span<const UpdateTensor<double>> tensors, const AdagradRule& rule) { reference::adagrad_update(tensors, rule); }
void adam_catch_up(std::span<const AdamMissedRow<double>> rows, std::int64_t width, const AdamRule& rule) {
  reference::adam_catch_up(rows, width, rule);
}
double sum_of_squares(std::span<const std::span<const double>> tensors) { return reference::sum_of_squares(tensors); }

}  // namespace capstan::kernels
