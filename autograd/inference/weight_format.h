#pragma once
// What kernels call the storage of a weight. Internal: public headers include no kernel header.

#include "autograd/core/error.h"
#include "autograd/inference/packed_weight.h"
#include "autograd/kernels/decoding.h"

namespace capstan {

inline kernels::WeightFormat format_of(WeightStorage storage) {
  switch (storage) {
    case WeightStorage::f32: return kernels::WeightFormat::f32;
    case WeightStorage::bf16: return kernels::WeightFormat::bf16;
    case WeightStorage::int8: return kernels::WeightFormat::i8;
  }
  throw InternalError("weight_format: unknown storage");
}

}  // namespace capstan
