#include "autograd/core/process.h"

#include <fcntl.h>
#include <omp.h>
#include <sched.h>
#include <unistd.h>
#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

#include <array>
#include <cstdlib>
#include <string>
#include <vector>

namespace capstan {

namespace {

/// Lets this thread run wherever OpenMP may bind one.
void leave_place() {
  cpu_set_t all;
  CPU_ZERO(&all);
  const int places = omp_get_num_places();
  for (int place = 0; place < places; ++place) {
    std::vector<int> processors(static_cast<std::size_t>(omp_get_place_num_procs(place)));
    omp_get_place_proc_ids(place, processors.data());
    for (const int p : processors)
      if (p >= 0 && p < CPU_SETSIZE) CPU_SET(static_cast<unsigned>(p), &all);
  }
  if (places > 0) ::sched_setaffinity(0, sizeof all, &all);
}

}  // namespace

void open_standard_descriptors() {
  for (int fd = ::open("/dev/null", O_RDWR); fd >= 0; fd = ::open("/dev/null", O_RDWR))
    if (fd > STDERR_FILENO) {
      ::close(fd);
      return;
    }
}

void ignore_numeric_environment() {
  for (const char* name : {"DEFAULT_FPMATH_MODE", "MAX_CPU_ISA", "CPU_ISA_HINTS"})
    for (const char* prefix : {"ONEDNN_", "DNNL_"}) ::unsetenv((std::string(prefix) + name).c_str());
}

void limit_busy_waiting(char** argv) {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr || std::getenv("GOMP_SPINCOUNT") != nullptr) return;
  if (::setenv("GOMP_SPINCOUNT", "10000", 1) != 0) return;  // once set, the new process returns above: no loop
  leave_place();
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
