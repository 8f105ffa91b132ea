#include "autograd/kernels/onednn/engine.h"

#include "autograd/core/error.h"
#include "autograd/core/storage.h"

namespace capstan::kernels::onednn {

const dnnl::engine& cpu_engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

dnnl::stream& cpu_stream() {
  thread_local dnnl::stream stream(cpu_engine());
  return stream;
}

void* scratchpad(std::size_t bytes) {
  thread_local Storage memory;
  if (memory.bytes() < bytes) {
    memory = Storage();  // give the old block back first
    memory = Storage(bytes);
  }
  return memory.data();
}

dnnl::memory::data_type data_type(DType t) {
  require<InternalError>(t == DType::f32 || t == DType::bf16, "onednn: computes f32 and bf16 only, got ", t);
  return t == DType::f32 ? dnnl::memory::data_type::f32 : dnnl::memory::data_type::bf16;
}

}  // namespace capstan::kernels::onednn
