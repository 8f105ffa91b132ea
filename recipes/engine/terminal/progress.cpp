#include "recipes/engine/terminal/progress.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "autograd/core/error.h"
#include "recipes/engine/system.h"
#include "recipes/engine/terminal/terminal.h"

namespace capstan::engine {
namespace {

constexpr double kBarInterval = 0.1;  // seconds
constexpr double kWindow = 2.0;       // seconds over which the bar measures speed
constexpr double kLossMemory = 0.98;  // weight of the past in the average of the loss

template <class... Args>
std::string format(const char* pattern, Args... args) {
  char text[160];
  const int n = std::snprintf(text, sizeof text, pattern, args...);
  return std::string(text, static_cast<std::size_t>(std::clamp(n, 0, static_cast<int>(sizeof text) - 1)));
}

/// A bar of this many columns; with UTF-8 it grows by eighths of a column.
std::string bar_text(double share, std::size_t columns, bool unicode) {
  share = std::clamp(share, 0.0, 1.0);
  if (!unicode) {
    const auto full = static_cast<std::size_t>(share * static_cast<double>(columns));
    return std::string("[").append(full, '#').append(columns - full, '.').append("]");
  }
  static constexpr const char* kEighths[] = {" ", "\u258f", "\u258e", "\u258d", "\u258c", "\u258b", "\u258a", "\u2589"};
  const auto eighths = static_cast<std::size_t>(share * static_cast<double>(8 * columns));
  std::string out = "\u2595";
  for (std::size_t i = 0; i < columns; ++i) out += 8 * (i + 1) <= eighths ? "\u2588" : 8 * i >= eighths ? " " : kEighths[eighths - 8 * i];
  return out + "\u258f";
}

}  // namespace

double Progress::now() { return wall_seconds(); }

Progress::Mode Progress::mode_of(int fd) {
  if (::fcntl(fd, F_GETFD) < 0) return Mode::off;
  return ::isatty(fd) == 1 ? Mode::bar : Mode::lines;
}

Progress::Progress(int fd, Mode mode, std::int64_t first_step, double line_interval)
    : fd_(fd),
      mode_(mode),
      first_step_(first_step),
      interval_(mode == Mode::bar ? kBarInterval : line_interval),
      start_(now()),
      last_shown_(start_),
      window_start_(start_) {
  window_.step = state_.step = first_step;
}

void Progress::update(const ProgressState& state, double now) {
  // The average starts as the plain mean of the first losses.
  const auto steps = static_cast<double>(std::max<std::int64_t>(state.step - first_step_, 1));
  const double keep = std::min(kLossMemory, (steps - 1) / steps);
  loss_average_ = any_ ? keep * loss_average_ + (1 - keep) * state.loss : state.loss;
  any_ = true;
  state_ = state;
  if (mode_ == Mode::off || now - last_shown_ < interval_) return;
  const double passed = now - window_start_;
  const auto done = static_cast<double>(state.step - window_.step);
  if (passed > 0 && done > 0 && (mode_ == Mode::lines || passed >= kWindow || seconds_per_step_ == 0)) {
    seconds_per_step_ = passed / done;
    items_per_second_ = (state.items - window_.items) / passed;
    wait_share_ = std::clamp((state.loader_wait - window_.loader_wait) / passed, 0.0, 1.0);
    window_ = state;
    window_start_ = now;
  }
  show(now);
}

std::vector<Progress::Part> Progress::parts(const ProgressState& s, double now) const {
  std::vector<Part> out;
  if (s.epochs > 0) out.push_back({3, format("epoch %lld/%lld", static_cast<long long>(s.epoch), static_cast<long long>(s.epochs))});
  std::string step = format("step %lld", static_cast<long long>(s.step));
  if (s.total_steps > 0)
    step += format("/%lld %3.0f%%", static_cast<long long>(s.total_steps),
                   100.0 * static_cast<double>(s.step) / static_cast<double>(s.total_steps));
  out.push_back({0, step});
  out.push_back({1, join_text("loss ", short_number(loss_average_))});
  if (!metric_.empty()) out.push_back({2, metric_});
  if (seconds_per_step_ > 0) {
    out.push_back({4, format("%.*f items/s", items_per_second_ < 10 ? 1 : 0, items_per_second_)});
    out.push_back({8, format("%.1f ms/step", 1e3 * seconds_per_step_)});
    out.push_back({6, format("loader %.0f%%", 100 * wait_share_)});
    if (s.total_steps > s.step)
      out.push_back({2, join_text("left ", duration_text(static_cast<double>(s.total_steps - s.step) * seconds_per_step_))});
  }
  out.push_back({5, join_text("run ", duration_text(now - start_))});
  out.push_back({7, join_text("peak ", bytes_text(static_cast<double>(peak_rss_bytes())))});
  return out;
}

std::string Progress::line(const ProgressState& s, double now) const {
  std::string out;
  for (const Part& p : parts(s, now)) out += (out.empty() ? "" : "  ") + p.text;
  return out;
}

std::string Progress::bar(const ProgressState& s, double now, std::size_t columns, bool unicode) const {
  const std::size_t frame = s.total_steps > 0 ? (columns >= 100 ? 20 : columns >= 60 ? 12 : 0) : 0;
  std::string out;
  if (frame > 0) out = bar_text(static_cast<double>(s.step) / static_cast<double>(s.total_steps), frame - 2, unicode);
  std::vector<Part> shown = parts(s, now);
  const auto width = [&] {
    std::size_t sum = frame;
    for (const Part& p : shown) sum += (sum == 0 ? 0 : 2) + width_of(p.text);
    return sum;
  };
  while (shown.size() > 1 && width() > columns) shown.erase(std::ranges::max_element(shown, {}, &Part::rank));
  for (const Part& p : shown) out += (out.empty() ? "" : "  ") + p.text;
  return cut_to(out, columns);
}

void Progress::show(double now) {
  last_shown_ = now;
  if (mode_ == Mode::lines) {
    write_or_drop(fd_, line(state_, now) + "\n");
    return;
  }
  // One column stays empty: a line that fills the last one would wrap on some terminals and could not be rewritten.
  write_or_drop(fd_, join_text("\r", bar(state_, now, columns_of(fd_) - 1, shows_unicode()), "\x1b[K"));
  open_line_ = true;
}

void Progress::message(std::string_view text) {
  if (mode_ == Mode::off) return;
  std::string out = open_line_ ? "\r\x1b[K" : "";
  out += mode_ == Mode::bar && shows_colour(fd_) ? highlighted(text) : std::string(text);
  if (!text.ends_with('\n')) out += '\n';
  write_or_drop(fd_, out);
  open_line_ = false;
}

void Progress::finish() {
  if (mode_ == Mode::off) return;
  if (any_) show(now());
  if (open_line_) write_or_drop(fd_, "\n");
  open_line_ = any_ = false;
}

EvaluationProgress::EvaluationProgress(int fd, std::string name, std::int64_t total)
    : fd_(fd), shown_(is_terminal(fd)), name_(std::move(name)), total_(total), start_(wall_seconds()), last_shown_(start_) {}

EvaluationProgress::~EvaluationProgress() {
  if (open_line_) write_or_drop(fd_, "\r\x1b[K");
}

void EvaluationProgress::update(std::int64_t done) {
  if (!shown_) return;
  const double now = wall_seconds();
  if (now - last_shown_ < kBarInterval) return;
  last_shown_ = now;
  write_or_drop(fd_, join_text("\r", line(name_, done, total_, now - start_, columns_of(fd_) - 1, shows_unicode()), "\x1b[K"));
  open_line_ = true;
}

std::string EvaluationProgress::line(std::string_view name, std::int64_t done, std::int64_t total, double seconds, std::size_t columns,
                                     bool unicode) {
  std::string out(name);
  const double share = total > 0 ? static_cast<double>(done) / static_cast<double>(total) : 0;
  if (total > 0 && columns >= 60) out += join_text("  ", bar_text(share, 18, unicode));
  out += format("  batch %lld", static_cast<long long>(done));
  if (total > 0) out += format("/%lld %3.0f%%", static_cast<long long>(total), 100 * share);
  if (share > 0) out += "  left " + duration_text(seconds / share * (1 - share));
  return cut_to(out, columns);
}

}  // namespace capstan::engine
