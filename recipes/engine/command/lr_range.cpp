#include "recipes/engine/command/lr_range.h"

#include <filesystem>
#include <limits>
#include <ostream>
#include <utility>

#include "autograd/core/error.h"
#include "data/file.h"
#include "data/output_file.h"
#include "recipes/engine/checkpoint/checkpoint_directory.h"
#include "recipes/engine/system.h"
#include "recipes/engine/terminal/progress.h"
#include "recipes/engine/terminal/terminal.h"
#include "recipes/engine/train/trial_steps.h"

namespace capstan::engine {

int run_rate_range(const Training& training, const EngineOptions& options, RateCurve curve, const std::string& directory,
                   const Console& console) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  require<IoError>(!error, directory, ": cannot create the directory: ", error.message());
  const RunLock lock(directory);
  const std::string file = directory + "/" + std::string(kRateRangeFile);
  data::require_output(file);  // rather now than after all steps

  const StopSignals signals;
  std::string why;
  {
    TrialSteps steps(training, options);
    Progress progress(console.progress_fd, Progress::mode_of(console.progress_fd), 0);
    double items = 0;
    while (!curve.done() && why.empty()) {
      try {
        const StepLoss loss = steps.next(curve.next_rate());
        curve.add(loss.total());
        items += loss.items;
        progress.update({.step = steps.done(),
                         .total_steps = curve.steps(),
                         .epoch = 1,
                         .epochs = 1,
                         .loss = loss.total(),
                         .items = items,
                         .loader_wait = steps.wait_seconds()});
      } catch (const NumericalError& e) {
        curve.add(std::numeric_limits<double>::quiet_NaN());
        why = e.what();
      } catch (const StopRequested&) {
        why = "a signal came";
      }
    }
    progress.finish();
  }
  data::write_file_durably(file, std::string_view(rate_rows(curve)));
  std::ostream& out = console.out;
  out << rate_table(curve.trials());
  if (!why.empty()) {
    out << "ended after " << curve.trials().size() << " of " << curve.steps() << " steps: " << why << "\n";
  } else if (std::ssize(curve.trials()) < curve.steps()) {
    out << "ended after " << curve.trials().size() << " of " << curve.steps()
        << " steps: the smoothed loss is four times its lowest value\n";
  }
  if (const auto rate = curve.steepest()) {
    out << "the loss falls fastest at " << short_number(*rate) << ", and is lowest at " << short_number(*curve.lowest())
        << ", a tenth of which is " << short_number(0.1 * *curve.lowest()) << "\n"
        << "suggested: optimizer.learning_rate=" << short_number(*rate) << "\n";
  } else if (curve.done()) {
    out << "the loss does not fall: no rate is suggested\n";
  }
  out << file << "\n";
  return stop_signal() != 0 ? 128 + stop_signal() : kOk;
}

}  // namespace capstan::engine
