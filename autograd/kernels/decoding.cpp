#include "autograd/kernels/decoding.h"

#include "autograd/kernels/backend.h"

namespace capstan::kernels {

void run_stages(std::span<const Stage> stages, const StepRows& rows) {
  return runs_fast(DType::f32) ? RunStages::fast(stages, rows) : RunStages::reference(stages, rows);
}

void top_k(const float* logits, std::int64_t rows, std::int64_t n, std::int64_t k, float* values, std::int32_t* ids, float* log_sums) {
  return runs_fast(DType::f32) ? TopK::fast(logits, rows, n, k, values, ids, log_sums)
                               : TopK::reference(logits, rows, n, k, values, ids, log_sums);
}

}  // namespace capstan::kernels
