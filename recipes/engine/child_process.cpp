#include "recipes/engine/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
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
  output_ = pipe[0];
  start(body, pipe[1]);
}

ChildProcess::ChildProcess(const std::function<int()>& body, const std::string& output) {
  const int file = ::open(output.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  require<IoError>(file >= 0, output, ": cannot open: ", reason_of_system());
  start(body, file);
}

void ChildProcess::start(const std::function<int()>& body, int output) {
  const pid_t parent = ::getpid();
  std::fflush(nullptr);  // or the child would write what is still buffered once more
  process_ = ::fork();
  if (process_ == 0) {
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) ::_exit(kCannotStart);  // it has ended already
    if (const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC); nothing >= 0) ::dup2(nothing, STDIN_FILENO);
    ::dup2(output, STDOUT_FILENO);
    ::dup2(output, STDERR_FILENO);
    ::_exit(body());
  }
  const std::string reason = reason_of_system();
  ::close(output);
  if (process_ < 0) {
    if (output_ >= 0) ::close(output_);
    throw IoError(join_text("child process: cannot start one: ", reason));
  }
  ::setpgid(process_, process_);  // whoever comes first
}

ChildProcess::~ChildProcess() {
  signal(SIGKILL);
  wait();
  if (output_ >= 0) ::close(output_);
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

void ChildProcess::take(int status) {
  code_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  process_ = -1;
}

std::optional<int> ChildProcess::ended() {
  int status = 0;
  if (!code_ && ::waitpid(process_, &status, WNOHANG) == process_) take(status);
  return code_;
}

int ChildProcess::wait() {
  if (code_) return *code_;
  int status = 0;
  pid_t ended = -1;
  do {
    ended = ::waitpid(process_, &status, 0);
  } while (ended < 0 && errno == EINTR);
  take(ended < 0 ? kCannotStart << 8 : status);
  return *code_;
}

int become(const std::string& program, std::span<const std::string> arguments) {
  std::vector<std::string> all{program};
  all.insert(all.end(), arguments.begin(), arguments.end());
  std::vector<char*> pointers;
  for (std::string& a : all) pointers.push_back(a.data());
  pointers.push_back(nullptr);
  ::execv(program.c_str(), pointers.data());
  return kCannotStart;
}

int become_this_program(std::span<const std::string> arguments) { return become("/proc/self/exe", arguments); }

}  // namespace capstan::engine
