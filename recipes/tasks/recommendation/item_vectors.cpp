#include "recipes/tasks/recommendation/item_vectors.h"

#include "autograd/core/error.h"
#include "recipes/engine/report/run_log.h"
#include "recipes/tasks/recommendation/table_options.h"

namespace capstan::recommendation {
namespace {

std::string line_of(std::string_view name, const std::vector<float>& vector, bool json) {
  std::string out = json ? R"({"item":)" + engine::json_string(name) + R"(,"vector":[)" : as_field(name);
  for (std::size_t i = 0; i < vector.size(); ++i) out += join_text(!json ? "\t" : i > 0 ? "," : "", vector[i]);
  return json ? out + "]}" : out;
}

}  // namespace

std::string vectors_of(std::string_view line, const data::IdMap& names, const ItemVector& vector, bool json) {
  while (line.ends_with(' ') || line.ends_with('\t')) line.remove_suffix(1);
  const std::int64_t item = names.find(line);
  if (item >= 0) return line_of(line, vector(item), json);
  if (line != "*") return line_of(line, {}, json);
  std::string out;
  for (std::int64_t i = 0; i < names.size(); ++i) {
    if (i > 0) out += '\n';
    out += line_of(names[i], vector(i), json);
  }
  return out;
}

}  // namespace capstan::recommendation
