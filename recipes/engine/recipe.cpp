#include "recipes/engine/recipe.h"

#include <cstring>
#include <filesystem>

namespace capstan::engine {

Tensor text_tensor(std::string_view text) {
  return Tensor::from(std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()),
                      Shape{static_cast<std::int64_t>(text.size())});
}

std::string tensor_text(const Tensor& t) {
  const auto bytes = t.span<std::uint8_t>();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string Setup::data_path(std::string_view path) const { return (std::filesystem::path(data_dir) / path).lexically_normal().string(); }

}  // namespace capstan::engine
