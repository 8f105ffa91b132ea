#include "recipes/tasks/text/subwords.h"

#include <algorithm>
#include <filesystem>

#include "autograd/core/error.h"
#include "data/file.h"
#include "data/prepared.h"

namespace capstan::text {
namespace {

namespace fs = std::filesystem;

}  // namespace

std::string to_text(const data::SubwordOptions& o) {
  return join_text(static_cast<int>(o.kind), " ", o.size, " ", static_cast<int>(o.normalization), " ", o.coverage, " ",
                   o.byte_fallback ? 1 : 0);
}

PreparedSubwords prepared_subwords(const std::string& directory, const std::vector<std::string>& files, std::string_view key,
                                   const std::function<std::vector<SharedSubwords>()>& learn) {
  const auto path = [&](std::string_view name) { return join_text(directory, "/", name); };
  const std::string key_path = path("key");
  data::create_directories_durably(directory);
  const data::PreparationLock lock(key_path);
  data::remove_unfinished(directory);
  const bool kept = std::ranges::all_of(files, [&](const std::string& f) { return fs::exists(path(f)); });
  PreparedSubwords out;
  if (kept && fs::exists(key_path) && data::read_text(key_path) == key) {
    for (const std::string& f : files) out.models.push_back(std::make_shared<const data::SubwordModel>(data::SubwordModel::read(path(f))));
    return out;
  }
  out = {.models = learn(), .learned = true};
  data::remove_durably(key_path);  // until the models are whole
  for (std::size_t i = 0; i < files.size(); ++i) data::write_file_durably(path(files[i]), std::string_view(out.models[i]->bytes()));
  data::write_file_durably(key_path, key);
  return out;
}

}  // namespace capstan::text
