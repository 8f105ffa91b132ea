#pragma once
// What the configuration files of Hugging Face transformers have in common, whatever the model.

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "recipes/engine/config/config_file.h"
#include "recipes/engine/pretrained/foreign_form.h"
#include "recipes/engine/pretrained/model_directory.h"
#include "recipes/engine/recipe.h"
#include "recipes/formats/json_text.h"

namespace capstan::formats {

/// Names and contents.
using Files = std::vector<std::pair<std::string, std::string>>;
using SettingsOf = std::vector<engine::Assignment> (*)(const engine::ModelDirectory&);

inline constexpr std::string_view kClassNames = "class_names";  ///< the artifact of every task that has classes

/// A name of theirs and ours for one choice.
struct Choice {
  std::string_view theirs, ours;
};
/// Ours for the value; an error says which ones are known.
std::string chosen(const data::Json& value, std::span<const Choice> choices);
/// Theirs for ours: the first of several.
std::string_view theirs_of(std::string_view ours, std::span<const Choice> choices);

/// Directories of models of this type with the head of this architecture; one of another architecture has no names of classes.
engine::DirectoryForm hugging_face_directories(std::string_view architecture, std::string_view model_type, SettingsOf settings,
                                               std::function<Files(const engine::NamedTensors& artifacts)> files);

bool is_of_type(const engine::ModelDirectory& directory, std::string_view model_type);
/// Whether config.json names one of these classes; `otherwise` if it names none.
bool is_one_of(const engine::ModelDirectory& directory, std::span<const std::string_view> architectures, bool otherwise);

/// The names of its classes, id2label; where it says nothing they are LABEL_0 and LABEL_1, the default of the program.
std::vector<std::string> class_names_of(const data::Json& config);
/// The names as the tasks keep them; nothing for none.
engine::NamedTensors named_classes(const std::vector<std::string>& names);
/// The members id2label and label2id.
JsonMembers label_members(std::span<const std::string> classes);
/// A config.json: what a model of this architecture says of itself, and the names of its classes.
std::string config_text(std::string_view architecture, std::string_view model_type, const JsonMembers& own,
                        std::span<const std::string> classes);

/// The elements of a list.
std::vector<std::int64_t> whole_numbers(const data::Json& list);
/// As a configuration has them.
std::string list_text(std::span<const std::int64_t> values);

/// What a directory says, collected as assignments that know where they come from.
class Settings {
 public:
  explicit Settings(const engine::ModelDirectory& directory) : origin_(directory.path()) {}
  /// The last value of a key counts.
  void set(std::string_view key, std::string value);
  void set(std::string_view key, std::int64_t value);
  void set(std::initializer_list<std::pair<std::string_view, std::string_view>> values);
  /// A number of `from` as this key, if it is there.
  void number(const data::Json& from, std::string_view name, std::string_view key);
  /// Numbers, or yes and no, likewise.
  void numbers(const data::Json& from, std::string_view name, std::string_view key);
  void flag(const data::Json& from, std::string_view name, std::string_view key);
  /// A number that must be there.
  void needed(const data::Json& from, std::string_view name, std::string_view key);
  std::vector<engine::Assignment> take() { return std::move(all_); }

 private:
  std::string origin_;
  std::vector<engine::Assignment> all_;
};

}  // namespace capstan::formats
