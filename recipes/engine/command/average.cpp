#include "recipes/engine/command/average.h"

#include <algorithm>
#include <filesystem>
#include <ostream>
#include <type_traits>
#include <vector>

#include "autograd/core/error.h"
#include "data/file.h"
#include "recipes/engine/checkpoint/checkpoint.h"
#include "recipes/engine/command/configure.h"
#include "recipes/engine/config/stored_config.h"
#include "recipes/engine/pretrained/used_model.h"
#include "recipes/engine/system.h"

namespace capstan::engine {
namespace {

bool equal(const NamedTensors& a, const NamedTensors& b) {
  return std::ranges::equal(a, b, [](const auto& x, const auto& y) {
    return x.first == y.first && x.second.spec() == y.second.spec() && x.second.to_vector() == y.second.to_vector();
  });
}

}  // namespace

int average_checkpoints(std::span<const RecipeEntry> recipes, std::span<const std::string> arguments, const Console& console) {
  for (const std::string& a : arguments) require<ConfigError>(!a.starts_with('-'), "average: there is no flag ", a);
  require<ConfigError>(arguments.size() >= 2, "average: needs CHECKPOINT... and FILE\nusage: capstan average CHECKPOINT... FILE");
  const std::string to = expand_home(arguments.back());
  require<ConfigError>(!std::filesystem::exists(to), "average: ", to, ": is there already; name a new file");
  std::vector<std::string> paths;
  for (const std::string& a : arguments.first(arguments.size() - 1)) paths.push_back(expand_home(a));

  const auto model = open_model(paths.back(), "", recipes);
  const auto entry = std::ranges::find(recipes, model->recipe(), &RecipeEntry::name);
  require<CheckpointError>(entry != recipes.end(), "average: ", model->path(), ": its recipe '", model->recipe(),
                           "' is not one of this program");
  const auto config = entry->configuration();
  assign_stored(config->table(), model->config(), {}, false);
  config->finish();
  Setup setup = make_setup(config->engine(), Purpose::predict);
  setup.artifacts = model->artifacts();
  setup.values_wait = true;
  const auto recipe = config->make(setup);

  std::vector<std::vector<double>> sums;
  for (const std::string& path : paths) {
    const Checkpoint checkpoint(path);
    checkpoint.require_recipe(recipe->name());
    require<CheckpointError>(equal(checkpoint.artifacts(), setup.artifacts), "average: ", path, " and ", paths.back(),
                             ": are of models with other artifacts, such as a vocabulary");
    checkpoint.load(recipe->parameters());
    std::size_t i = 0;
    for (const Parameter& p : recipe->parameters().parameters()) {
      const std::vector<double> values = p.value().to_vector();
      if (sums.size() <= i) sums.emplace_back(values.size());
      std::ranges::transform(sums[i], values, sums[i].begin(), std::plus<>());
      ++i;
    }
  }
  std::size_t i = 0;
  for (const Parameter& p : recipe->parameters().parameters()) {
    const std::vector<double>& sum = sums[i++];
    const Tensor value = p.write();
    dispatch_floating("average", value.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const auto to_values = value.span<T>();
      for (std::size_t k = 0; k < sum.size(); ++k) {
        const double mean = sum[k] / static_cast<double>(paths.size());
        if constexpr (std::is_same_v<T, double>) {
          to_values[k] = mean;
        } else {
          to_values[k] = T(static_cast<float>(mean));
        }
      }
    });
  }
  const Checkpoint last(paths.back());
  data::write_file_durably(to, checkpoint_image(last.meta(), recipe->parameters(), nullptr, last.train_state(), setup.artifacts));
  console.out << to << ": the mean of " << paths.size() << " checkpoints of " << recipe->name() << ", the last of step " << last.step()
              << "\n";
  return kOk;
}

}  // namespace capstan::engine
