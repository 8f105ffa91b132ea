#pragma once
// ChildProcess: another process, of a program or of a function of this one. Its output comes line by line, or goes to a file. It does not
// outlive this process.

#include <sys/types.h>

#include <functional>
#include <optional>
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
  /// The same with its output and errors in the file `output`, not here.
  ChildProcess(const std::function<int()>& body, const std::string& output);
  ~ChildProcess();  ///< ends it at once if it still runs
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  int output() const { return output_; }  ///< to poll; -1: it goes to a file
  /// Hands on the lines that have come, without waiting beyond the first bytes. False at the end of the output.
  bool read(const std::function<void(std::string_view line)>& line);
  void signal(int number) const;
  /// The exit code, or 128 + the number of the signal that ended it; nothing while it runs.
  std::optional<int> ended();
  /// The same when it has ended.
  int wait();

 private:
  void start(const std::function<int()>& body, int output);
  void take(int status);

  pid_t process_ = -1;  // -1: it has ended
  int output_ = -1;
  std::string rest_;  // of a line
  std::optional<int> code_;
};

/// For `body`: becomes a program. Returns only if that fails, with an exit code.
int become(const std::string& program, std::span<const std::string> arguments);

/// The same with this very program.
int become_this_program(std::span<const std::string> arguments);

}  // namespace capstan::engine
