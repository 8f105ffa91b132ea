#include "autograd/kernels/vendor_library.h"

#include <oneapi/dnnl/dnnl.hpp>

#include <algorithm>
#include <iterator>
#include <utility>

namespace capstan::kernels {

std::string vendor_library() {
  const dnnl_version_t* const v = dnnl_version();
  return "oneDNN " + std::to_string(v->major) + "." + std::to_string(v->minor) + "." + std::to_string(v->patch);
}

std::string vendor_instructions() {
  using dnnl::cpu_isa;
  static constexpr std::pair<cpu_isa, const char*> kNames[] = {
      {cpu_isa::sse41, "SSE4.1"},
      {cpu_isa::avx, "AVX"},
      {cpu_isa::avx2, "AVX2"},
      {cpu_isa::avx2_vnni, "AVX2 with VNNI"},
      {cpu_isa::avx512_core, "AVX-512"},
      {cpu_isa::avx512_core_vnni, "AVX-512 with VNNI"},
      {cpu_isa::avx512_core_bf16, "AVX-512 with VNNI and bf16"},
      {cpu_isa::avx512_core_amx, "AVX-512 with VNNI, bf16 and AMX"},
  };
  const cpu_isa isa = dnnl::get_effective_cpu_isa();
  const auto* const found = std::ranges::find(kNames, isa, &std::pair<cpu_isa, const char*>::first);
  return found != std::end(kNames) ? found->second : "number " + std::to_string(static_cast<int>(isa)) + " of the library's list";
}

}  // namespace capstan::kernels
