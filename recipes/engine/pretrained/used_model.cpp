#include "recipes/engine/pretrained/used_model.h"

#include <algorithm>
#include <utility>

#include "autograd/core/error.h"
#include "recipes/engine/checkpoint/checkpoint.h"
#include "recipes/engine/checkpoint/initial_weights.h"
#include "recipes/engine/config/options.h"
#include "recipes/engine/pretrained/foreign_model.h"

namespace capstan::engine {
namespace {

class CheckpointModel final : public UsedModel {
 public:
  CheckpointModel(const std::string& path, std::string_view recipe) : file_(path, Checkpoint::Reading::in_parts) {
    if (!recipe.empty()) file_.require_recipe(recipe);
  }
  const std::string& path() const override { return file_.path(); }
  std::string_view recipe() const override { return file_.meta().recipe; }
  StoredConfig config() const override { return {.text = file_.meta().config, .place = path() + ":/meta/config", .path = path()}; }
  std::int64_t step() const override { return file_.step(); }
  NamedTensors artifacts() const override { return file_.artifacts(); }
  Loaded load(AnyRecipe& recipe, std::span<const ForeignForm>) const override {
    file_.load(recipe.parameters());
    return {};
  }

 private:
  Checkpoint file_;
};

class DirectoryModel final : public UsedModel {
 public:
  DirectoryModel(const std::string& path, std::string_view recipe, std::span<const ForeignForm> forms) : directory_(path), recipe_(recipe) {
    const ForeignForm& form = form_of(directory_, forms, recipe);
    artifacts_ = form.directory.artifacts(directory_);
    for (const Assignment& a : form.directory.settings(directory_)) {
      const auto point = a.key.find('.');
      const char quote = a.value.find('"') == std::string::npos ? '"' : '\'';
      config_ += join_text("[", a.key.substr(0, point), "]\n", a.key.substr(point + 1), " = ", quote, a.value, quote, "\n");
    }
  }
  const std::string& path() const override { return directory_.path(); }
  std::string_view recipe() const override { return recipe_; }
  StoredConfig config() const override { return {.text = config_, .place = path() + ", what it says", .path = path(), .complete = false}; }
  std::int64_t step() const override { return 0; }
  NamedTensors artifacts() const override { return artifacts_; }
  Loaded load(AnyRecipe& recipe, std::span<const ForeignForm> forms) const override {
    InitOptions options;
    options.from = directory_.path();
    TakenWeights taken = take_weights(options, forms, recipe);
    return {.said = std::move(taken.said), .random = std::move(taken.random)};
  }

 private:
  ModelDirectory directory_;
  std::string recipe_, config_;
  NamedTensors artifacts_;
};

}  // namespace

void require_whole(const UsedModel::Loaded& loaded, const UsedModel& model, std::span<const std::string> unread) {
  std::string names;
  for (const std::string& name : loaded.random) {
    const bool read = std::ranges::none_of(unread, [&](const std::string& path) {
      return name.starts_with(path) && (name.size() == path.size() || name[path.size()] == '/');
    });
    if (read) names += "\n  " + name;
  }
  require<CheckpointError>(names.empty(), model.path(), ": is no finished model of the recipe ", model.recipe(),
                           ": it lacks a head, which would answer at random; init.from trains one. It lacks", names);
}

std::shared_ptr<const UsedModel> open_model(const std::string& path, std::string_view recipe, std::span<const RecipeEntry> recipes) {
  if (!ModelDirectory::is(path)) return std::make_shared<CheckpointModel>(path, recipe);
  const ModelDirectory directory(path);
  for (const RecipeEntry& entry : recipes) {
    if (!recipe.empty() && entry.name != recipe) continue;
    const std::vector<ForeignForm> forms = entry.configuration()->foreign_forms();
    const auto native = [&](const ForeignForm& f) {
      return f.directory.holds && f.directory.holds(directory) && f.directory.is_native(directory);
    };
    if (!recipe.empty() || std::ranges::any_of(forms, native)) return std::make_shared<DirectoryModel>(path, entry.name, forms);
  }
  const auto names = directory.config().find("architectures");
  std::string said;
  if (names && names->is(data::Json::Kind::list))
    for (const data::Json& name : names->items()) said += join_text(said.empty() ? "" : ", ", name.text());
  throw DataError(join_text(path, ": no recipe has a model of this kind: ", said.empty() ? "config.json names no architecture" : said));
}

}  // namespace capstan::engine
