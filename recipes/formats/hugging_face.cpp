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

engine::DirectoryForm hugging_face_directories(std::string_view architecture, std::string_view model_type, SettingsOf settings,
                                               std::function<Files(const engine::NamedTensors& artifacts)> files) {
  const auto is_native = [architecture](const engine::ModelDirectory& d) { return is_one_of(d, std::span(&architecture, 1), true); };
  return {.holds = [model_type](const engine::ModelDirectory& d) { return is_of_type(d, model_type); },
          .is_native = is_native,
          .settings = settings,
          .artifacts =
              [is_native](const engine::ModelDirectory& d) {
                return named_classes(is_native(d) ? class_names_of(d.config()) : std::vector<std::string>{});
              },
          .files = std::move(files)};
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

engine::NamedTensors named_classes(const std::vector<std::string>& names) {
  engine::NamedTensors out;
  if (!names.empty()) engine::store_lines(out, kClassNames, names);
  return out;
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

std::string config_text(std::string_view architecture, std::string_view model_type, const JsonMembers& own,
                        std::span<const std::string> classes) {
  JsonMembers all{{"architectures", join_text("[", data::json_string(architecture), "]")}, {"model_type", data::json_string(model_type)}};
  append(all, own);
  append(all, {{"torch_dtype", data::json_string("float32")}});
  append(all, label_members(classes));
  return json_object(all) + "\n";
}

std::vector<std::int64_t> whole_numbers(const Json& list) {
  std::vector<std::int64_t> out;
  for (const Json& n : list.items()) out.push_back(n.integer());
  return out;
}

std::string list_text(std::span<const std::int64_t> values) {
  std::string text;
  for (const std::int64_t v : values) text += join_text(text.empty() ? "" : ", ", v);
  return text;
}

void Settings::set(std::string_view key, std::string value) {
  const auto same = std::ranges::find(all_, key, &engine::Assignment::key);
  if (same == all_.end()) {
    all_.push_back({std::string(key), std::move(value), origin_});
  } else {
    same->value = std::move(value);
  }
}

void Settings::set(std::string_view key, std::int64_t value) { set(key, join_text(value)); }

void Settings::set(std::initializer_list<std::pair<std::string_view, std::string_view>> values) {
  for (const auto& [key, value] : values) set(key, std::string(value));
}

void Settings::number(const Json& from, std::string_view name, std::string_view key) {
  if (const auto v = from.find(name)) set(key, join_text(v->number()));
}

void Settings::numbers(const Json& from, std::string_view name, std::string_view key) {
  const auto list = from.find(name);
  if (!list) return;
  std::string text;
  for (const Json& n : list->items()) text += join_text(text.empty() ? "" : ", ", n.number());
  set(key, std::move(text));
}

void Settings::flag(const Json& from, std::string_view name, std::string_view key) {
  if (const auto v = from.find(name)) set(key, v->boolean() ? "yes" : "no");
}

void Settings::needed(const Json& from, std::string_view name, std::string_view key) { set(key, join_text(from[name].number())); }

}  // namespace capstan::formats
