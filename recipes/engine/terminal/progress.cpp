#include "recipes/engine/terminal/progress.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "recipes/engine/system.h"

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

std::string Progress::line(const ProgressState& s, double now) const {
  std::string out;
  if (s.epochs > 0) out += format("epoch %lld/%lld  ", static_cast<long long>(s.epoch), static_cast<long long>(s.epochs));
  out += format("step %lld", static_cast<long long>(s.step));
  if (s.total_steps > 0)
    out += format("/%lld %3.0f%%", static_cast<long long>(s.total_steps),
                  100.0 * static_cast<double>(s.step) / static_cast<double>(s.total_steps));
  out += format("  loss %.4g", loss_average_);
  if (seconds_per_step_ > 0) {
    out += format("  %.*f items/s  %.1f ms/step", items_per_second_ < 10 ? 1 : 0, items_per_second_, 1e3 * seconds_per_step_);
    out += format("  loader %.0f%%", 100 * wait_share_);
    if (s.total_steps > s.step) out += "  left " + duration_text(static_cast<double>(s.total_steps - s.step) * seconds_per_step_);
  }
  return out + "  run " + duration_text(now - start_) + "  peak " + bytes_text(static_cast<double>(peak_rss_bytes()));
}

void Progress::show(double now) {
  last_shown_ = now;
  std::string text = line(state_, now);
  if (mode_ == Mode::lines) {
    write_or_drop(fd_, text + "\n");
    return;
  }
  winsize size{};
  const std::size_t columns = ::ioctl(fd_, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : 120;
  text.resize(std::min(text.size(), columns - 1));  // a wrapped line could not be rewritten
  write_or_drop(fd_, "\r" + text + "\x1b[K");
  open_line_ = true;
}

void Progress::message(std::string_view text) {
  if (mode_ == Mode::off) return;
  std::string out = open_line_ ? "\r\x1b[K" : "";
  out += text;
  if (!out.ends_with('\n')) out += '\n';
  write_or_drop(fd_, out);
  open_line_ = false;
}

void Progress::finish() {
  if (mode_ == Mode::off) return;
  if (any_) show(now());
  if (open_line_) write_or_drop(fd_, "\n");
  open_line_ = any_ = false;
}

}  // namespace capstan::engine
