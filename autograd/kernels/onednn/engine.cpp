#include "autograd/kernels/onednn/engine.h"

#include <sys/mman.h>
#include <sys/resource.h>

#include <new>

#include "autograd/core/error.h"
#include "autograd/core/storage.h"
#include "autograd/kernels/onednn/compat.h"

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

void require_room_for_code() {
  constexpr std::size_t kRoom = std::size_t{32} << 20;
  rlimit limit{};
  if (::getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return;
  void* const room = ::mmap(nullptr, kRoom, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (room == MAP_FAILED) throw std::bad_alloc();
  ::munmap(room, kRoom);
}

bool computes_bfloat16() {
  static const bool answer = [] {
    const dnnl::memory::desc matrix({16, 16}, dnnl::memory::data_type::bf16, dnnl::memory::format_tag::ab);
    try {
      matmul_descriptor(cpu_engine(), matrix, matrix, nullptr, matrix, {});
      return true;
    } catch (const dnnl::error& e) {
      if (e.status == dnnl_unimplemented) return false;
      throw;
    }
  }();
  return answer;
}

dnnl::memory::data_type data_type(DType t) {
  require<InternalError>(t == DType::f32 || t == DType::bf16, "onednn: computes f32 and bf16 only, got ", t);
  return t == DType::f32 ? dnnl::memory::data_type::f32 : dnnl::memory::data_type::bf16;
}

}  // namespace capstan::kernels::onednn
