#include "recipes/engine/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "autograd/core/error.h"

namespace capstan::engine {
namespace {

constexpr int kCannotStart = 127;  // as shells say it

std::string reason_of_system() { return std::strerror(errno); }

}  // namespace

ChildProcess::ChildProcess(const std::function<int()>& body) {
  std::array<int, 2> pipe{};
  require<IoError>(::pipe2(pipe.data(), O_CLOEXEC) == 0, "child process: cannot make a pipe: ", reason_of_system());
  const pid_t parent = ::getpid();
  process_ = ::fork();
  if (process_ < 0) {
    const std::string reason = reason_of_system();
    ::close(pipe[0]);
    ::close(pipe[1]);
    throw IoError(join_text("child process: cannot start one: ", reason));
  }
  if (process_ == 0) {
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) ::_exit(kCannotStart);  // it has ended already
    if (const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC); nothing >= 0) ::dup2(nothing, STDIN_FILENO);
    ::dup2(pipe[1], STDOUT_FILENO);
    ::dup2(pipe[1], STDERR_FILENO);
    ::_exit(body());
  }
  ::setpgid(process_, process_);  // whoever comes first
  ::close(pipe[1]);
  output_ = pipe[0];
}

ChildProcess::~ChildProcess() {
  if (process_ > 0) {
    signal(SIGKILL);
    wait();
  }
  ::close(output_);
}

bool ChildProcess::read(const std::function<void(std::string_view line)>& line) {
  std::array<char, 65536> bytes{};
  ssize_t count = 0;
  do {
    count = ::read(output_, bytes.data(), bytes.size());
  } while (count < 0 && errno == EINTR);
  require<IoError>(count >= 0, "child process: cannot read its output: ", reason_of_system());
  rest_.append(bytes.data(), static_cast<std::size_t>(count));
  std::size_t begin = 0;
  for (std::size_t end = rest_.find('\n'); end != std::string::npos; begin = end + 1, end = rest_.find('\n', begin))
    line(std::string_view(rest_).substr(begin, end - begin));
  rest_.erase(0, begin);
  if (count > 0) return true;
  if (!rest_.empty()) line(std::exchange(rest_, {}));
  return false;
}

void ChildProcess::signal(int number) const {
  if (process_ > 0) ::kill(process_, number);
}

int ChildProcess::wait() {
  int status = 0;
  pid_t ended = -1;
  do {
    ended = ::waitpid(process_, &status, 0);
  } while (ended < 0 && errno == EINTR);
  process_ = -1;
  if (ended < 0) return kCannotStart;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int become_this_program(std::span<const std::string> arguments) {
  std::vector<std::string> all{"capstan"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  std::vector<char*> pointers;
  for (std::string& a : all) pointers.push_back(a.data());
  pointers.push_back(nullptr);
  ::execv("/proc/self/exe", pointers.data());
  return kCannotStart;
}

}  // namespace capstan::engine
