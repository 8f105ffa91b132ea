#include "recipes/engine/train/session.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <utility>

#include "data/file.h"
#include "recipes/engine/checkpoint/resume.h"
#include "recipes/engine/system.h"
#include "recipes/engine/terminal/metric_table.h"
#include "recipes/engine/terminal/terminal.h"

namespace capstan::engine {

std::string_view text_of(StopReason reason) {
  switch (reason) {
    case StopReason::none: return "not stopped";
    case StopReason::epochs: return "all epochs done";
    case StopReason::steps: return "train.max_steps reached";
    case StopReason::patience: return "no improvement within train.patience";
    case StopReason::signal: return "stopped by a signal";
    case StopReason::spike: return "a spike";
  }
  return "?";
}

TrainSession::TrainSession(const EngineOptions& options, Description description) : options_(options), about_(std::move(description)) {
  if (!about_.directory.empty())
    checkpoints_.emplace(about_.directory + "/checkpoints", options.checkpoint, about_.selection ? about_.selection->goal : Goal::minimize);
  const std::int64_t steps_per_epoch = (about_.batches_per_epoch + about_.batches_per_step - 1) / about_.batches_per_step;
  total_steps_ = options_.train.epochs * steps_per_epoch;
  if (options_.train.max_steps > 0 && (total_steps_ == 0 || options_.train.max_steps < total_steps_))
    total_steps_ = options_.train.max_steps;
}

void TrainSession::open_records(std::int64_t restored_step) {
  log_.emplace(about_.directory, restored_step);
  if (options_.train.tensorboard) events_.emplace(about_.directory + "/tensorboard", restored_step + 1);
  if (options_.train.report) report_.emplace(about_.directory, [this](std::string_view text) { say(text); });
}

void TrainSession::start_clock() {
  state_.window.resize(1 + 2 * about_.loss_terms.size(), 0.0);
  progress_.emplace(about_.progress_fd, Progress::mode_of(about_.progress_fd), state_.step);
  last_save_time_ = row_start_ = wall_seconds();
  first_step_ = state_.step;
}

void TrainSession::start_fresh() {
  require<ConfigError>(!checkpoints_ || checkpoints_->steps().empty(), about_.directory,
                       ": holds checkpoints of an earlier run: go on with --resume auto, or choose another run.dir");
  if (about_.selection) state_.metric = about_.selection->name;
  if (checkpoints_) open_records(-1);
  begin("new run");
}

void TrainSession::begin(std::string_view text) {
  start_clock();
  say(text);
  say(choose_threads(options_.run.threads).reason);
}

void TrainSession::forget_best() {
  state_.best_step = -1;
  state_.best_metric = std::numeric_limits<double>::quiet_NaN();
  state_.bad_validations = 0;
}

std::string TrainSession::resume_comparison(const Checkpoint& checkpoint, bool same) {
  if (!about_.selection) return "";
  const std::string& now = about_.selection->name;
  const std::string before = std::exchange(state_.metric, now);
  if (state_.best_step < 0) return "";
  if (!same) {
    forget_best();
    validation_metric_ = std::numeric_limits<double>::quiet_NaN();
    return join_text("the metric was ", before, ", is ", now, ": the comparison starts anew");
  }
  if (checkpoints_->name_best({state_.best_step, state_.best_metric}, checkpoint.path())) return "";
  const std::string lost = join_text("the best checkpoint so far, of step ", state_.best_step, ", is not there any more: ");
  forget_best();
  if (!validated_now()) return lost + "the comparison starts anew";
  state_.best_step = state_.step;
  state_.best_metric = validation_metric_;
  checkpoints_->name_best({state_.step, validation_metric_}, checkpoint.path());
  return lost + "the comparison starts with that of step " + std::to_string(state_.step);
}

void TrainSession::start_from(const Checkpoint& checkpoint) {
  const bool back = progress_.has_value();
  if (back) progress_->finish();
  forget_course();
  state_ = checkpoint.train_state();
  in_new_place_ = !checkpoints_->holds(checkpoint.path());
  open_records(state_.step);
  saved_step_ = !in_new_place_ && checkpoint.path() == checkpoints_->file_of(state_.step) ? state_.step : -1;
  // Files of earlier versions hold but what the configuration said.
  if (state_.metric.empty()) state_.metric = stored_value(checkpoint, "train.metric");
  if (state_.metric.empty()) state_.metric = about_.default_metric;
  const bool same_metric = !about_.selection || state_.metric == about_.selection->name;
  // With another metric the state is validated again where the records do not say so already.
  for (const KeptCheckpoint& k : state_.kept)
    if (k.step == state_.step && !std::isnan(k.metric) && (same_metric || !in_new_place_)) {
      validated_step_ = k.step;
      validation_metric_ = k.metric;
    }
  if (!same_metric)
    for (KeptCheckpoint& k : state_.kept) k.metric = std::numeric_limits<double>::quiet_NaN();
  checkpoints_->resume_at(state_);
  const std::string comparison = resume_comparison(checkpoint, same_metric);
  if (back) {
    start_clock();
  } else {
    begin(join_text("resumed from ", checkpoint.path(), " at step ", state_.step));
  }
  require<CheckpointError>(state_.window.size() == 1 + 2 * about_.loss_terms.size(), "checkpoint: ", checkpoint.path(),
                           ": /train/window has ", state_.window.size(), " values, expected ", 1 + 2 * about_.loss_terms.size());
  if (!comparison.empty()) say(comparison);
}

TrainSession::Standing TrainSession::standing() const {
  return {.best_step = state_.best_step,
          .bad_validations = state_.bad_validations,
          .validated_step = validated_step_,
          .saved_step = saved_step_,
          .in_new_place = in_new_place_ ? 1 : 0,
          .best_metric = state_.best_metric,
          .validation_metric = validation_metric_};
}

void TrainSession::forget_course() {
  validated_step_ = saved_step_ = -1;
  best_now_ = false;
  last_.reset();
  row_items_ = 0;
}

void TrainSession::start_from(TrainState state, const Standing& standing) {
  const bool back = progress_.has_value();
  forget_course();
  state_ = std::move(state);
  state_.best_step = standing.best_step;
  state_.best_metric = standing.best_metric;
  state_.bad_validations = standing.bad_validations;
  validated_step_ = standing.validated_step;
  validation_metric_ = standing.validation_metric;
  saved_step_ = standing.saved_step;
  in_new_place_ = standing.in_new_place != 0;
  if (back) return start_clock();
  begin(join_text("resumed at step ", state_.step));
}

void TrainSession::after_step(const StepReport& report) {
  ++state_.step;
  state_.position += report.batches;
  state_.items += report.items;
  row_items_ += report.items;
  run_items_ += report.items;
  best_now_ = false;

  const std::size_t terms = about_.loss_terms.size();
  double loss = 0;
  state_.window[0] += 1;
  for (std::size_t k = 0; k < terms; ++k) {
    state_.window[1 + k] += report.sums[k];
    state_.window[1 + terms + k] += report.counts[k];
    loss += report.sums[k] / report.counts[k];
  }
  last_ = report;
  last_->sums = last_->counts = {};  // they end with the step
  if (state_.step % options_.train.log_every == 0) write_row(report);
  progress_->update({.step = state_.step,
                     .total_steps = total_steps_,
                     .epoch = state_.epoch + 1,
                     .epochs = options_.train.epochs,
                     .loss = loss,
                     .items = run_items_,
                     .loader_wait = report.loader_wait});
}

JsonRow TrainSession::row_of(const StepReport& report) const {
  const std::size_t terms = about_.loss_terms.size();
  const double passed = std::max(wall_seconds() - row_start_, 1e-9);
  JsonRow row{{"step", state_.step}, {"epoch", state_.epoch}, {"split", std::string("train")}};
  double loss = 0;
  JsonRow parts;
  for (std::size_t k = 0; k < terms; ++k) {
    const double mean = state_.window[1 + k] / state_.window[1 + terms + k];
    loss += mean;
    parts.emplace_back(about_.loss_terms[k], mean);
  }
  row.emplace_back("loss", loss);
  if (terms > 1) row.insert(row.end(), parts.begin(), parts.end());
  row.emplace_back("lr", report.learning_rate);
  row.emplace_back("gradient_norm", report.gradient_norm);
  row.emplace_back("items_per_s", row_items_ / passed);
  row.emplace_back("loader_wait", std::clamp((report.loader_wait - row_wait_) / passed, 0.0, 1.0));
  return row;
}

void TrainSession::layer_rows(std::span<const JsonRow> rows) {
  if (log_) log_->layer_rows(rows);
}

void TrainSession::log_row(const JsonRow& row) {
  if (log_) log_->row(row);
  if (events_ && !events_->row(row) && !std::exchange(events_failed_, true))
    say("warning: the events for TensorBoard could not be written, training goes on without them");
}

void TrainSession::write_row(const StepReport& report) {
  log_row(row_of(report));
  std::fill(state_.window.begin(), state_.window.end(), 0.0);
  row_start_ = wall_seconds();
  row_items_ = 0;
  row_wait_ = report.loader_wait;
}

bool TrainSession::end_epoch() {
  ++state_.epoch;
  state_.position = 0;
  return options_.train.evaluate_every == 0 && !validated_now();
}

bool TrainSession::validation_due() const {
  return options_.train.evaluate_every > 0 && state_.step % options_.train.evaluate_every == 0 && !validated_now();
}

bool TrainSession::validation_owed() const {
  const std::int64_t every = options_.train.evaluate_every;
  return state_.step > 0 && !validated_now() && (every > 0 ? state_.step % every == 0 : state_.position == 0);
}

bool TrainSession::is_best(const Metrics& metrics) const {
  if (metrics.empty() || !about_.selection) return false;
  const double value = value_of(metrics, about_.selection->name);
  if (state_.best_step < 0) return !std::isnan(value);
  return about_.selection->goal == Goal::maximize ? value > state_.best_metric : value < state_.best_metric;
}

void TrainSession::show(const Metrics& metrics, const std::function<std::vector<Finding>()>& findings) {
  if (report_ && is_best(metrics)) report_->findings(state_.step, findings);
}

void TrainSession::after_validation(const Metrics& metrics, double seconds) {
  validated_step_ = state_.step;
  row_start_ += seconds;
  JsonRow row{{"step", state_.step}, {"epoch", state_.epoch}, {"split", std::string("validation")}};
  std::string text = join_text("step ", state_.step, "  validation");
  for (const Metric& m : metrics) row.emplace_back(m.name, m.value);
  row.emplace_back("seconds", seconds);
  validation_metric_ = std::numeric_limits<double>::quiet_NaN();
  if (metrics.empty() || !about_.selection) return;
  const std::string& metric = about_.selection->name;
  const double value = value_of(metrics, metric);
  log_row(row);
  require<NumericalError>(!std::isnan(value), "train: the validation metric ", metric, " is NaN at step ", state_.step);
  validation_metric_ = value;
  const bool better = is_best(metrics);
  if (better) {
    state_.best_metric = value;
    state_.best_step = state_.step;
    state_.bad_validations = 0;
    text += "  (best)";
  } else {
    ++state_.bad_validations;
  }
  best_now_ = better;
  // What simple methods reach is the same every time, and said once.
  say(text + "\n" + validation_text(metrics, !std::exchange(baselines_said_, true), about_.progress_fd));
  progress_->metric(metric + " " + short_number(value));
}

StopReason TrainSession::stop() const {
  if (stop_signal() != 0) return StopReason::signal;
  if (options_.train.max_steps > 0 && state_.step >= options_.train.max_steps) return StopReason::steps;
  if (state_.epoch >= options_.train.epochs) return StopReason::epochs;
  if (options_.train.patience > 0 && state_.bad_validations >= options_.train.patience) return StopReason::patience;
  return StopReason::none;
}

bool TrainSession::due_by_time() const {
  const double minutes = options_.checkpoint.every_minutes;
  return minutes > 0 && wall_seconds() - last_save_time_ > 60 * minutes;
}

bool TrainSession::due_by_number() const {
  const std::int64_t every = options_.checkpoint.every;
  return every > 0 ? state_.step % every == 0 : validated_now();
}

void TrainSession::note_rewind_point() {
  if (state_.step <= state_.guard.rewind_step || !due_by_number()) return;
  state_.guard.rewind_step = state_.step;
  state_.guard.rewind_best = state_.best_step;
  state_.guard.rewinds = 0;
}

std::string TrainSession::rewind_file() {
  if (!checkpoints_ || state_.guard.rewind_step < 0) return "";
  if (const auto done = checkpoints_->collect(/*wait=*/true)) report_save(*done);
  const std::string file = checkpoints_->file_of(state_.guard.rewind_step);
  return std::filesystem::exists(file) ? file : "";
}

void TrainSession::leave_out(const LeftOut& left_out, const GuardState& guard) {
  state_.guard.rewind_step = guard.rewind_step;
  state_.guard.rewind_best = guard.rewind_best;
  state_.guard.rewinds = guard.rewinds + 1;
  state_.guard.left_out = guard.left_out;
  state_.guard.left_out.push_back(left_out);
  state_.epoch = left_out.end_epoch;
  state_.position = left_out.end_position;
  saved_step_ = -1;  // with another place in the data's order
}

bool TrainSession::checkpoint_due() const {
  if (saved_now()) return best_now_;
  return due_by_number() || due_by_time_.value_or(due_by_time()) || best_now_;
}

void TrainSession::save(const Image& image) {
  const double start = wall_seconds();
  if (due_by_time_) due_by_time_ = false;
  if (!checkpoints_) {
    image(state_);
    saved_step_ = state_.step;
    best_now_ = in_new_place_ = false;
    row_start_ += wall_seconds() - start;
    return;
  }
  if (const auto done = checkpoints_->collect(/*wait=*/true)) report_save(*done);
  const double metric = validated_now() ? validation_metric_ : std::numeric_limits<double>::quiet_NaN();
  state_.kept = checkpoints_->kept_with(state_.step, metric);
  std::vector<std::int64_t> held;  // that a rewind would miss
  if (options_.guard.on_spike == OnSpike::rewind) held = {state_.guard.rewind_step, state_.guard.rewind_best};
  checkpoints_->save(image(state_), state_.step, metric, best_now_, std::move(held));
  saved_step_ = state_.step;
  best_now_ = in_new_place_ = false;
  last_save_time_ = wall_seconds();
  if (report_) report_->page(/*goes_on=*/true);
  row_start_ += wall_seconds() - start;
}

void TrainSession::report_saves() {
  if (!checkpoints_) return;
  if (const auto done = checkpoints_->collect(/*wait=*/false)) report_save(*done);
}

void TrainSession::report_save(const SaveReport& report) {
  last_save_error_ = report.error;
  if (report.error.empty()) {
    say(join_text("saved ", report.path, " (", bytes_text(static_cast<double>(report.bytes)), ")"));
  } else {
    say(join_text("warning: the checkpoint of step ", report.step, " could not be saved, training goes on: ", report.error));
  }
}

void TrainSession::finish(StopReason reason) {
  if (!checkpoints_) return;
  if (const auto done = checkpoints_->collect(/*wait=*/true)) report_save(*done);
  progress_->finish();
  // A run shorter than log_every has a row too; a longer one has the rows of one that goes on.
  if (last_ && state_.step < options_.train.log_every) log_row(row_of(*last_));
  say(join_text("stopped at step ", state_.step, ": ", text_of(reason)));
  if (report_) report_->page(/*goes_on=*/false);
  if (log_->dropped() > 0) progress_->message(join_text("warning: ", log_->dropped(), " records of the run could not be written"));
  require<IoError>(last_save_error_.empty(), "checkpoint: the last state could not be saved: ", last_save_error_);
}

std::string TrainSession::record_failure(std::string_view message, const Image& image, std::string_view dump) {
  progress_->finish();
  log_row({{"step", state_.step},
           {"epoch", state_.epoch},
           {"split", std::string("train")},
           {"loss", std::numeric_limits<double>::quiet_NaN()},
           {"error", std::string(message)}});
  if (log_) log_->text(message);
  if (!checkpoints_) return "";
  const std::string path = about_.directory + "/nan_dump";
  const auto written = [&](const char* suffix, const auto& content) {
    try {
      data::write_file_durably(path + suffix, content());
      return true;
    } catch (const Error& e) {
      say(join_text("warning: no ", path, suffix, ": ", e.what()));
      return false;
    }
  };
  const bool known = written(".json", [&] { return dump; });
  if (written(".h5", [&] { return image(state_).image; })) log_->text(join_text("the weights are in ", path, ".h5"));
  if (report_) report_->page(/*goes_on=*/false);
  return known ? join_text("; dump in ", path, ".json") : "";
}

void TrainSession::record_error(std::string_view message, const Image& image) {
  if (!checkpoints_) return;
  progress_->finish();
  log_->text(join_text("stopped at step ", state_.step, " by an error: ", message));
  try {
    if (image && state_.step > first_step_ && !saved_now() && !checkpoints_->given_up()) save(image);
    if (const auto done = checkpoints_->collect(/*wait=*/true)) report_save(*done);
  } catch (const std::exception& e) {
    say(join_text("warning: what was learnt since the last save could not be saved: ", e.what()));
  }
  if (report_) report_->page(/*goes_on=*/false);
}

void TrainSession::say(std::string_view text) {
  if (log_) log_->text(text);
  progress_->message(text);
}

std::string TrainSession::best_text() const {
  return state_.best_step < 0 || !about_.selection
             ? ""
             : join_text("best ", about_.selection->name, " ", short_number(state_.best_metric), " at step ", state_.best_step);
}

}  // namespace capstan::engine
