#include "recipes/engine/pretrained/model_directory.h"

#include <array>
#include <filesystem>
#include <utility>

#include "autograd/core/error.h"

namespace capstan::engine {
namespace {

namespace fs = std::filesystem;
constexpr std::string_view kConfig = "config.json";

std::string joined(const std::string& folder, std::string_view name) { return (fs::path(folder) / std::string(name)).string(); }

bool is_file(const std::string& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

}  // namespace

bool ModelDirectory::is(const std::string& path) {
  std::error_code error;
  return fs::is_directory(path, error) && is_file(joined(path, kConfig));
}

ModelDirectory::ModelDirectory(std::string path) : path_(std::move(path)), config_(data::read_json(joined(path_, kConfig))) {}

std::optional<data::Json> ModelDirectory::json(std::string_view name) const {
  if (!has(name)) return std::nullopt;
  return data::read_json(joined(path_, name));
}

bool ModelDirectory::has(std::string_view name) const { return is_file(joined(path_, name)); }

std::string ModelDirectory::file(std::string_view name) const { return fs::absolute(joined(path_, name)).lexically_normal().string(); }

std::string ModelDirectory::weights() const {
  for (const std::string_view name : {"model.safetensors", "model.safetensors.index.json"})
    if (has(name)) return joined(path_, name);
  for (const std::string_view name : {"pytorch_model.bin", "tf_model.h5", "flax_model.msgpack"})
    require<DataError>(!has(name), path_, ": has its weights in ", name,
                       ", which is a program's own memory and is not read; expected model.safetensors (README.md, \"Weights of others\", "
                       "says how to convert it)");
  throw DataError(join_text(path_, ": there are no weights: neither model.safetensors nor model.safetensors.index.json"));
}

}  // namespace capstan::engine
