#include "recipes/engine/recipe.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <system_error>

#include "autograd/core/error.h"
#include "data/file.h"
#include "recipes/engine/system.h"

namespace capstan::engine {

Tensor text_tensor(std::string_view text) {
  return Tensor::from(std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()),
                      Shape{static_cast<std::int64_t>(text.size())});
}

std::string tensor_text(const Tensor& t) {
  const auto bytes = t.span<std::uint8_t>();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void store_lines(NamedTensors& artifacts, std::string_view name, std::span<const std::string> lines) {
  std::string text;
  for (const std::string& line : lines) {
    require<DataError>(line.find('\n') == std::string::npos, name, ": a name cannot hold a line break, got '", line, "'");
    text += line + "\n";
  }
  artifacts.insert_or_assign(std::string(name), text_tensor(text));
}

std::vector<std::string> stored_lines(const NamedTensors& artifacts, std::string_view name) {
  const auto found = artifacts.find(name);
  std::vector<std::string> lines;
  if (found == artifacts.end()) return lines;
  const std::string text = tensor_text(found->second);
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

void store_ids(NamedTensors& artifacts, const std::string& name, const data::IdMap& ids) {
  artifacts.insert_or_assign(name + "_names", text_tensor(ids.names()));
  artifacts.insert_or_assign(name + "_name_ends", Tensor::from(ids.ends(), Shape{ids.size()}));
}

data::IdMap stored_ids(const NamedTensors& artifacts, const std::string& name) {
  data::IdMap out;
  const auto names = artifacts.find(name + "_names"), ends = artifacts.find(name + "_name_ends");
  if (names == artifacts.end() || ends == artifacts.end()) return out;
  const std::string text = tensor_text(names->second);
  std::int64_t begin = 0;
  for (const std::int64_t end : ends->second.span<const std::int64_t>()) {
    require<CheckpointError>(begin <= end && end <= static_cast<std::int64_t>(text.size()), "artifact ", name,
                             "_name_ends: ends must grow up to ", text.size(), ", got ", end, " after ", begin);
    out.add(std::string_view(text).substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin)));
    begin = end;
  }
  require<CheckpointError>(out.size() == ends->second.numel(), "artifact ", name, "_names: a name occurs twice");
  return out;
}

std::vector<std::string> names_of(const data::IdMap& ids) {
  std::vector<std::string> out;
  for (std::int64_t i = 0; i < ids.size(); ++i) out.emplace_back(ids[i]);
  return out;
}

std::string_view name_of(Split split) {
  switch (split) {
    case Split::train: return "train";
    case Split::validation: return "validation";
    case Split::test: return "test";
  }
  throw InternalError("split: unknown");
}

std::int64_t number_below(std::string_view text, std::int64_t count, std::string_view what) {
  std::int64_t number = -1;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  require<DataError>(error == std::errc() && stop == end && number >= 0 && number < count, "expected the number of ", what, ", 0 .. ",
                     count - 1, ", found '", text, "'");
  return number;
}

std::string not_blank(std::string line, std::int64_t number) {
  require<DataError>(line.find_first_not_of(" \t") != std::string::npos, "line ", number, ": is empty");
  return line;
}

std::string data_digest_of(const NamedTensors& artifacts, std::span<const std::int64_t> sizes) {
  std::string text;
  for (const std::int64_t size : sizes) text += std::to_string(size) + "-";
  std::uint32_t crc = 0;
  for (const auto& [name, tensor] : artifacts) {
    crc = data::crc32c(name, crc);
    const Tensor values = tensor.contiguous();
    const std::size_t width = size_of(values.dtype());
    const std::byte* const first = values.storage().data() + static_cast<std::size_t>(values.layout().offset()) * width;
    crc = data::crc32c(std::span(first, static_cast<std::size_t>(values.numel()) * width), crc);
  }
  return join_text(text, crc);
}

std::string Setup::data_path(std::string_view path) const {
  require<ConfigError>(!path.empty(), "no path is given");
  return (std::filesystem::path(expand_home(data_dir)) / expand_home(path)).lexically_normal().string();
}

}  // namespace capstan::engine
