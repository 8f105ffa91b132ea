#include "recipes/engine/config/arguments.h"

#include <algorithm>
#include <boost/program_options.hpp>

#include "autograd/core/nearest_name.h"
#include "recipes/engine/config/renamed_keys.h"
#include "recipes/engine/config/value.h"

namespace capstan::engine {

namespace po = boost::program_options;

bool Arguments::has(std::string_view flag) const {
  return std::any_of(flags.begin(), flags.end(), [&](const auto& f) { return f.first == flag; });
}

std::string Arguments::value(std::string_view flag, std::string_view otherwise) const {
  for (const auto& f : flags)
    if (f.first == flag) return f.second;
  return std::string(otherwise);
}

Arguments parse_arguments(std::span<const std::string> arguments, std::span<const Flag> flags, const OptionTable* table) {
  // Boost knows "--key=value" only, takes a value apart at its first '=' wherever it stands, and refuses an empty one: every option gets
  // that form, with quotes around an empty value.
  const auto takes_value = [&](std::string_view name) {
    return std::ranges::any_of(flags, [&](const Flag& f) { return f.name == name && !f.value_name.empty(); }) ||
           (table != nullptr && table->find(name) != nullptr);
  };
  std::vector<std::string> tokens;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    std::string token = arguments[i];
    const auto equals = token.find('=');
    if (equals == std::string::npos && token.starts_with("--") && takes_value(token.substr(2))) {
      require<ConfigError>(i + 1 < arguments.size(), "command line: ", token, " needs a value");
      require<ConfigError>(!arguments[i + 1].starts_with("--"), token, " needs a value, found '", arguments[i + 1], "'");
      token += "=" + arguments[++i];
    } else if (equals != std::string::npos && equals > 0 && token.front() != '-') {
      token.insert(0, "--");
    }
    if (token.starts_with("--") && token.find('=') == token.size() - 1) token += "\"\"";
    tokens.push_back(std::move(token));
  }

  po::options_description description;
  std::vector<std::string> known;
  for (const Flag& f : flags) {
    if (f.value_name.empty()) {
      description.add_options()(f.name.c_str(), "");
    } else {
      description.add_options()(f.name.c_str(), po::value<std::string>(), "");
    }
    known.push_back("--" + f.name);
  }
  if (table != nullptr)
    for (const std::string& key : table->keys()) {
      description.add_options()(key.c_str(), po::value<std::string>(), "");
      known.push_back(key);
    }

  Arguments result;
  try {
    namespace style = po::command_line_style;
    constexpr int kStyle = style::allow_long | style::long_allow_adjacent;  // and no guessing
    const auto parsed = po::command_line_parser(tokens).options(description).style(kStyle).run();
    for (const auto& option : parsed.options) {
      require<ConfigError>(option.position_key < 0, "unexpected argument '", option.value.empty() ? std::string() : option.value.front(),
                           "'; settings are written section.key=value");
      const std::string value = option.value.empty() ? std::string() : option.value.front();
      const bool is_flag = std::any_of(flags.begin(), flags.end(), [&](const Flag& f) { return f.name == option.string_key; });
      if (is_flag) {
        require<ConfigError>(!result.has(option.string_key), "--", option.string_key, " is given twice");
        result.flags.emplace_back(option.string_key, unquoted(value));
      } else {
        // The last one counts, so that a script can append "$@" to settings of its own.
        std::erase_if(result.assignments, [&](const Assignment& a) { return a.key == option.string_key; });
        result.assignments.push_back({option.string_key, value, std::string(kCommandLineOrigin)});
      }
    }
  } catch (const po::unknown_option& e) {
    std::string name = e.get_option_name();
    name.erase(0, std::min(name.find_first_not_of('-'), name.size()));
    name = name.substr(0, name.find('='));
    std::string hint = suggestion("--" + name, known);
    if (hint.empty()) hint = suggestion(name, known);
    if (const std::string_view now = renamed_key(name); !now.empty()) hint = join_text("; it is ", now, " now");
    throw ConfigError(join_text("command line: unknown option or key '", name, "'", hint));
  } catch (const po::error& e) {
    throw ConfigError(join_text("command line: ", e.what()));
  }
  return result;
}

}  // namespace capstan::engine
