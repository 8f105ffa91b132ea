#pragma once
// A command on a configuration that has been read, and the recipe that it makes.

#include <memory>
#include <string>

#include "recipes/engine/any_recipe.h"
#include "recipes/engine/command/command_line.h"
#include "recipes/engine/command/configure.h"
#include "recipes/engine/config/arguments.h"

namespace capstan::engine {

struct Command {
  const CommandLine& line;
  AnyConfig& config;
  const Arguments& arguments;
  const Console& console;
  const EngineOptions& options() const { return config.engine(); }
};

/// For the end of an error over settings or data: how the configuration is used, in a line of its own as its file shows it. Empty where one
/// of those settings was given, or the file shows nothing.
std::string use_text(const Command& command);

/// The recipe, with its data open. A network that cannot be built as the configuration says is a ConfigError. Errors end with use_text.
std::unique_ptr<AnyRecipe> make_recipe(const Command& command, const Setup& setup);

}  // namespace capstan::engine
