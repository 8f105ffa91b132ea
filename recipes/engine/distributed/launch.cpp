#include "recipes/engine/distributed/launch.h"

#include <array>
#include <charconv>
#include <cstdlib>
#include <string_view>
#include <system_error>

#include "autograd/core/error.h"

namespace capstan::engine {
namespace {

std::optional<int> count_in_variable(const char* text) {
  if (text == nullptr) return std::nullopt;
  const std::string_view digits(text);
  int value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  const bool whole = error == std::errc() && end == digits.data() + digits.size() && value >= 0;
  return whole ? std::optional(value) : std::nullopt;
}

}  // namespace

Launch find_launch(const char* (*variable)(const char* name)) {
  struct Launcher {
    const char *size, *rank;
  };
  // The innermost first: in a job of Slurm, mpirun starts its helpers by srun, whose variables the processes inherit.
  constexpr std::array launchers{Launcher{"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"}, Launcher{"PMI_SIZE", "PMI_RANK"},
                                 Launcher{"SLURM_STEP_NUM_TASKS", "SLURM_PROCID"}};
  for (const auto& [size_name, rank_name] : launchers)
    if (const auto size = count_in_variable(variable(size_name)); size && *size > 0)
      return {.rank = count_in_variable(variable(rank_name)), .size = size, .by = join_text(size_name, '=', *size)};
  for (const char* name : {"PMIX_RANK", "PMI_RANK"})
    if (const auto rank = count_in_variable(variable(name))) return {.rank = rank, .size = std::nullopt, .by = join_text(name, '=', *rank)};
  return {};
}

Launch find_launch() {
  return find_launch([](const char* name) -> const char* { return std::getenv(name); });
}

}  // namespace capstan::engine
