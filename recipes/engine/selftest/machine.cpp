#include "recipes/engine/selftest/machine.h"

#include <unistd.h>

#include <fstream>
#include <string_view>

#include "autograd/core/error.h"
#include "autograd/kernels/vendor_library.h"
#include "data/hdf5/version.h"
#include "recipes/engine/system.h"

namespace capstan::engine {
namespace {

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("model name")) continue;
    const auto colon = line.find(':');
    if (colon != std::string::npos) return line.substr(line.find_first_not_of(" \t", colon + 1));
  }
  return "of a name that the system does not tell";
}

/// What this program itself is compiled for; oneDNN chooses when it runs.
constexpr std::string_view kCompiledFor =
#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__)
    "AVX-512";
#elif defined(__AVX2__) && defined(__FMA__)
    "AVX2";
#elif defined(__SSE4_2__)
    "any x86-64-v2 processor (SSE4.2)";
#else
    "any processor of its architecture";
#endif

}  // namespace

std::vector<std::pair<std::string, std::string>> machine_lines() {
  const auto memory = static_cast<double>(::sysconf(_SC_PHYS_PAGES)) * static_cast<double>(::sysconf(_SC_PAGE_SIZE));
  return {
      {"processor", processor_name()},
      {"instructions", join_text("products use ", kernels::vendor_instructions(), ", the rest is compiled for ", kCompiledFor)},
      {"threads", choose_threads(0).reason},
      {"memory", bytes_text(memory)},
      {"libraries", kernels::vendor_library() + ", " + data::hdf5_version()},
  };
}

}  // namespace capstan::engine
