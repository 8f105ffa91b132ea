#pragma once
// Initial weights: a new run starts from the parameters of a checkpoint or of a model of another program (section `init` of every
// configuration).
//
// Names go through a name map and the rest is strict (nn/import.h). Rows that stand for words, items or classes go by their names where the
// two models know different ones (NamedRows of recipe.h). The optimiser starts without state and the run at step 0: to go on with a run
// that stopped is `--resume`.

#include <span>
#include <string>
#include <vector>

#include "nn/import.h"
#include "recipes/engine/recipe.h"

namespace capstan::engine {

class AnyRecipe;
struct ForeignForm;
struct InitOptions;

/// Row maps of the parameters whose rows stand for names, where these artifacts hold other names than those of the source.
std::vector<nn::RowMap> row_maps(std::span<const NamedRows> rows, const NamedTensors& own, const NamedTensors& theirs);

/// Sets the parameters of the recipe and returns what became of them, in words. Throws ConfigError, CheckpointError or IoError naming
/// init.from, before anything is changed.
std::vector<std::string> start_from_weights(const InitOptions& options, std::span<const ForeignForm> forms, AnyRecipe& recipe);
/// The same; no error names init.from.
struct TakenWeights {
  std::vector<std::string> said, random;  ///< what became of the parameters, in words; the names of those that the file lacks
};
TakenWeights take_weights(const InitOptions& options, std::span<const ForeignForm> forms, AnyRecipe& recipe);

}  // namespace capstan::engine
