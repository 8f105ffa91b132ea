#include "recipes/engine/command/score_files.h"

#include <algorithm>
#include <filesystem>
#include <ostream>
#include <system_error>
#include <vector>

#include "autograd/core/error.h"
#include "data/output_file.h"
#include "recipes/engine/command/command_line.h"
#include "recipes/engine/config/config_file.h"
#include "recipes/engine/report/run_log.h"
#include "recipes/engine/system.h"
#include "recipes/engine/terminal/metric_table.h"
#include "recipes/engine/terminal/terminal.h"

namespace capstan::engine {
namespace {

bool is_given(std::span<const std::string> arguments, const std::string& flag) {
  return std::ranges::any_of(arguments, [&](const std::string& a) { return a == flag || a.starts_with(flag + "="); });
}

/// The recipe of CONFIG: of "detr", "detr/quickstart", or a file that names it.
std::string recipe_named_by(const std::string& config) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(config, error)) return config.substr(0, config.find('/'));
  const std::vector<Assignment> file = read_config_file(config);
  const auto found = std::ranges::find(file, "recipe", &Assignment::key);
  require<ConfigError>(found != file.end(), config, ": must name its recipe: recipe = NAME before the first section");
  return found->value;
}

}  // namespace

bool scores_files(std::span<const std::string> arguments) {
  const bool detections = is_given(arguments, "--detections"), annotations = is_given(arguments, "--annotations");
  require<ConfigError>(detections == annotations,
                       "evaluate: --detections FILE, what was found, and --annotations FILE, what there is, "
                       "belong together; found --",
                       detections ? "detections" : "annotations", " alone");
  return detections;
}

int score_files(std::span<const FileScorer> scorers, std::span<const std::string> arguments, const Console& console) {
  std::string known;
  for (const FileScorer& s : scorers) known += join_text(known.empty() ? "" : ", ", s.recipe);
  const bool has_config = !arguments.empty() && !arguments[0].starts_with('-');
  require<ConfigError>(has_config, "evaluate: --detections: the first argument must name the recipe whose metric is taken: ", known);
  const std::string recipe = recipe_named_by(arguments[0]);
  const auto scorer = std::ranges::find(scorers, recipe, &FileScorer::recipe);
  require<ConfigError>(scorer != scorers.end(), "evaluate: --detections: '", recipe,
                       "' does not score files; what does: ", known.empty() ? "none" : known);
  const Arguments given = parse_arguments(arguments.subspan(1), flags_of("evaluate"), nullptr);
  for (const char* flag : {"checkpoint", "split", "print-config"})
    require<ConfigError>(!given.has(flag), "evaluate: --", flag, " is of a model and does not go with --detections");

  const std::string detections = given.value("detections"), annotations = given.value("annotations");
  const FileScores scores = scorer->score(detections, annotations);
  for (const std::string& line : data::lines_of(scores.report)) console.err << line << "\n";
  if (given.has("curves")) data::write_output(expand_home(given.value("curves")), scores.curves);
  if (given.has("json")) {
    JsonRow row{{"detections", detections}, {"annotations", annotations}};
    for (const Metric& m : scores.metrics) row.emplace_back(m.name, m.value);
    console.out << to_json(row) << "\n";
    return kOk;
  }
  if (is_terminal(console.out_fd)) {
    console.out << to_text(metric_table(scores.metrics), columns_of(console.out_fd));
  } else {
    for (const Metric& m : scores.metrics) console.out << m.name << "  " << join_text(m.value) << "\n";
  }
  console.out << scores.details;
  return kOk;
}

}  // namespace capstan::engine
