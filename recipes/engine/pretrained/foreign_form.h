#pragma once
// ForeignForm: how another program keeps models of the kind that a recipe has. A recipe lists its forms (recipe.h); init.from and export
// go through them. recipes/formats/ has the well-known ones.

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "nn/foreign_names.h"
#include "recipes/engine/config/config_file.h"
#include "recipes/engine/pretrained/model_directory.h"
#include "recipes/engine/recipe.h"

namespace capstan::engine {

/// What of a form is only there for directories.
struct DirectoryForm {
  /// Whether a directory holds a model of this kind, with whatever head.
  std::function<bool(const ModelDirectory&)> holds;
  /// Whether it has the head of this recipe too, so that the recipe can use it as it is.
  std::function<bool(const ModelDirectory&)> is_native;
  /// What the directory says about the keys of a configuration; an option that the recipe does not have is passed over. Throws DataError
  /// for a model that is not one of ours.
  std::function<std::vector<Assignment>(const ModelDirectory&)> settings;
  /// Keys of the model for which the configuration may have another value than the directory: its weights are made into that.
  std::vector<std::string_view> free_keys = {};
  /// Vocabulary, class names, as the recipe keeps them.
  std::function<NamedTensors(const ModelDirectory&)> artifacts;
  /// The files beside the weights: names and contents.
  std::function<std::vector<std::pair<std::string, std::string>>(const NamedTensors& artifacts)> files;
};

struct ForeignForm {
  std::string_view name;     ///< as `export --as` has it: "hf"
  std::string_view program;  ///< whose it is: "Hugging Face transformers"
  /// Whether a file whose tensors have these names is of this form.
  std::function<bool(std::span<const std::string> tensors)> fits;
  /// The names for the model as it is configured. `tensors`: of the file that is read; none when one is written.
  std::function<nn::ForeignNames(std::span<const std::string> tensors)> names;
  bool writes = true;  ///< whether `export --as` may ask for it
  /// Throws ConfigError for a model that it cannot hold as it is configured; absent: it can hold them all.
  std::function<void()> require_writable = {};
  DirectoryForm directory = {};  ///< empty functions: it has no directories
};

}  // namespace capstan::engine
