#pragma once
// Progress: what a person watching a run wants to know — loss, speed, loader waits, time left, memory. Not a log (run_log.h).
//
// On a terminal a bar with as much beside it as the width takes, rewritten at most ten times a second; elsewhere a line per interval with
// everything. Writing never waits and never fails: if the other end is full, stopped or closed, output is dropped and the run goes on.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace capstan::engine {

struct ProgressState {
  std::int64_t step = 0, total_steps = 0;  ///< 0: unknown
  std::int64_t epoch = 0, epochs = 0;      ///< from 1
  double loss = 0;                         ///< of the last step
  double items = 0;                        ///< since the run began
  double loader_wait = 0;                  ///< seconds since the run began
};

class Progress {
 public:
  enum class Mode { off, bar, lines };
  /// Mode for a descriptor: bar on a terminal, lines elsewhere, off if it is not open.
  static Mode mode_of(int fd);

  /// `first_step`: steps done before this run.
  Progress(int fd, Mode mode, std::int64_t first_step, double line_interval = 10.0);
  ~Progress() { finish(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// After every step; cheap when nothing is due.
  void update(const ProgressState& state) { update(state, now()); }
  void update(const ProgressState& state, double now);
  /// What the last validation found, shown from now on: "accuracy 0.9120".
  void metric(std::string text) { metric_ = std::move(text); }
  /// Lines of their own, above the bar; in colour on a terminal that takes it.
  void message(std::string_view text);
  /// Shows the last state and leaves the line.
  void finish();

  double loss_average() const { return loss_average_; }
  /// The line for a state, without control characters.
  std::string line(const ProgressState& state, double now) const;
  /// The bar for a state and what fits beside it into this many columns.
  std::string bar(const ProgressState& state, double now, std::size_t columns, bool unicode) const;

 private:
  /// A part of the line; those of the highest rank are left out first where there is no room.
  struct Part {
    int rank;
    std::string text;
  };
  static double now();
  void show(double now);
  std::vector<Part> parts(const ProgressState& state, double now) const;

  int fd_;
  Mode mode_;
  std::int64_t first_step_;
  double interval_, start_, last_shown_;
  ProgressState state_;
  double loss_average_ = 0;
  // The window that speed is measured over: since the last line (lines), or an average over recent updates (bar).
  ProgressState window_;
  double window_start_;
  double seconds_per_step_ = 0, items_per_second_ = 0, wait_share_ = 0;
  bool any_ = false, open_line_ = false;
  std::string metric_;
};

/// How far an evaluation is. On a terminal a bar that is gone when the evaluation is done; nothing elsewhere.
class EvaluationProgress {
 public:
  /// `name`: of what is evaluated, "validation". `total`: batches or cases; 0: unknown.
  EvaluationProgress(int fd, std::string name, std::int64_t total);
  ~EvaluationProgress();
  EvaluationProgress(const EvaluationProgress&) = delete;
  EvaluationProgress& operator=(const EvaluationProgress&) = delete;

  /// After every batch; cheap when nothing is due.
  void update(std::int64_t done);
  static std::string line(std::string_view name, std::int64_t done, std::int64_t total, double seconds, std::size_t columns, bool unicode);

 private:
  int fd_;
  bool shown_, open_line_ = false;
  std::string name_;
  std::int64_t total_;
  double start_, last_shown_;
};

}  // namespace capstan::engine
