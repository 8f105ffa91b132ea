#include "recipes/engine/system.h"

#include <fcntl.h>
#include <omp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <set>
#include <vector>

#include "autograd/core/error.h"
#include "recipes/engine/control_groups.h"

namespace capstan::engine {
namespace {

// A signal is taken by any thread, and asked for by others.
constexpr int kNotAgreed = -1;
std::atomic<int> requested_stop = 0;
std::atomic<int> agreed_stop = kNotAgreed;   // of several processes
std::atomic<std::int64_t> requested_at = 0;  // of the first signal, in nanoseconds; 0: there was none
std::atomic<int> processes_on_cores = 1;
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<std::int64_t>::is_always_lock_free, "a signal's handler takes no lock");

extern "C" void on_stop_signal(int signal) {
  constexpr std::int64_t kSecond = 1'000'000'000;
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  const std::int64_t now = time.tv_sec * kSecond + time.tv_nsec;
  std::int64_t first = 0;
  if (requested_at.compare_exchange_strong(first, now)) {
    requested_stop = signal;
    return;
  }
  const int stop = requested_stop;  // 0: another thread is just at the line before
  const bool again = (stop == signal || stop == 0) && now - first < (signal == SIGHUP ? kSecond : kSecond / 100);
  if (!again) _exit(128 + signal);
}

/// Cores' worth of processor time from "quota period", in one file or two; nothing: no limit, or no such file.
std::optional<double> quota_of_group(const std::string& quota_file, const std::string& period_file) {
  std::ifstream file(quota_file), second;
  if (!period_file.empty()) second.open(period_file);
  double quota = 0, period = 0;
  if (!(file >> quota) || quota <= 0) return std::nullopt;  // "max", -1
  if (!((period_file.empty() ? file : second) >> period) || period <= 0) return std::nullopt;
  return quota / period;
}

double seconds(const timeval& t) { return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec); }

}  // namespace

std::int64_t peak_rss_bytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::int64_t>(usage.ru_maxrss) * 1024;
}

ProcessUse process_use() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return {seconds(usage.ru_utime), seconds(usage.ru_stime), usage.ru_minflt};
}

double wall_seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

int usable_cores() {
  // Where OpenMP binds its threads, the mask of this thread is its own place alone.
  std::set<int> bound;
  for (int place = 0; place < omp_get_num_places(); ++place) {
    std::vector<int> processors(static_cast<std::size_t>(omp_get_place_num_procs(place)));
    omp_get_place_proc_ids(place, processors.data());
    bound.insert(processors.begin(), processors.end());
  }
  if (!bound.empty()) return static_cast<int>(bound.size());
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return CPU_COUNT(&set) > 0 ? CPU_COUNT(&set) : 1;
}

std::optional<double> cpu_quota(const std::string& root) {
  std::optional<double> least;
  visit_control_groups("cpu", root, [&](const std::string& folder, bool unified) {
    const auto q =
        unified ? quota_of_group(folder + "/cpu.max", "") : quota_of_group(folder + "/cpu.cfs_quota_us", folder + "/cpu.cfs_period_us");
    if (q) least = std::min(least.value_or(*q), *q);
  });
  return least;
}

Threads choose_threads(std::int64_t wanted) {
  const auto text = [](std::int64_t n, std::string_view why) { return join_text(n, n == 1 ? " thread (" : " threads (", why, ")"); };
  if (wanted > 0) return {static_cast<int>(wanted), text(wanted, "run.threads")};
  const int cores = usable_cores();
  const std::string all =
      join_text(cores, cores == 1 ? " core" : " cores", omp_get_num_places() > 0 ? " in OpenMP's places" : " in the affinity mask");
  Threads t{cores, all};
  const auto limit = [&](int count, const std::string& why) {
    if (count < t.count) t = {count, join_text(why, ", ", all)};
  };
  if (const auto quota = cpu_quota())
    limit(std::max(1, static_cast<int>(std::ceil(std::min(*quota, 1e6) - 1e-9))), join_text("a quota of ", *quota, " cores"));
  if (const char* variable = std::getenv("OMP_NUM_THREADS")) {
    int count = 0;
    const std::string_view value(variable);
    const auto begin = std::min(value.find_first_not_of(' '), value.size());
    const auto r = std::from_chars(value.data() + begin, value.data() + value.size(), count);
    if (r.ec == std::errc() && count > 0) limit(count, join_text("OMP_NUM_THREADS=", value));
  }
  limit(omp_get_thread_limit(), "OMP_THREAD_LIMIT");
  if (const int processes = processes_on_cores; processes > 1)
    limit(std::max(1, cores / processes), join_text(processes, " processes on the same cores"));
  t.reason = text(t.count, t.reason);
  return t;
}

