#include "recipes/engine/distributed/watch.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <optional>
#include <random>
#include <sstream>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "autograd/core/error.h"

namespace capstan::engine {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kConnectSeconds = 20;

double seconds_since(Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); }

std::string errno_text() { return std::system_category().message(errno); }

/// A descriptor that closes itself.
class WatchSocket {
 public:
  WatchSocket() = default;
  explicit WatchSocket(int fd) : fd_(fd) {}
  WatchSocket(WatchSocket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  WatchSocket& operator=(WatchSocket&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  WatchSocket(const WatchSocket&) = delete;
  WatchSocket& operator=(const WatchSocket&) = delete;
  ~WatchSocket() {
    if (fd_ >= 0) ::close(fd_);
  }
  int fd() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

/// An address with its port, of either version of IP.
struct Endpoint {
  sockaddr_storage storage{};
  socklen_t length = 0;

  int family() const { return storage.ss_family; }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  sockaddr_in& v4() { return reinterpret_cast<sockaddr_in&>(storage); }
  sockaddr_in6& v6() { return reinterpret_cast<sockaddr_in6&>(storage); }
  void set_port(std::uint16_t port) { (family() == AF_INET ? v4().sin_port : v6().sin6_port) = htons(port); }
};

Endpoint endpoint_of(int family, const void* address) {
  Endpoint e;
  e.storage.ss_family = static_cast<sa_family_t>(family);
  e.length = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  if (family == AF_INET)
    std::memcpy(&e.v4().sin_addr, address, sizeof(in_addr));
  else
    std::memcpy(&e.v6().sin6_addr, address, sizeof(in6_addr));
  return e;
}

Endpoint endpoint_of(const std::string& address) {
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  const int family = address.find(':') == std::string::npos ? AF_INET : AF_INET6;
  require<InternalError>(::inet_pton(family, address.c_str(), bytes.data()) == 1, "watch: '", address, "' is no address");
  return endpoint_of(family, bytes.data());
}

/// Addresses under which other machines may find this one; of the loop back to itself if there are none to find it.
std::vector<std::string> own_addresses(bool one_machine) {
  std::vector<std::string> found;
  ifaddrs* list = nullptr;
  if (!one_machine && ::getifaddrs(&list) == 0) {
    for (const ifaddrs* i = list; i != nullptr; i = i->ifa_next) {
      if (i->ifa_addr == nullptr || (i->ifa_flags & IFF_UP) == 0 || (i->ifa_flags & IFF_LOOPBACK) != 0) continue;
      const int family = i->ifa_addr->sa_family;
      std::array<char, INET6_ADDRSTRLEN> text{};
      if (family == AF_INET) {
        ::inet_ntop(family, &reinterpret_cast<const sockaddr_in*>(i->ifa_addr)->sin_addr, text.data(), text.size());
      } else if (family == AF_INET6) {
        const in6_addr& address = reinterpret_cast<const sockaddr_in6*>(i->ifa_addr)->sin6_addr;
        if (IN6_IS_ADDR_LINKLOCAL(&address)) continue;  // means nothing without the interface
        ::inet_ntop(family, &address, text.data(), text.size());
      } else {
        continue;
      }
      found.emplace_back(text.data());
    }
    ::freeifaddrs(list);
  }
  if (one_machine) found = {"127.0.0.1", "::1"};
  return found;
}

/// Listens at the first port that is free; a closed one if that cannot be.
WatchSocket listener(int family, bool one_machine, std::uint16_t& port) {
  Endpoint e = endpoint_of(family == AF_INET ? (one_machine ? "127.0.0.1" : "0.0.0.0") : (one_machine ? "::1" : "::"));
  WatchSocket s(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int on = 1;
  if (s && family == AF_INET6) ::setsockopt(s.fd(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (!s || ::bind(s.fd(), e.get(), e.length) != 0 || ::listen(s.fd(), SOMAXCONN) != 0 || ::getsockname(s.fd(), e.get(), &e.length) != 0)
    return {};
  port = ntohs(family == AF_INET ? e.v4().sin_port : e.v6().sin6_port);
  return s;
}

bool wait_for_events(int fd, short events, double seconds) {
  pollfd p{.fd = fd, .events = events, .revents = 0};
  return ::poll(&p, 1, std::max(0, static_cast<int>(seconds * 1000))) == 1;
}

/// Connected, or closed with the reason in `why`.
WatchSocket connect_to(Endpoint e, double seconds, std::string& why) {
  WatchSocket s(::socket(e.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  int error = s && ::connect(s.fd(), e.get(), e.length) == 0 ? 0 : errno;
  if (error == EINPROGRESS) {
    socklen_t length = sizeof error;
    if (!wait_for_events(s.fd(), POLLOUT, seconds))
      error = ETIMEDOUT;
    else if (::getsockopt(s.fd(), SOL_SOCKET, SO_ERROR, &error, &length) != 0)
      error = errno;
  }
  if (error == 0) return s;
  why = std::system_category().message(error);
  return {};
}

/// What goes over a connection, always as many bytes.
struct Message {
  enum class Kind : std::uint8_t { sign, goodbye, end };
  Kind kind = Kind::sign;
  std::array<char, 47> doing{};
  std::int64_t step = 0;
  std::uint64_t notes = 0, entered = 0, finished = 0;
};
static_assert(sizeof(Message) == 80);

/// The first thing that a rank says, and rank 0's answer: who knows the token belongs to the run.
struct Hello {
  std::uint64_t token = 0;
  std::int64_t rank = 0;
};

bool send_hello(const WatchSocket& s, const Hello& hello) { return ::send(s.fd(), &hello, sizeof hello, MSG_NOSIGNAL) == sizeof hello; }
/// Of somebody who knows the token.
std::optional<Hello> receive_hello(const WatchSocket& s, std::uint64_t token, double seconds) {
  Hello theirs;
  const bool whole = wait_for_events(s.fd(), POLLIN, seconds) && ::recv(s.fd(), &theirs, sizeof theirs, 0) == sizeof theirs;
  return whole && theirs.token == token ? std::optional(theirs) : std::nullopt;
}

Message message_of_sign(const SignOfLife& sign) {
  Message m{.step = sign.step, .notes = sign.notes, .entered = sign.entered, .finished = sign.finished};
  std::copy_n(sign.doing.begin(), std::min(sign.doing.size(), m.doing.size() - 1), m.doing.begin());
  return m;
}

SignOfLife sign_of(const Message& m) {
  return {.step = m.step,
          .doing = std::string(m.doing.data(), ::strnlen(m.doing.data(), m.doing.size() - 1)),
          .notes = m.notes,
          .entered = m.entered,
          .finished = m.finished};
}

/// A connection whose writing never waits, and whose messages arrive whole.
class Line {
 public:
  Line() = default;
  explicit Line(WatchSocket socket) : socket_(std::move(socket)) {}
  int fd() const { return socket_.fd(); }
  explicit operator bool() const { return static_cast<bool>(socket_); }
  void close() { socket_ = WatchSocket(); }

  /// Drops a sign while earlier ones are still on their way; a later one says more.
  void send(const Message& m) {
    if (!out_.empty() && m.kind == Message::Kind::sign) return flush();
    out_.append(reinterpret_cast<const char*>(&m), sizeof m);
    flush();
  }
  /// Calls f with each message that has arrived. False when the other end is closed.
  template <class F>
  bool receive(const F& f) {
    std::array<char, 16 * sizeof(Message)> buffer;
    for (;;) {
      const ssize_t n = ::recv(fd(), buffer.data(), buffer.size(), 0);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
      if (n == 0) return false;
      in_.append(buffer.data(), static_cast<std::size_t>(n));
      while (in_.size() >= sizeof(Message)) {
        Message m;
        std::memcpy(&m, in_.data(), sizeof m);
        in_.erase(0, sizeof m);
        f(m);
      }
    }
  }

 private:
  void flush() {
    while (!out_.empty()) {
      const ssize_t n = ::send(fd(), out_.data(), out_.size(), MSG_NOSIGNAL);
      if (n <= 0) return;  // full, or closed, which receive() sees
      out_.erase(0, static_cast<std::size_t>(n));
    }
  }

  WatchSocket socket_;
  std::string in_, out_;
};

std::span<const std::byte> bytes_of_text(const std::string& text) { return std::as_bytes(std::span(text)); }
std::string text_of_bytes(const std::vector<std::byte>& bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

/// Connects all ranks with rank 0: by rank on rank 0, elsewhere line 0 alone. IoError on all ranks if one fails.
std::vector<Line> connect_all(Comm& comm) {
  const auto ranks = static_cast<std::size_t>(comm.size());
  bool one_machine = true;
  for (int r = 1; r < comm.size(); ++r) one_machine = one_machine && comm.host(r) == comm.host(0);
  std::vector<Line> lines(ranks);
  std::vector<WatchSocket> listeners;
  std::string invitation, failure;
  Hello hello{.rank = comm.rank()};
  if (comm.rank() == 0) {
    std::random_device random;
    hello.token = (std::uint64_t{random()} << 32) | random();
    std::array<std::uint16_t, 2> ports{};
    for (const int family : {AF_INET, AF_INET6})
      if (WatchSocket s = listener(family, one_machine, ports[family == AF_INET ? 0 : 1])) listeners.push_back(std::move(s));
    invitation = join_text(hello.token, '\n');
    for (const std::string& address : own_addresses(one_machine))
      if (const std::uint16_t port = ports[address.find(':') == std::string::npos ? 0 : 1]; port != 0)
        invitation += join_text(address, ' ', port, '\n');
  }
  invitation = text_of_bytes(comm.gather(bytes_of_text(invitation))[0]);

  const Clock::time_point start = Clock::now();
  if (comm.rank() == 0) {
    std::size_t missing = ranks - 1;
    const auto admit = [&](WatchSocket s) {
      const auto theirs = receive_hello(s, hello.token, 2);
      const auto r = theirs ? static_cast<std::size_t>(theirs->rank) : 0;
      if (r < 1 || r >= ranks || lines[r] || !send_hello(s, hello)) return;
      lines[r] = Line(std::move(s));
      --missing;
    };
    while (missing > 0 && seconds_since(start) < kConnectSeconds) {
      std::vector<pollfd> polled;
      for (const WatchSocket& s : listeners) polled.push_back({.fd = s.fd(), .events = POLLIN, .revents = 0});
      ::poll(polled.data(), polled.size(), 100);
      for (const WatchSocket& s : listeners)
        if (WatchSocket accepted(::accept4(s.fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)); accepted) admit(std::move(accepted));
    }
  } else {
    std::istringstream in(invitation);
    std::string address, tried;
    std::uint16_t port = 0;
    in >> hello.token;
    while (!lines[0] && in >> address >> port) {
      Endpoint e = endpoint_of(address);
      e.set_port(port);
      std::string why = "another program answers";  // machines may have addresses of the same name, such as those of containers
      WatchSocket s = connect_to(e, kConnectSeconds / 4, why);
      if (s && send_hello(s, hello) && receive_hello(s, hello.token, kConnectSeconds / 4))
        lines[0] = Line(std::move(s));
      else
        tried += join_text(tried.empty() ? "" : ", ", address, " port ", port, " (", why, ")");
    }
    if (!lines[0]) failure = tried.empty() ? std::string("it has no address") : tried;
  }
  // Not before everybody has tried is it known who is missing.
  const auto failures = comm.gather(bytes_of_text(failure));
  for (int r = 0; r < comm.size(); ++r) {
    const std::string text = text_of_bytes(failures[static_cast<std::size_t>(r)]);
    require<IoError>(text.empty(), "the watch of rank ", r, " on ", comm.host(r), " does not reach rank 0 on ", comm.host(0), ": ", text);
  }
  const auto unheard = std::ranges::find_if(lines.begin() + 1, lines.end(), [](const Line& l) { return !l; });
  const bool complete = comm.rank() != 0 || unheard == lines.end();
  const auto verdicts = comm.gather(bytes_of_text(complete ? std::string() : join_text(unheard - lines.begin())));
  const std::string lost = text_of_bytes(verdicts[0]);
  require<IoError>(lost.empty(), "the watch of rank 0 on ", comm.host(0), " has not heard of that of rank ", lost);
  return lines;
}

}  // namespace

/// Counts the calls on their way to the Comm behind it.
class Watch::Counted final : public Comm {
 public:
  explicit Counted(Comm& inner) : inner_(inner) {}

  int rank() const override { return inner_.rank(); }
  int size() const override { return inner_.size(); }
  std::string_view host(int rank) const override { return inner_.host(rank); }
  std::string transport() const override { return inner_.transport(); }
  void barrier() override {
    const Call call(*this);
    inner_.barrier();
  }
  void broadcast(std::span<std::byte> data, int root) override {
    const Call call(*this);
    inner_.broadcast(data, root);
  }
  void sum(std::span<float> data) override {
    const Call call(*this);
    inner_.sum(data);
  }
  void sum(std::span<double> data) override {
    const Call call(*this);
    inner_.sum(data);
  }
  void sum_parts(std::span<float> data, std::span<const std::size_t> counts) override {
    const Call call(*this);
    inner_.sum_parts(data, counts);
  }
  void gather_parts(std::span<std::byte> data, std::span<const std::size_t> counts) override {
    const Call call(*this);
    inner_.gather_parts(data, counts);
  }
  std::vector<std::vector<std::byte>> gather(std::span<const std::byte> mine) override {
    const Call call(*this);
    return inner_.gather(mine);
  }
  void exchange(std::span<const std::span<const std::byte>> to, std::span<const std::span<std::byte>> from) override {
    const Call call(*this);
    inner_.exchange(to, from);
  }
  [[noreturn]] void abort(int exit_code) override {
    inner_.abort(exit_code);
    std::_Exit(exit_code);  // GCC 12 does not see that a virtual function never returns
  }

  void note(std::int64_t step, std::string_view doing) {
    const std::lock_guard lock(mutex_);
    sign_.step = step;
    sign_.doing = doing;
    ++sign_.notes;
  }
  SignOfLife sign() {
    const std::lock_guard lock(mutex_);
    return sign_;
  }

 private:
  struct Call {
    explicit Call(Counted& c) : counted(c) {
      const std::lock_guard lock(counted.mutex_);
      ++counted.sign_.entered;
    }
    ~Call() {
      const std::lock_guard lock(counted.mutex_);
      ++counted.sign_.finished;
    }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    Counted& counted;
  };

  Comm& inner_;
  std::mutex mutex_;
  SignOfLife sign_;
};

class Watch::Thread {
 public:
  Thread(Comm& comm, Counted& counted, Options options)
      : comm_(comm), counted_(counted), options_(std::move(options)), lines_(connect_all(comm)), judge_(judge_for(comm, options_.limits)) {
    const WatchJudge::Limits& limits = options_.limits;
    interval_ = std::min({1.0, limits.silence_seconds / 8, limits.stall_seconds / 8, limits.lost_seconds / 2});
    std::array<int, 2> ends{};
    require<IoError>(::pipe2(ends.data(), O_CLOEXEC) == 0, "watch: no pipe: ", errno_text());
    stop_reading_ = WatchSocket(ends[0]);
    stop_writing_ = WatchSocket(ends[1]);
    // Signals are for the threads that train.
    sigset_t all, before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    thread_ = std::thread([this] { run(); });
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  ~Thread() {
    stop_writing_ = WatchSocket();
    thread_.join();
  }
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;

 private:
  static WatchJudge judge_for(const Comm& comm, const WatchJudge::Limits& limits) {
    std::vector<std::string> hosts;
    std::vector<int> ranks{0};
    for (int r = 0; r < comm.size(); ++r) hosts.emplace_back(comm.host(r));
    for (int r = 1; r < comm.size() && comm.rank() == 0; ++r) ranks.push_back(r);
    return {std::move(hosts), ranks, limits};
  }

  void run() {
    Clock::time_point last = Clock::now(), sent = last - std::chrono::hours(1);
    for (bool found = false;;) {
      std::vector<pollfd> polled{{.fd = stop_reading_.fd(), .events = POLLIN, .revents = 0}};
      for (const Line& line : lines_)
        if (line) polled.push_back({.fd = line.fd(), .events = POLLIN, .revents = 0});
      const double due = std::max(0.0, interval_ - seconds_since(sent));
      ::poll(polled.data(), polled.size(), static_cast<int>(due * 1000) + 1);
      if (polled[0].revents != 0) return say({.kind = Message::Kind::goodbye});
      for (std::size_t r = 0; r < lines_.size(); ++r) hear(r);
      if (seconds_since(sent) >= interval_) {
        sent = Clock::now();
        say(message_of_sign(counted_.sign()));
      }
      if (comm_.rank() == 0) judge_.heard(0, counted_.sign());
      const Clock::time_point now = Clock::now();
      const auto fault = judge_.pass(std::chrono::duration<double>(now - std::exchange(last, now)).count());
      if (!fault || std::exchange(found, true)) continue;
      // Who can still be reached ends with the same code; the others find out by themselves.
      say({.kind = Message::Kind::end});
      end(*fault);
    }
  }

  void say(const Message& m) {
    for (Line& line : lines_)
      if (line) line.send(m);
  }

  void hear(std::size_t index) {
    Line& line = lines_[index];
    if (!line) return;
    const int rank = static_cast<int>(index);
    bool left = false, ended = false;
    const bool open = line.receive([&](const Message& m) {
      if (m.kind == Message::Kind::sign) judge_.heard(rank, sign_of(m));
      left = left || m.kind == Message::Kind::goodbye;
      ended = ended || m.kind == Message::Kind::end;
    });
    if (left) judge_.left(rank);
    if (!open && !left) judge_.lost(rank);
    if (!open || left) line.close();
    if (ended) end_quietly();
  }

  void end(const std::string& fault) {
    if (options_.on_fault) return options_.on_fault(fault);
    const std::string line = fault + "\n";
    // One write, so that lines of several ranks do not mix.
    if (::write(STDERR_FILENO, line.data(), line.size()) < 0) {
    }
    comm_.abort(kExitCode);
  }
  /// Another rank has found a fault, and ends this one from there if it can.
  void end_quietly() {
    if (options_.on_fault) return;
    std::this_thread::sleep_for(std::chrono::seconds(2));
    comm_.abort(kExitCode);
  }

  Comm& comm_;
  Counted& counted_;
  Options options_;
  std::vector<Line> lines_;
  WatchJudge judge_;
  double interval_ = 1;
  WatchSocket stop_reading_, stop_writing_;
  std::thread thread_;
};

Watch::Watch(Comm& comm, Options options) : comm_(comm) {
  if (comm.size() == 1) return;
  counted_ = std::make_unique<Counted>(comm);
  thread_ = std::make_unique<Thread>(comm, *counted_, std::move(options));
}

Watch::~Watch() = default;

Comm& Watch::comm() { return counted_ ? *counted_ : comm_; }

void Watch::note(std::int64_t step, std::string_view doing) {
  if (counted_) counted_->note(step, doing);
}

}  // namespace capstan::engine
