#include "recipes/engine/report/run_result.h"

#include <filesystem>
#include <utility>

#include "autograd/core/error.h"
#include "data/file.h"
#include "data/json.h"
#include "recipes/engine/report/run_log.h"

namespace capstan::engine {
namespace {

std::string result_file(const std::string& directory) { return directory + "/" + std::string(kRunResult); }

constexpr std::string_view kHigher = "higher", kLower = "lower";

}  // namespace

void write_result(const std::string& directory, const RunResult& result) {
  JsonRow row{{"step", result.step}, {"epoch", result.epoch}, {"stopped", result.stopped}};
  if (result.metric && result.best_step >= 0) {
    row.emplace_back("metric", result.metric->name);
    row.emplace_back("better", std::string(result.metric->goal == Goal::minimize ? kLower : kHigher));
    row.emplace_back("best", result.best);
    row.emplace_back("best_step", result.best_step);
  }
  data::write_file_durably(result_file(directory), std::string_view(to_json(row) + "\n"));
}

std::optional<RunResult> read_result(const std::string& directory) {
  try {
    const data::Json json = data::read_json(result_file(directory));
    RunResult result{.step = json["step"].integer(), .epoch = json["epoch"].integer(), .stopped = std::string(json["stopped"].text())};
    if (json.has("metric")) {
      result.metric =
          MetricInfo{.name = std::string(json["metric"].text()), .goal = json["better"].text() == kLower ? Goal::minimize : Goal::maximize};
      result.best = json["best"].number();
      result.best_step = json["best_step"].integer();
    }
    return result;
  } catch (const IoError&) {
  } catch (const DataError&) {
  }
  return std::nullopt;
}

void remove_result(const std::string& directory) {
  std::error_code ignored;
  std::filesystem::remove(result_file(directory), ignored);
}

}  // namespace capstan::engine
