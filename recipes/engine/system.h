#pragma once
// What the engine asks of the operating system: resources used, signals, writing without being killed. What any program that trains asks of
// it is autograd/core/process.h.

#include <signal.h>

#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>

namespace capstan::engine {

std::int64_t peak_rss_bytes();
/// What this process has used so far.
struct ProcessUse {
  double user = 0, system = 0;   ///< seconds of processor time
  std::int64_t page_faults = 0;  ///< pages of memory touched for the first time, and others that did not have to be read from a disk
};
ProcessUse process_use();
double wall_seconds();  ///< monotonic
/// Processors that this process may use: of the affinity mask, or of the places that OpenMP was told to bind to.
int usable_cores();
/// Processors' worth of time that the control groups of this process grant it, both versions; nothing: no limit. `root` stands before all
/// paths, for tests.
std::optional<double> cpu_quota(const std::string& root = "");

struct Threads {
  int count = 1;
  std::string reason;  ///< "2 threads (2 cores in the affinity mask)"
};
/// `wanted`, or if that is 0 one for each usable core, no more than OMP_NUM_THREADS (the first of a list), OMP_THREAD_LIMIT and the quota
/// of processor time (rounded up) allow, divided among the processes that share the cores (share_cores).
Threads choose_threads(std::int64_t wanted);
/// So many processes of one run compute on the cores that this one may use.
void share_cores(int processes);
/// Makes choose_threads(threads) the OpenMP threads of parallel regions started by this thread. Returns the number.
int set_threads(std::int64_t threads);

/// A closed pipe or a file size limit becomes an error of the write instead of the end of the process.
void ignore_write_signals();
/// While it lives, SIGINT, SIGTERM, SIGHUP and SIGUSR1 (which Slurm can send before a job's time is over) ask for a stop; a second one ends
/// the process at once. What arrives twice for one cause counts once: `timeout` signals the process and its group, a terminal that goes
/// away and its shell both send SIGHUP (so that one counts once a second, the others once in ten milliseconds). SIGHUP stays ignored where
/// it was (nohup).
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

 private:
  struct sigaction before_int_ {
  }, before_term_{}, before_user_{}, before_hup_{};
};
/// The signal that asked for a stop, 0 if none did. Processes of one run stop together: there it is what they have agreed on.
int stop_signal();
void clear_stop_signal();  ///< for tests
/// The signal that this process has had; and what stop_signal() says from now on, once one of them has been told (0: no stop).
int heard_signal();
void agree_on_signal(int signal);
/// What leads out of a long computation, such as a validation, that a signal has made pointless.
class StopRequested : public std::exception {
 public:
  const char* what() const noexcept override { return "stopped by a signal"; }
};
/// Throws StopRequested if a signal asked for a stop.
void throw_if_stopped();

/// Appends bytes to a descriptor if that works at once, without waiting: what does not fit is dropped. True if all was written.
bool write_or_drop(int fd, std::string_view text);

/// A path of a configuration, which no shell has seen: "~" and "$HOME" (or "${HOME}") as its first part stand for the home directory.
/// Throws ConfigError if there is none, and for other first parts with ~ or $, which a shell would replace: nobody means a file of that
/// name.
std::string expand_home(std::string_view path);

/// "1.5 GB"
std::string bytes_text(double bytes);
/// "1:02:03"
std::string duration_text(double seconds);
/// Local date and time, "2024-05-31 12:00:00".
std::string time_text();

}  // namespace capstan::engine
