#include "recipes/tasks/language_modelling/options.h"

#include "autograd/core/error.h"

namespace capstan::language_modelling {

void Options::validate(std::int64_t max_positions) const {
  require<ConfigError>(data.length <= max_positions, "language_modelling: data.length must not exceed model.max_positions, got ",
                       data.length, " and ", max_positions);
  require<ConfigError>(evaluate.length <= max_positions, "language_modelling: evaluate.length must not exceed model.max_positions, got ",
                       evaluate.length, " and ", max_positions);
  require<ConfigError>(evaluation_stride() <= evaluation_length(),
                       "language_modelling: evaluate.stride must not exceed the window, or tokens would be left out: got ",
                       evaluation_stride(), " and ", evaluation_length());
  generation.validate("language_modelling");
  require<ConfigError>(bench.prompt + bench.written - 1 <= max_positions,
                       "language_modelling: bench.prompt + bench.written - 1 must not exceed model.max_positions, got ", bench.prompt, ", ",
                       bench.written, " and ", max_positions);
}

}  // namespace capstan::language_modelling
