#pragma once
// A program started by this one: what it says goes to a file, and it does not outlive this process.

#include <sys/types.h>

#include <optional>
#include <span>
#include <string>

namespace capstan::engine {

class ChildProcess {
 public:
  /// Its standard input is empty; what it writes goes to the file `output`. It is in a process group of its own, so Ctrl-C is this
  /// process's affair. Throws IoError.
  ChildProcess(const std::string& program, std::span<const std::string> arguments, const std::string& output);
  ~ChildProcess();  ///< kills it
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  /// Its exit code, or 128 and the number of the signal that ended it; nothing while it runs.
  std::optional<int> ended();
  /// The same when it has ended. Throws StopRequested where a signal asks this process to stop.
  int wait();
  void kill();  ///< SIGKILL

 private:
  pid_t process_ = -1;
  std::optional<int> code_;
};

/// Milliseconds without work.
void pause_for(int milliseconds);

}  // namespace capstan::engine
