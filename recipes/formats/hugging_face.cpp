#include "recipes/formats/hugging_face.h"

#include <algorithm>
#include <utility>

#include "autograd/core/error.h"
#include "data/json.h"

namespace capstan::formats {

using data::Json;

std::string chosen(const Json& value, std::span<const Choice> choices) {
  std::string known;
  for (const Choice& c : choices) {
    if (c.theirs == value.text()) return std::string(c.ours);
    known += join_text(known.empty() ? "" : ", ", c.theirs);
  }
  value.fail(join_text("one of ", known));
}

std::string_view theirs_of(std::string_view ours, std::span<const Choice> choices) {
  return std::ranges::find(choices, ours, &Choice::ours)->theirs;
}

bool is_of_type(const engine::ModelDirectory& directory, std::string_view model_type) {
  const auto type = directory.config().find("model_type");
  return type && type->is(Json::Kind::text) && type->text() == model_type;
}

bool is_one_of(const engine::ModelDirectory& directory, std::span<const std::string_view> architectures, bool otherwise) {
  const auto names = directory.config().find("architectures");
  if (!names) return otherwise;
  return std::ranges::any_of(names->items(),
                             [&](const Json& n) { return std::ranges::find(architectures, n.text()) != architectures.end(); });
}

std::vector<std::string> class_names_of(const Json& config) {
  const auto labels = config.find("id2label");
  if (!labels) return {"LABEL_0", "LABEL_1"};
  std::vector<std::string> names(labels->size());
  std::vector<bool> known(names.size());
  for (const auto& [id, name] : labels->members()) {
    const auto index = std::string(id);
    const bool digits = !index.empty() && index.size() < 10 && index.find_first_not_of("0123456789") == std::string::npos;
    const std::size_t i = digits ? std::stoul(index) : names.size();
    if (i >= names.size() || known[i]) labels->fail(join_text("the numbers 0 to ", names.size() - 1, ", each once"));
    names[i] = name.text();
    known[i] = true;
  }
  return names;
}

JsonMembers label_members(std::span<const std::string> classes) {
  JsonMembers by_id, by_name;
  for (std::size_t i = 0; i < classes.size(); ++i) {
    by_id.emplace_back(std::to_string(i), data::json_string(classes[i]));
    const auto same = std::ranges::find(by_name, classes[i], &JsonMembers::value_type::first);  // of equal names the last counts
    same == by_name.end() ? by_name.emplace_back(classes[i], std::to_string(i)) : (same->second = std::to_string(i), *same);
  }
  return {{"id2label", json_object(by_id)}, {"label2id", json_object(by_name)}};
}

void Settings::set(std::string_view key, std::string value) {
  const auto same = std::ranges::find(all_, key, &engine::Assignment::key);
  if (same == all_.end()) {
    all_.push_back({std::string(key), std::move(value), origin_});
  } else {
    same->value = std::move(value);
  }
}

void Settings::number(const Json& from, std::string_view name, std::string_view key) {
  if (const auto v = from.find(name)) set(key, join_text(v->number()));
}

void Settings::needed(const Json& from, std::string_view name, std::string_view key) { set(key, join_text(from[name].number())); }

}  // namespace capstan::formats
