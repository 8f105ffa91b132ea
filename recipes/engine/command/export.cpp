#include "recipes/engine/command/export.h"

#include <algorithm>
#include <ostream>
#include <vector>

#include "autograd/core/error.h"
#include "data/safetensors.h"
#include "recipes/engine/checkpoint/checkpoint.h"
#include "recipes/engine/checkpoint/checkpoint_directory.h"
#include "recipes/engine/config/arguments.h"
#include "recipes/engine/system.h"

namespace capstan::engine {

int export_weights(std::span<const std::string> arguments, const Console& console) {
  require<ConfigError>(arguments.size() >= 2 && !arguments[0].starts_with('-') && !arguments[1].starts_with('-'),
                       "export: needs CHECKPOINT and FILE.safetensors\nusage: capstan export CHECKPOINT FILE.safetensors [--as capstan]");
  const Arguments given = parse_arguments(arguments.subspan(2), flags_of("export"), nullptr);
  const std::string as = given.value("as", "capstan"), to = expand_home(arguments[1]);
  require<ConfigError>(as == "capstan", "export: --as must be capstan, got '", as, "'");
  require<ConfigError>(to.ends_with(".safetensors"), "export: the file must be called *.safetensors, got '", to, "'");

  const Checkpoint file(checkpoint_file(arguments[0], ""), Checkpoint::Reading::in_parts);
  const nn::TensorSource weights = file.weights();
  std::vector<data::NamedTensor> tensors;
  std::int64_t numbers = 0;
  for (const auto& [name, spec] : weights.tensors) {
    require<CheckpointError>(name.find('.') == std::string::npos, "export: ", file.path(), ": the name ", name,
                             " has a point, which would be read as a slash again");
    std::string written = name;
    std::ranges::replace(written, '/', '.');
    tensors.push_back({std::move(written), weights.read(name)});
    numbers += spec.shape.numel();
  }
  data::write_safetensors(to, tensors);
  console.out << to << ": " << tensors.size() << " tensors, " << numbers << " parameters, of " << file.path() << " (" << file.meta().recipe
              << ", step " << file.step() << ")\n";
  return kOk;
}

}  // namespace capstan::engine
