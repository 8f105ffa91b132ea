#pragma once
// ForeignModel: the file or directory of another program that init.from or --checkpoint names, seen through a form of the recipe.

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "nn/parameter_store.h"
#include "recipes/engine/pretrained/foreign_form.h"

namespace capstan::engine {

/// Whether a path is a file of tensors or a model directory, and no checkpoint.
bool is_foreign(const std::string& path);

/// The tensors of a .safetensors or .npz file, of an index of such files, or of a model directory, under the names of the file.
nn::TensorSource foreign_tensors(const std::string& path);

/// The form of a directory among those of a recipe. Throws DataError naming what the directory says it is, and what the recipe takes.
const ForeignForm& form_of(const ModelDirectory& directory, std::span<const ForeignForm> forms, std::string_view recipe);

/// The tensors of a path under the names of the model whose parameters these are, and the paths of its heads. A file of our own form
/// has our names with points. `form` tells which form it is, for people.
struct ForeignWeights {
  nn::TensorSource tensors;
  std::vector<std::string> heads;
  std::string form;
};
ForeignWeights foreign_weights(const std::string& path, std::span<const ForeignForm> forms, const nn::ParameterStore& store,
                               std::string_view recipe);

}  // namespace capstan::engine