void share_cores(int processes) { processes_on_cores = processes; }

int set_threads(std::int64_t threads) {
  const int count = choose_threads(threads).count;
  omp_set_dynamic(0);  // OMP_DYNAMIC would let the number follow the load
  omp_set_num_threads(count);
  return count;
}

std::string expand_home(std::string_view path) {
  const std::string_view first = path.substr(0, path.find('/'));
  if (!first.starts_with('~') && !first.starts_with('$')) return std::string(path);
  require<ConfigError>(first == "~" || first == "$HOME" || first == "${HOME}", "'", path,
                       "': of what a shell would replace only ~ and $HOME are known in a path, not ", first, "; write ./", path,
                       " for a file of this name");
  const char* home = std::getenv("HOME");
  require<ConfigError>(home != nullptr && *home != '\0', "'", path, "': HOME is not set");
  return home + std::string(path.substr(first.size()));
}

StopSignals::StopSignals() {
  struct sigaction stop {};
  stop.sa_handler = on_stop_signal;
  ::sigemptyset(&stop.sa_mask);
  stop.sa_flags = SA_RESTART;
  ::sigaction(SIGINT, &stop, &before_int_);
  ::sigaction(SIGTERM, &stop, &before_term_);
  ::sigaction(SIGUSR1, &stop, &before_user_);
  ::sigaction(SIGHUP, nullptr, &before_hup_);
  if (before_hup_.sa_handler != SIG_IGN) ::sigaction(SIGHUP, &stop, nullptr);
}

StopSignals::~StopSignals() {
  ::sigaction(SIGINT, &before_int_, nullptr);
  ::sigaction(SIGTERM, &before_term_, nullptr);
  ::sigaction(SIGUSR1, &before_user_, nullptr);
  ::sigaction(SIGHUP, &before_hup_, nullptr);
}

void ignore_write_signals() {
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &ignore, nullptr);
  ::sigaction(SIGXFSZ, &ignore, nullptr);
}

int heard_signal() { return requested_stop; }
void agree_on_signal(int signal) { agreed_stop = signal; }
int stop_signal() {
  const int agreed = agreed_stop;
  return agreed == kNotAgreed ? requested_stop.load() : agreed;
}
void clear_stop_signal() {
  requested_at = 0;
  requested_stop = 0;
  agreed_stop = kNotAgreed;
}
void throw_if_stopped() {
  if (stop_signal() != 0) throw StopRequested();
}

bool write_or_drop(int fd, std::string_view text) {
  constexpr std::size_t kAtomic = 512;  // POSIX: a pipe that polls writable takes this much without waiting
  while (!text.empty()) {
    pollfd ready{.fd = fd, .events = POLLOUT, .revents = 0};
    if (::poll(&ready, 1, 0) != 1 || ready.revents != POLLOUT) return false;  // full, or closed at the other end
    const auto n = ::write(fd, text.data(), std::min(text.size(), kAtomic));
    if (n <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

std::string bytes_text(double bytes) {
  static constexpr std::array<const char*, 5> kUnits{"B", "kB", "MB", "GB", "TB"};
  std::size_t unit = 0;
  while (bytes >= 1000 && unit + 1 < kUnits.size()) {
    bytes /= 1000;
    ++unit;
  }
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 || bytes >= 100 ? "%.0f %s" : "%.1f %s", bytes, kUnits[unit]);
  return text;
}

std::string duration_text(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0 || seconds > 1e9) return "-";
  const auto s = static_cast<long long>(seconds + 0.5);
  char text[48];
  if (s >= 3600) {
    std::snprintf(text, sizeof text, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
  } else {
    std::snprintf(text, sizeof text, "%lld:%02lld", s / 60, s % 60);
  }
  return text;
}

std::string time_text() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  ::localtime_r(&now, &local);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &local);
  return text;
}

}  // namespace capstan::engine
