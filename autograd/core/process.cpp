#include "autograd/core/process.h"

#include <unistd.h>
#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

#include <array>
#include <cstdlib>

namespace capstan {

void limit_busy_waiting(char** argv) {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr || std::getenv("GOMP_SPINCOUNT") != nullptr) return;
  if (::setenv("GOMP_SPINCOUNT", "10000", 1) != 0) return;  // once set, the new process returns above: no loop
  // By its path, so that the process keeps its name; by the link if the file has been replaced since.
  std::array<char, 4096> path{};
  if (::readlink("/proc/self/exe", path.data(), path.size() - 1) > 0) ::execv(path.data(), argv);
  ::execv("/proc/self/exe", argv);
}

bool flush_denormals() {
#if defined(__SSE2__)
  constexpr unsigned kFlushToZero = 0x8000, kDenormalsAreZero = 0x0040;
  _mm_setcsr(_mm_getcsr() | kFlushToZero | kDenormalsAreZero);
  return true;
#else
  return false;
#endif
}

}  // namespace capstan
