#pragma once
// The CPU engine of oneDNN, its stream on this thread, and scratch memory for primitives.

#include <oneapi/dnnl/dnnl.hpp>

#include "autograd/core/dtype.h"

namespace capstan::kernels::onednn {

const dnnl::engine& cpu_engine();
/// Executes in order and at once; one per thread.
dnnl::stream& cpu_stream();
/// At least `bytes` of memory for the primitive that runs next on this thread. It is kept and grows.
void* scratchpad(std::size_t bytes);

/// Throws std::bad_alloc if a limit of this process's memory (ulimit -v) leaves none for what the library makes of a new primitive: without
/// memory for the code that it generates, oneDNN 2 writes through a null pointer.
void require_room_for_code();

/// Whether products and convolutions of bf16 can be computed: the library has them only where the processor has vectors for them.
bool computes_bfloat16();

/// f32 or bf16. Throws InternalError for another type.
dnnl::memory::data_type data_type(DType t);

}  // namespace capstan::kernels::onednn
