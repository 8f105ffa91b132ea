#include "recipes/engine/config/stored_config.h"

#include <algorithm>
#include <utility>

#include "autograd/core/error.h"
#include "recipes/engine/config/renamed_keys.h"
#include "recipes/engine/config/value.h"

namespace capstan::engine {
namespace {

std::vector<std::string> set_to(OptionTable& table, const StoredConfig& stored) {
  std::vector<std::string> unknown;
  try {
    std::vector<Assignment> all = translated(parse_config(stored.text, stored.place));
    std::erase_if(all, [&](const Assignment& a) {
      if (std::as_const(table).find(a.key) != nullptr) return false;
      if (stored.complete) unknown.push_back(join_text(a.key, " = ", a.value));  // otherwise it is for other recipes
      return true;
    });
    assign(table, all);
    for (Option& o : table.options()) {
      if (o.concern != Concern::machine) continue;
      o.set(o.default_text);
      o.origin = kDefaultOrigin;
    }
  } catch (const ConfigError& e) {
    throw CheckpointError(join_text(stored.path, ": its configuration is not one of this program: ", e.what()));
  }
  return unknown;
}

std::string shown(const std::string& value) { return value.empty() ? "empty" : value; }

}  // namespace

StoredConfigNotes assign_stored(OptionTable& table, const StoredConfig& stored, std::span<const Assignment> given, bool evaluates) {
  StoredConfigNotes notes{.unknown = set_to(table, stored), .replaced = {}, .idle = {}};
  const std::vector<Option> before(table.options().begin(), table.options().end());
  std::vector<std::string> was;
  for (const Option& o : before) was.push_back(o.get());
  assign(table, given);
  std::string refused;
  for (std::size_t i = 0; i < was.size(); ++i) {
    Option& option = table.options()[i];
    const std::string is = option.get(), origin = option.origin;
    if (is == was[i] || option.concern == Concern::machine) continue;
    if (!stored.complete && before[i].origin == kDefaultOrigin) continue;
    const std::string text = join_text(option.key, " = ", shown(is)),
                      both = join_text(text, " (", origin, "), the checkpoint has ", shown(was[i]));
    if (option.concern == Concern::use) {
      if (origin != kCommandLineOrigin) notes.replaced.push_back(both);
      continue;
    }
    if (option.concern == Concern::model || (option.concern == Concern::data && evaluates)) {
      refused += "\n  " + both;
    } else if (origin == kCommandLineOrigin) {
      notes.idle.push_back(text);
    }
    option.set(was[i]);
    option.origin = before[i].origin;
  }
  require<ConfigError>(refused.empty(), stored.path,
                       ": the checkpoint decides over the model and its data; these settings differ from it:", refused,
                       "\nleave them, or CONFIG, out: the checkpoint's values count");
  return notes;
}

}  // namespace capstan::engine
