#include "recipes/engine/command/command.h"

#include <algorithm>
#include <string>

#include "autograd/core/error.h"
#include "recipes/engine/config/opening_comment.h"

namespace capstan::engine {

std::string use_text(const Command& c) {
  const ShownUse use = c.line.config_path.empty() ? ShownUse{} : shown_use(c.line.config_path);
  const auto given = [&](const std::string& key) { return std::ranges::count(c.arguments.assignments, key, &Assignment::key) > 0; };
  if (use.keys.empty() || std::ranges::any_of(use.keys, given)) return "";
  return join_text("\n", c.line.config_name, " is used like this: ", use.command);
}

std::unique_ptr<AnyRecipe> make_recipe(const Command& c, const Setup& setup) {
  return told_with("", use_text(c), [&] {
    try {
      return c.config.make(setup);
    } catch (const ShapeError& e) {
      throw ConfigError(join_text("this configuration gives no network: ", e.what()));
    } catch (const DTypeError& e) {
      throw ConfigError(join_text("this configuration gives no network: ", e.what()));
    }
  });
}

}  // namespace capstan::engine
