#pragma once
// What the configuration files of Hugging Face transformers have in common, whatever the model.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "recipes/engine/config/config_file.h"
#include "recipes/engine/pretrained/model_directory.h"
#include "recipes/formats/json_text.h"

namespace capstan::formats {

inline constexpr std::string_view kClassNames = "class_names";  ///< the artifact of every task that has classes

/// A name of theirs and ours for one choice.
struct Choice {
  std::string_view theirs, ours;
};
/// Ours for the value; an error says which ones are known.
std::string chosen(const data::Json& value, std::span<const Choice> choices);
/// Theirs for ours: the first of several.
std::string_view theirs_of(std::string_view ours, std::span<const Choice> choices);

bool is_of_type(const engine::ModelDirectory& directory, std::string_view model_type);
/// Whether config.json names one of these classes; `otherwise` if it names none.
bool is_one_of(const engine::ModelDirectory& directory, std::span<const std::string_view> architectures, bool otherwise);

/// The names of its classes, id2label; where it says nothing they are LABEL_0 and LABEL_1, the default of the program.
std::vector<std::string> class_names_of(const data::Json& config);
/// The members id2label and label2id.
JsonMembers label_members(std::span<const std::string> classes);

/// What a directory says, collected as assignments that know where they come from.
class Settings {
 public:
  explicit Settings(const engine::ModelDirectory& directory) : origin_(directory.path()) {}
  /// The last value of a key counts.
  void set(std::string_view key, std::string value);
  /// A number of `from` as this key, if it is there.
  void number(const data::Json& from, std::string_view name, std::string_view key);
  /// One that must be there.
  void needed(const data::Json& from, std::string_view name, std::string_view key);
  std::vector<engine::Assignment> take() { return std::move(all_); }

 private:
  std::string origin_;
  std::vector<engine::Assignment> all_;
};

}  // namespace capstan::formats
