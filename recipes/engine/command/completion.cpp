#include "recipes/engine/command/completion.h"

#include <algorithm>
#include <map>

#include "recipes/engine/command/command_line.h"

namespace capstan::engine {
namespace {

constexpr std::string_view kFrame = R"bash(
_capstan() {
  local words=("${COMP_WORDS[@]:0:COMP_CWORD+1}") line=() word i
  # Readline takes words apart at '='; here a setting is one word.
  for ((i = 0; i < ${#words[@]}; ++i)); do
    word=${words[i]}
    if [[ $word == '=' && ${#line[@]} -gt 0 ]]; then
      line[-1]+='='
      if ((i + 1 < ${#words[@]})); then ((++i)); line[-1]+=${words[i]}; fi
    else
      line+=("$word")
    fi
  done
  local count=${#line[@]} current=${line[-1]} before=${line[-2]} command=${line[1]} config=${line[2]} recipe choices
  COMPREPLY=()
  if ((count <= 2)); then
    COMPREPLY=($(compgen -W "$(_capstan_commands)" -- "$current"))
    return
  fi
  if choices=$(_capstan_value "$before"); then
    COMPREPLY=($(compgen -W "${choices#FILE}" -- "$current"))
    if [[ $choices == FILE* ]]; then COMPREPLY+=($(compgen -f -- "$current")); compopt -o filenames 2>/dev/null; fi
    return
  fi
  if ((count == 3)) && [[ $current != -* ]]; then
    COMPREPLY=($(compgen -W "$(_capstan_first "$command")" -- "$current"))
    ((${#COMPREPLY[@]})) || compopt -o default 2>/dev/null
    return
  fi
  if [[ $current == *=* ]]; then
    word=${current%%=*}
    if choices=$(_capstan_choices "${word#--}"); then
      COMPREPLY=($(compgen -W "$choices" -- "${current#*=}"))
    else
      compopt -o default 2>/dev/null
    fi
    return
  fi
  if [[ $current == -* ]]; then
    COMPREPLY=($(compgen -W "$(_capstan_flags "$command")" -- "$current"))
    return
  fi
  recipe=${config%%/*}
  [[ $config == -* ]] && recipe=any
  [[ -f $config ]] && recipe=$(sed -n 's/^ *recipe *= *\([a-zA-Z0-9_]*\).*/\1/p' "$config" | head -n 1)
  COMPREPLY=($(compgen -W "$(_capstan_keys "$recipe")" -S = -- "$current"))
  compopt -o nospace 2>/dev/null
}
complete -F _capstan capstan
)bash";

/// A shell function that prints a text for each first argument; fails for others.
class Function {
 public:
  explicit Function(std::string_view name) : text_(std::string(name) + "() {\n  case $1 in\n") {}
  void add(std::string_view word, std::string_view answer) {
    text_.append("    ").append(word).append(") echo '").append(answer).append("' ;;\n");
  }
  std::string done() const { return text_ + "    *) return 1 ;;\n  esac\n}\n"; }

 private:
  std::string text_;
};

/// "FILE|best|latest" -> "FILE best latest": FILE first, for which any file may stand.
std::string file_or(std::string value_name) {
  value_name.erase(value_name.find("FILE"), 4);
  for (char& c : value_name)
    if (c == '|') c = ' ';
  return "FILE " + value_name;
}

/// "f32|bf16" -> "f32 bf16"; nothing where the type is no list of choices.
std::string choices_of(std::string type) {
  if (type.find('|') == std::string::npos) return "";
  std::ranges::replace(type, '|', ' ');
  return type;
}

}  // namespace

std::string bash_completion(std::span<const RecipeEntry> recipes) {
  std::string names = "help";
  std::string configs, recipe_names;
  Function first("_capstan_first"), flags("_capstan_flags"), values("_capstan_value"), keys("_capstan_keys"), choices("_capstan_choices");
  for (const RecipeEntry& r : recipes) {
    recipe_names.append(recipe_names.empty() ? "" : " ").append(r.name);
    for (const std::string& c : configs_of(r.name)) configs.append(configs.empty() ? "" : " ").append(c);
  }
  std::vector<std::string> seen;  // words that stand in a function already
  const auto once = [&](const std::string& word) {
    if (std::ranges::find(seen, word) != seen.end()) return false;
    seen.push_back(word);
    return true;
  };
  for (const CommandText& c : commands()) {
    names.append(" ").append(c.name);
    first.add(c.name, c.on_recipe ? configs + (c.uses_checkpoint() ? " --checkpoint" : "") : c.name == "completion" ? "bash" : "");
    std::string all = "--help";
    for (const Flag& f : c.flags) {
      all.append(" --").append(f.name);
      if (f.value_name.empty() || !once("--" + f.name)) continue;
      const bool file = f.value_name.find("FILE") != std::string::npos;
      values.add("--" + f.name, file ? file_or(f.value_name) : f.value_name == "RECIPE" ? recipe_names : choices_of(f.value_name));
    }
    flags.add(c.name, all);
  }
  std::map<std::string, std::size_t> common;  // how many recipes have a key
  for (const RecipeEntry& r : recipes) {
    const auto config = r.configuration();
    std::string all;
    for (const Option& o : config->table().options()) {
      all.append(all.empty() ? "" : " ").append(o.key);
      ++common[o.key];
      if (const std::string words = choices_of(o.type); !words.empty() && once(o.key)) choices.add(o.key, words);
    }
    keys.add(r.name, all);
  }
  std::string of_all;
  for (const auto& [key, count] : common)
    if (count == recipes.size()) of_all.append(of_all.empty() ? "" : " ").append(key);
  keys.add("any", of_all);
  return "# bash completion of capstan " + std::string(kVersion) + ", made from its tables: source <(capstan completion bash)\n" +
         "_capstan_commands() { echo '" + names + "'; }\n" + first.done() + flags.done() + values.done() + keys.done() + choices.done() +
         std::string(kFrame.substr(1));
}

}  // namespace capstan::engine
