#pragma once
// Progress: what a person watching a run wants to know — loss, speed, loader waits, time left, memory. Not a log (run_log.h).
//
// On a terminal one line, rewritten at most ten times a second; elsewhere a line per interval. Writing never waits and never fails:
// if the other end is full, stopped or closed, output is dropped and the run goes on.

#include <cstdint>
#include <string>
#include <string_view>

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
  /// A line of its own, above the bar.
  void message(std::string_view text);
  /// Shows the last state and leaves the line.
  void finish();

  double loss_average() const { return loss_average_; }
  /// The line for a state, without control characters.
  std::string line(const ProgressState& state, double now) const;

 private:
  static double now();
  void show(double now);

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
};

}  // namespace capstan::engine
