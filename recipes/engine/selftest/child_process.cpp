#include "recipes/engine/selftest/child_process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <thread>
#include <vector>

#include "autograd/core/error.h"
#include "recipes/engine/system.h"

namespace capstan::engine {

ChildProcess::ChildProcess(const std::string& program, std::span<const std::string> arguments, const std::string& output) {
  std::vector<char*> words{const_cast<char*>(program.c_str())};
  for (const std::string& a : arguments) words.push_back(const_cast<char*>(a.c_str()));
  words.push_back(nullptr);
  const int file = ::open(output.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  require<IoError>(file >= 0, output, ": ", std::strerror(errno));
  const pid_t parent = ::getpid();
  process_ = ::fork();
  if (process_ == 0) {
    // Between fork and exec only what is safe while other threads may have held a lock.
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(127);
    const int nothing = ::open("/dev/null", O_RDONLY);
    if (nothing < 0 || ::dup2(nothing, STDIN_FILENO) < 0 || ::dup2(file, STDOUT_FILENO) < 0 || ::dup2(file, STDERR_FILENO) < 0)
      ::_exit(127);
    ::execv(words[0], words.data());
    ::_exit(127);
  }
  const int error = errno;
  ::close(file);
  require<IoError>(process_ > 0, "no process can be started: ", std::strerror(error));
}

ChildProcess::~ChildProcess() {
  if (code_) return;
  kill();
  ::waitpid(process_, nullptr, 0);
}

std::optional<int> ChildProcess::ended() {
  int status = 0;
  if (!code_ && ::waitpid(process_, &status, WNOHANG) == process_)
    code_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return code_;
}

int ChildProcess::wait() {
  while (!ended()) {
    throw_if_stopped();
    pause_for(5);
  }
  return *code_;
}

void ChildProcess::kill() { ::kill(process_, SIGKILL); }

void pause_for(int milliseconds) { std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds)); }

}  // namespace capstan::engine
