#pragma once
// UsedModel: the finished model that evaluate, predict and export work on, behind --checkpoint: a checkpoint of ours, or a model directory.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "recipes/engine/any_recipe.h"
#include "recipes/engine/config/stored_config.h"

namespace capstan::engine {

class UsedModel {
 public:
  virtual ~UsedModel() = default;
  virtual const std::string& path() const = 0;
  virtual std::string_view recipe() const = 0;
  /// Its configuration, valid as long as this. A model directory has no say over data and evaluation.
  virtual StoredConfig config() const = 0;
  virtual std::int64_t step() const = 0;
  virtual NamedTensors artifacts() const = 0;
  struct Loaded {
    std::vector<std::string> said;    ///< what is worth saying, a line each
    std::vector<std::string> random;  ///< parameters that the model does not have, of a head
  };
  /// Sets the parameters. `forms`: of the recipe as it is configured. Throws CheckpointError.
  virtual Loaded load(AnyRecipe& recipe, std::span<const ForeignForm> forms) const = 0;
};

/// Throws CheckpointError if parameters are random, naming them; but for those at or below the paths `unread`.
void require_whole(const UsedModel::Loaded& loaded, const UsedModel& model, std::span<const std::string> unread = {});

/// `path`: a checkpoint file, or a model directory. `recipe`: whose the model is to be; empty: its own, for a directory the one among
/// `recipes` that has such models with that head. Throws CheckpointError, DataError or IoError.
std::shared_ptr<const UsedModel> open_model(const std::string& path, std::string_view recipe, std::span<const RecipeEntry> recipes);

}  // namespace capstan::engine
