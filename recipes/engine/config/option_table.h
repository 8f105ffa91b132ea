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

  void operator()(std::string_view name, bool& field, std::string_view help);
  void operator()(std::string_view name, std::int64_t& field, std::string_view help, const Range& range);
  void operator()(std::string_view name, double& field, std::string_view help, const Range& range);
  void operator()(std::string_view name, std::string& field, std::string_view help);
  void operator()(std::string_view name, std::string& field, std::string_view help, std::initializer_list<std::string_view> choices);
  void operator()(std::string_view name, std::vector<std::int64_t>& field, std::string_view help, const Range& range);
  void operator()(std::string_view name, std::vector<double>& field, std::string_view help, const Range& range);
  void operator()(std::string_view name, std::vector<std::string>& field, std::string_view help);
  template <class E>
  requires std::is_enum_v<E>
  void operator()(std::string_view name, E& field, std::string_view help,
                  std::initializer_list<std::pair<std::string_view, std::type_identity_t<E>>> choices) {
    std::vector<std::pair<std::string, std::int64_t>> named;
    for (const auto& [text, value] : choices) named.emplace_back(text, static_cast<std::int64_t>(value));
    add_choice(
        name, help, named, [&field] { return static_cast<std::int64_t>(field); }, [&field](std::int64_t v) { field = static_cast<E>(v); });
  }
  template <class Section>
  void section(std::string_view name, Section& fields) {
    const std::string outer = prefix_;
    prefix_ += std::string(name) + ".";
    fields.visit(*this);
    prefix_ = outer;
  }

  std::span<Option> options() { return options_; }
  std::span<const Option> options() const { return options_; }
  const Option* find(std::string_view key) const;
  std::vector<std::string> keys() const;

 private:
  void add(std::string_view name, std::string type, std::string allowed, std::string_view help, std::function<std::string()> get,
           std::function<void(std::string_view)> set);
  void add_choice(std::string_view name, std::string_view help, const std::vector<std::pair<std::string, std::int64_t>>& choices,
                  std::function<std::int64_t()> get, std::function<void(std::int64_t)> set);

  std::string prefix_;
  std::vector<Option> options_;
};

/// Sets the fields, in order. Unknown keys (with their new name, or the nearest known one) and refused values are collected into one
/// ConfigError.
void assign(OptionTable& table, std::span<const Assignment> assignments);

}  // namespace capstan::engine
