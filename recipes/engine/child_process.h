#pragma once
// ChildProcess: another process of this program, or of a function of it, whose output comes line by line.

#include <sys/types.h>

#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace capstan::engine {

class ChildProcess {
 public:
  /// Runs `body` in a new process, whose exit code it returns. Its standard output and error are read here, its standard input is empty. It
  /// is a process group of its own, so that a terminal's signals come from here alone, and is told to stop (SIGTERM) when this process
  /// ends. Throws IoError.
  explicit ChildProcess(const std::function<int()>& body);
  ~ChildProcess();  ///< ends it at once if it still runs
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  int output() const { return output_; }  ///< to poll
  /// Hands on the lines that have come, without waiting beyond the first bytes. False at the end of the output.
  bool read(const std::function<void(std::string_view line)>& line);
  void signal(int number) const;
  /// Waits for the end: the exit code, or 128 + the number of the signal that ended it.
  int wait();

 private:
  pid_t process_ = -1;
  int output_ = -1;
  std::string rest_;  // of a line
};

/// For `body`: becomes this very program with other arguments. Returns only if that fails, with an exit code.
int become_this_program(std::span<const std::string> arguments);

}  // namespace capstan::engine
