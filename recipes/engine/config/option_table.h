#pragma once
// OptionTable: configurations as aggregates that list their fields once, in `visit`, and everything derived from that list.
//
//     struct ModelOptions {
//       std::int64_t hidden_size = 64;
//       double dropout = 0.2;
//       std::string norm = "pre";
//       template <class V> void visit(V& v) {
//         v("hidden_size", hidden_size, "width of a position", V::positive());
//         v("dropout", dropout, "share of activations set to zero", V::fraction());
//         v("norm", norm, "place of the layer norm", {"pre", "post"});
//       }
//     };
//     struct Config { ModelOptions model;  template <class V> void visit(V& v) { v.section("model", model); } };
//
// Key of a field: "section.name". Fields: bool, int64, double, string, an enum or a string with its choices, lists of int64, double,
// string. Every number states its range (there is no overload without one); NaN and infinity are never accepted.
// Precedence: default < file < command line. A list is replaced as a whole. Every refusal is a ConfigError that says where
// ("path:line" or the argument), what was found and what is allowed; all faults of a file are reported at once.
//
// What an option concerns stands beside it too, so that the use of a checkpoint (stored_config.h) needs no list of names: the model, unless
// its section or itself says otherwise.
//     v("path", path, "file of the data").of_use();   v.section("augment", augment, V::of_training());
//
// How values are written: value.h. Files: config_file.h. The command line: arguments.h. A table as text: config_text.h.

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "recipes/engine/config/config_file.h"
#include "recipes/engine/config/value.h"

namespace capstan::engine {

inline constexpr std::string_view kDefaultOrigin = "default";

/// What an option concerns, and so who decides over it where a checkpoint is used.
enum class Concern {
  model,     ///< what the model is and how its input is made: the checkpoint
  data,      ///< which samples there are, and which are held out: the checkpoint, where samples are evaluated
  training,  ///< training alone: nobody any more
  use,       ///< where things are, and what is done with the model: the user, or else the checkpoint
  machine,   ///< the machine and the directory of a run: the user, or else nobody
};

/// One field: its description, and access to it as text.
struct Option {
  std::string key;      ///< "model.hidden_size"
  std::string type;     ///< "integer", "number", "true|false", "text", "f32|bf16", "list of integers", ...
  std::string allowed;  ///< the range in words; empty if the type says all
  std::string help;
  std::string default_text;
  std::string origin{kDefaultOrigin};  ///< or "path:line", "command line"
  std::function<std::string()> get;
  std::function<void(std::string_view)> set;  ///< throws ConfigError "rule in words, got ..."
  Concern concern = Concern::model;
  bool names_output = false;    ///< the value is the path of a file that the program writes; empty: none
  bool prepares_input = false;  ///< says how text or images become the input of a model, whatever the task: goes with its weights

  Option& of_model() { return concern = Concern::model, *this; }
  Option& of_data() { return concern = Concern::data, *this; }
  Option& of_training() { return concern = Concern::training, *this; }
  Option& of_use() { return concern = Concern::use, *this; }
  Option& of_machine() { return concern = Concern::machine, *this; }
  Option& output() { return names_output = true, *this; }
  Option& input() { return prepares_input = true, *this; }
};

/// The visitor: binds the fields of a configuration, which must outlive it and not move.
class OptionTable {
 public:
  template <class Config>
  explicit OptionTable(Config& config) {
    config.visit(*this);
  }

  static Range any() { return {}; }
  static Range positive() { return {.low = 0, .above_low = true}; }
  static Range non_negative() { return {.low = 0}; }
  static Range at_least(double low) { return {.low = low}; }
  static Range between(double low, double high) { return {.low = low, .high = high}; }
  static Range fraction() { return {.low = 0, .high = 1, .below_high = true}; }  ///< 0 <= v < 1
  static Concern of_data() { return Concern::data; }
  static Concern of_training() { return Concern::training; }
  static Concern of_use() { return Concern::use; }
  static Concern of_machine() { return Concern::machine; }

  Option& operator()(std::string_view name, bool& field, std::string_view help);
  Option& operator()(std::string_view name, std::int64_t& field, std::string_view help, const Range& range);
  Option& operator()(std::string_view name, double& field, std::string_view help, const Range& range);
  Option& operator()(std::string_view name, std::string& field, std::string_view help);
  Option& operator()(std::string_view name, std::string& field, std::string_view help, std::initializer_list<std::string_view> choices);
  Option& operator()(std::string_view name, std::vector<std::int64_t>& field, std::string_view help, const Range& range);
  Option& operator()(std::string_view name, std::vector<double>& field, std::string_view help, const Range& range);
  Option& operator()(std::string_view name, std::vector<std::string>& field, std::string_view help);
  template <class E>
  requires std::is_enum_v<E> Option& operator()(std::string_view name, E& field, std::string_view help,
                                                std::initializer_list<std::pair<std::string_view, std::type_identity_t<E>>> choices) {
    std::vector<std::pair<std::string, std::int64_t>> named;
    for (const auto& [text, value] : choices) named.emplace_back(text, static_cast<std::int64_t>(value));
    return add_choice(
        name, help, named, [&field] { return static_cast<std::int64_t>(field); }, [&field](std::int64_t v) { field = static_cast<E>(v); });
  }
  template <class Section>
  void section(std::string_view name, Section& fields, Concern concern = Concern::model) {
    const std::string outer = prefix_;
    prefix_ += std::string(name) + ".";
    concern_ = concern;
    fields.visit(*this);
    concern_ = Concern::model;
    prefix_ = outer;
  }

  std::span<Option> options() { return options_; }
  std::span<const Option> options() const { return options_; }
  const Option* find(std::string_view key) const;
  Option* find(std::string_view key) { return const_cast<Option*>(std::as_const(*this).find(key)); }
  std::vector<std::string> keys() const;

 private:
  Option& add(std::string_view name, std::string type, std::string allowed, std::string_view help, std::function<std::string()> get,
              std::function<void(std::string_view)> set);
  Option& add_choice(std::string_view name, std::string_view help, const std::vector<std::pair<std::string, std::int64_t>>& choices,
                     std::function<std::int64_t()> get, std::function<void(std::int64_t)> set);

  std::string prefix_;
  Concern concern_ = Concern::model;  // of the section
  std::vector<Option> options_;
};

/// Sets the fields, in order. Unknown keys (with their new name, or the nearest known one) and refused values are collected into one
/// ConfigError.
void assign(OptionTable& table, std::span<const Assignment> assignments);

}  // namespace capstan::engine
