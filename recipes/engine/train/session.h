#pragma once
// TrainSession: the part of the train loop that no recipe changes — counting, records, progress, selection of the best, early stopping,
// checkpoints, reasons to stop. The loop itself is train.h.

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "recipes/engine/checkpoint/checkpoint.h"
#include "recipes/engine/checkpoint/checkpoint_directory.h"
#include "recipes/engine/config/options.h"
#include "recipes/engine/recipe.h"
#include "recipes/engine/report/event_file.h"
#include "recipes/engine/report/live_report.h"
#include "recipes/engine/report/run_log.h"
#include "recipes/engine/terminal/progress.h"

namespace capstan::engine {

enum class StopReason { none, epochs, steps, patience, signal, spike };

/// What one step tells the session.
struct StepReport {
  std::span<const double> sums, counts;  ///< of the loss terms
  double gradient_norm = 0, learning_rate = 0;
  double items = 0;
  std::int64_t batches = 0;
  double loader_wait = 0;  ///< seconds since training began
};

class TrainSession {
 public:
  /// The content of a checkpoint of this state. Where another process has the directory, what this one does for it; the result is not used.
  using Image = std::function<CheckpointContent(const TrainState&)>;

  struct Description {
    std::string directory;  ///< of the run; exists, and is locked by the caller. Empty: another process writes the records and checkpoints
    CheckpointMeta meta;
    std::vector<std::string> loss_terms;
    std::optional<MetricInfo> selection = {};  ///< what picks the best checkpoint and stops early; nothing: there is no validation
    std::string default_metric = {};           ///< what would, if the configuration named none
    std::int64_t batches_per_epoch = 0;        ///< may be an estimate, for the time left
    std::int64_t batches_per_step = 1;
    int progress_fd = -1;
  };
  TrainSession(const EngineOptions& options, Description description);

  /// Checkpoints are looked for and kept here; the trainer calls one of these two first.
  CheckpointDirectory& checkpoints() { return *checkpoints_; }
  void start_fresh();
  /// Goes on from a checkpoint, also back to one of this run. What is the best of its course stays so, and best.h5 names it, where the file
  /// of it is found; another
  /// metric, or the loss of that file, starts the comparison anew, which is said.
  void start_from(const Checkpoint& checkpoint);
  /// What the session that has the directory has made of a checkpoint.
  struct Standing {
    std::int64_t best_step = -1, bad_validations = 0, validated_step = -1, saved_step = -1, in_new_place = 0;
    double best_metric = 0, validation_metric = 0;
  };
  Standing standing() const;
  /// Where another process has the directory: goes on from what the session of that one has made of the checkpoint of this state.
  void start_from(TrainState state, const Standing& standing);
  /// The directory has nothing yet of the run that goes on here.
  bool in_new_place() const { return in_new_place_; }

  TrainState& state() { return state_; }
  const TrainState& state() const { return state_; }

  void after_step(const StepReport& report);
  /// Rows of layers.jsonl, of the step that is under way.
  void layer_rows(std::span<const JsonRow> rows);
  /// The epoch is over: counts it. True if a validation is due.
  bool end_epoch();
  /// True if a validation is due after this step.
  bool validation_due() const;
  /// True after a resume if a validation was due where the run was saved, but a signal had cut it short.
  bool validation_owed() const;
  /// Records a validation and decides whether it is the best. Throws NumericalError if the deciding metric is NaN.
  void after_validation(const Metrics& metrics, double seconds);
  bool validated_now() const { return validated_step_ == state_.step; }
  /// For the report: what a validation with these metrics, still to be recorded, shows. It is made only where it is the best so far.
  void show(const Metrics& metrics, const std::function<std::vector<Finding>()>& findings);

  /// Reasons to stop now.
  StopReason stop() const;

  bool checkpoint_due() const;
  /// At the end of a step: a checkpoint that is due by its number or its validation, wherever a run was interrupted, is what a spike leads
  /// back to (guard.h).
  void note_rewind_point();
  /// The file of the last such checkpoint, when its save is done; empty if there is none, or another process has it.
  std::string rewind_file();
  /// After start_from went back to it: what is learnt from next lies behind `left_out`. `guard`: as it was before.
  void leave_out(const LeftOut& left_out, const GuardState& guard);
  /// Whether one is due by the time that has passed; of several processes the first one's clock counts, once they have been told.
  bool due_by_time() const;
  void agree_on_time(bool due) { due_by_time_ = due; }
  /// Saves now; `image` builds the content from the state. Reports earlier saves. A failed save is reported, not thrown, until the third in
  /// a row.
  void save(const Image& image);
  /// Says how the last save went if that is known by now. Throws IoError at the third failure in a row.
  void report_saves();
  bool saved_now() const { return saved_step_ == state_.step; }
  /// Waits for the save under way, ends the records. Throws IoError if the last save failed.
  void finish(StopReason reason);
  /// After a NumericalError: a row that says so, the last finite weights in nan_dump.h5, and `dump`, what is known of it, in
  /// nan_dump.json. Returns what the message says of the files.
  std::string record_failure(std::string_view message, const Image& image, std::string_view dump);
  /// After any other error, which is logged. What was learnt since the last save is saved; not without an `image`, which means that the
  /// state is not that of a whole step.
  void record_error(std::string_view message, const Image& image);

  void say(std::string_view text);  ///< to log.txt and above the progress bar
  /// "best ndcg@10 0.5912 at step 900"; empty without validation.
  std::string best_text() const;

 private:
  /// Whether a validation with these metrics is the best so far.
  bool is_best(const Metrics& metrics) const;
  /// Of the steps since the last row.
  JsonRow row_of(const StepReport& report) const;
  void log_row(const JsonRow& row);
  void write_row(const StepReport& report);
  void report_save(const SaveReport& report);
  /// Opens the records of a run restored at this step; -1: a new one.
  void open_records(std::int64_t restored_step);
  void start_clock();
  void begin(std::string_view text);
  bool due_by_number() const;  ///< or by its validation
  /// What the comparison has come to, after a resume, in words; empty: as it was.
  std::string resume_comparison(const Checkpoint& checkpoint, bool same_metric);
  void forget_best();
  void forget_course();  ///< what was noted since start_from

  EngineOptions options_;
  Description about_;
  TrainState state_;
  std::optional<CheckpointDirectory> checkpoints_;
  std::optional<RunLog> log_;
  std::optional<EventFile> events_;
  std::optional<LiveReport> report_;
  std::optional<Progress> progress_;
  std::int64_t first_step_ = 0, validated_step_ = -1, saved_step_ = -1, total_steps_ = 0;
  double validation_metric_ = 0;  // at validated_step_
  bool best_now_ = false, baselines_said_ = false, in_new_place_ = false, events_failed_ = false;
  std::optional<StepReport> last_;  // without its sums
  double last_save_time_ = 0;
  std::optional<bool> due_by_time_;  // what was agreed
  // The clock of the present row: pauses for validation and saving do not count.
  double row_start_ = 0, row_items_ = 0, row_wait_ = 0, run_items_ = 0;
  std::string last_save_error_;
};

std::string_view text_of(StopReason reason);

}  // namespace capstan::engine
