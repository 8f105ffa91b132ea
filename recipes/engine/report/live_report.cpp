#include "recipes/engine/report/live_report.h"

#include <exception>
#include <span>
#include <utility>

#include "autograd/core/error.h"
#include "data/file.h"
#include "recipes/engine/report/finding_file.h"
#include "recipes/engine/report/report_page.h"
#include "recipes/engine/report/run_record.h"

namespace capstan::engine {
namespace {

constexpr std::int64_t kReloadSeconds = 30;

}  // namespace

LiveReport::LiveReport(std::string directory, std::function<void(std::string_view)> say)
    : directory_(std::move(directory)), say_(std::move(say)) {}

void LiveReport::attempt(const std::string& path, const std::function<void()>& write) {
  try {
    write();
  } catch (const std::exception& e) {
    if (!std::exchange(failed_, true)) say_(join_text("warning: ", path, " could not be written, training goes on: ", e.what()));
  }
}

void LiveReport::findings(std::int64_t step, const std::function<std::vector<Finding>()>& findings) {
  const std::string path = join_text(directory_, "/", kFindingsFile);
  attempt(path, [&] { data::write_file_durably(path, std::string_view(findings_json(step, "validation", findings()))); });
}

void LiveReport::page(bool goes_on) {
  const std::string path = join_text(directory_, "/", kReportFile);
  attempt(path, [&] {
    RunRecord run = read_run(directory_, /*own=*/true);
    if (goes_on) run.state = RunRecord::State::running;
    const std::string text = report_page(std::span(&run, 1), {.smoothing = {}, .reload_seconds = goes_on ? kReloadSeconds : 0});
    data::write_file_durably(path, std::string_view(text));
  });
}

}  // namespace capstan::engine
