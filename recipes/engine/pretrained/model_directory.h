#pragma once
// ModelDirectory: a model as the Hugging Face world keeps it, a folder with config.json, the weights and what belongs to them.
//
// It finds and reads files; what they mean for a model of ours is a ForeignForm's to say (foreign_form.h).

#include <optional>
#include <string>
#include <string_view>

#include "data/json.h"

namespace capstan::engine {

class ModelDirectory {
 public:
  /// Whether a path is a folder with a config.json.
  static bool is(const std::string& path);
  /// Throws IoError or DataError.
  explicit ModelDirectory(std::string path);

  const std::string& path() const { return path_; }
  const data::Json& config() const { return config_; }
  /// Another JSON file of it; nothing: there is none.
  std::optional<data::Json> json(std::string_view name) const;
  bool has(std::string_view name) const;
  /// The absolute path of a file of it.
  std::string file(std::string_view name) const;
  /// model.safetensors, or the index of a set of such files. Throws DataError that says what there is instead.
  std::string weights() const;

 private:
  std::string path_;
  data::Json config_;
};

}  // namespace capstan::engine
