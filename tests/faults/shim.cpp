// A library that is loaded in front of libc (LD_PRELOAD) and sees every call that changes files below one folder: it can let the N-th fail,
// write half of what it should, or kill the process there, and it can record what was done for power_loss.cpp.
//
//     FAULT_UNDER=FOLDER             only paths below it count
//     FAULT_PLAN=CALL:WHAT:N[+]      the N-th CALL (from 1, of all threads) ends in WHAT; with + all from there on
//                                    CALL: open read write fsync rename ftruncate close link unlink mkdir, or any
//                                    WHAT: an error (ENOSPC EIO EINTR EMFILE EACCES), half (a short write), kill (before it is done)
//     FAULT_FIRED=FILE               a line is added when the plan has come true
//     FAULT_RECORD=FILE              the record
//
// strace can inject errors too, but counts in each thread for itself: every save of a run has its own thread. What libc calls inside itself
// is not seen; the program writes by open and write.

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace {

struct Plan {
  std::string under, call, what;
  long at = 0;
  bool all_after = false;
  std::string fired, record;
};

const Plan& plan() {
  static const Plan p = [] {
    const auto text = [](const char* name) {
      const char* value = ::getenv(name);
      return std::string(value != nullptr ? value : "");
    };
    Plan made{.under = text("FAULT_UNDER"), .call = {}, .what = {}, .fired = text("FAULT_FIRED"), .record = text("FAULT_RECORD")};
    const std::string written = text("FAULT_PLAN");
    const auto first = written.find(':'), second = written.find(':', first + 1);
    if (second != std::string::npos) {
      made.call = written.substr(0, first);
      made.what = written.substr(first + 1, second - first - 1);
      made.at = std::atol(written.c_str() + second + 1);
      made.all_after = written.ends_with('+');
    }
    return made;
  }();
  return p;
}

std::recursive_mutex& guard() {
  static std::recursive_mutex m;
  return m;
}

/// The absolute path; empty if it is not below the folder.
std::string watched(int folder, const char* path) {
  if (path == nullptr || plan().under.empty()) return {};
  std::string full = path;
  if (path[0] != '/') {
    char base[PATH_MAX] = {};
    const std::string link = folder == AT_FDCWD ? std::string("/proc/self/cwd") : "/proc/self/fd/" + std::to_string(folder);
    if (::readlink(link.c_str(), base, sizeof base - 1) < 0) return {};
    full = std::string(base) + "/" + path;
  }
  return full.starts_with(plan().under + "/") || full == plan().under ? full : std::string();
}

std::string path_of(int fd) {
  if (plan().under.empty()) return {};
  char path[PATH_MAX] = {};
  const int before = errno;
  const auto n = ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), path, sizeof path - 1);
  errno = before;
  return n > 0 ? watched(AT_FDCWD, path) : std::string();
}

void append(const std::string& path, std::string_view bytes) {
  if (path.empty()) return;
  const long fd = ::syscall(SYS_openat, AT_FDCWD, path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) return;
  while (!bytes.empty()) {
    const long n = ::syscall(SYS_write, fd, bytes.data(), bytes.size());
    if (n <= 0) break;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  ::syscall(SYS_close, fd);
}

/// What is to happen to this call: empty, or WHAT of the plan.
std::string_view fate(std::string_view call, const std::string& path) {
  static std::atomic<long> count{0};
  const Plan& p = plan();
  if (p.at == 0 || (p.call != "any" && p.call != call) || (p.call == "any" && call == "read")) return {};
  const long now = ++count;
  if (now != p.at && !(p.all_after && now > p.at)) return {};
  append(p.fired, std::string(call) + " " + path + "\n");
  if (p.what == "kill") {
    ::kill(::getpid(), SIGKILL);
    for (;;) ::pause();
  }
  return p.what;
}

int number_of(std::string_view error) {
  if (error == "ENOSPC") return ENOSPC;
  if (error == "EINTR") return EINTR;
  if (error == "EMFILE") return EMFILE;
  if (error == "EACCES") return EACCES;
  return EIO;
}

/// Sets errno and is true if the call is to fail.
bool fails(std::string_view what) {
  if (what.empty() || what == "half") return false;
  errno = number_of(what);
  return true;
}

/// A line "CALL<tab>PATH<tab>..." and, for writes, the bytes behind it.
void record(const std::string& line, std::string_view bytes = {}) {
  if (plan().record.empty()) return;
  const std::lock_guard lock(guard());
  append(plan().record, line + "\n" + std::string(bytes));
}

/// Where files are mapped to be written, by address.
std::map<void*, std::string>& written_maps() {
  static std::map<void*, std::string> maps;
  return maps;
}

int open_any(int folder, const char* path, int flags, mode_t mode) {
  const std::string full = watched(folder, path);
  if (!full.empty() && fails(fate("open", full))) return -1;
  const bool is_new = !full.empty() && (flags & O_CREAT) != 0 && ::access(full.c_str(), F_OK) != 0;
  const int fd = static_cast<int>(::syscall(SYS_openat, folder, path, flags, mode));
  if (fd >= 0 && !full.empty()) {
    if (is_new) record("create\t" + full);
    if ((flags & O_TRUNC) != 0 && !is_new) record("truncate\t" + full + "\t0");
  }
  return fd;
}

}  // namespace

// NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): libc names its parameters in its own way.
extern "C" {

int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return open_any(AT_FDCWD, path, flags, mode);
}
int open64(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return open_any(AT_FDCWD, path, flags, mode);
}
int openat(int folder, const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return open_any(folder, path, flags, mode);
}

ssize_t read(int fd, void* to, size_t count) {
  const std::string path = path_of(fd);
  if (!path.empty() && fails(fate("read", path))) return -1;
  return ::syscall(SYS_read, fd, to, count);
}

static ssize_t write_at(int fd, const void* from, size_t count, off_t offset) {
  const std::string path = path_of(fd);
  if (path.empty()) return offset < 0 ? ::syscall(SYS_write, fd, from, count) : ::syscall(SYS_pwrite64, fd, from, count, offset);
  const std::string_view what = fate("write", path);
  if (fails(what)) return -1;
  if (what == "half" && count > 1) count /= 2;
  const std::lock_guard lock(guard());
  const bool appends = (::fcntl(fd, F_GETFL) & O_APPEND) != 0;
  struct stat info {};
  ::fstat(fd, &info);
  const off_t at = offset >= 0 ? offset : appends ? info.st_size : ::lseek(fd, 0, SEEK_CUR);
  const ssize_t n = offset < 0 ? ::syscall(SYS_write, fd, from, count) : ::syscall(SYS_pwrite64, fd, from, count, offset);
  if (n > 0)
    record("write\t" + path + "\t" + std::to_string(at) + "\t" + std::to_string(n),
           std::string_view(static_cast<const char*>(from), static_cast<std::size_t>(n)));
  return n;
}
ssize_t write(int fd, const void* from, size_t count) { return write_at(fd, from, count, -1); }
ssize_t pwrite(int fd, const void* from, size_t count, off_t offset) { return write_at(fd, from, count, offset); }
ssize_t pwrite64(int fd, const void* from, size_t count, off_t offset) { return write_at(fd, from, count, offset); }

// What is written through a map counts as one write when the map is given up, since the stores themselves are not seen. A file is synced
// after that, and until then any part of it may be on the disk: the same states as of a write.
void* mmap(void* at, size_t length, int protection, int flags, int fd, off_t offset) noexcept {
  const long result = ::syscall(SYS_mmap, at, length, protection, flags, fd, offset);
  void* const address = reinterpret_cast<void*>(result);  // NOLINT(performance-no-int-to-ptr): as the kernel gives it
  const bool writes = result != -1 && fd >= 0 && (flags & MAP_SHARED) != 0 && (protection & PROT_WRITE) != 0 && offset == 0;
  if (const std::string path = writes && !plan().record.empty() ? path_of(fd) : std::string(); !path.empty()) {
    const std::lock_guard lock(guard());
    written_maps()[address] = path;
  }
  return address;
}
void* mremap(void* at, size_t before, size_t length, int flags, ...) noexcept {
  const long result = ::syscall(SYS_mremap, at, before, length, flags);
  void* const address = reinterpret_cast<void*>(result);  // NOLINT(performance-no-int-to-ptr)
  const std::lock_guard lock(guard());
  if (const auto map = written_maps().find(at); result != -1 && map != written_maps().end()) {
    const std::string path = map->second;
    written_maps().erase(map);
    written_maps()[address] = path;
  }
  return address;
}
int munmap(void* at, size_t length) noexcept {
  const std::lock_guard lock(guard());
  if (const auto map = written_maps().find(at); map != written_maps().end()) {
    struct stat info {};
    const bool there = ::stat(map->second.c_str(), &info) == 0;
    const std::size_t count = there ? std::min(length, static_cast<std::size_t>(info.st_size)) : 0;
    if (count > 0) record("write\t" + map->second + "\t0\t" + std::to_string(count), std::string_view(static_cast<const char*>(at), count));
    written_maps().erase(map);
  }
  return static_cast<int>(::syscall(SYS_munmap, at, length));
}

static int sync_any(int fd, long call) {
  const std::string path = path_of(fd);
  if (!path.empty() && fails(fate("fsync", path))) return -1;
  const int result = static_cast<int>(::syscall(call, fd));
  if (result == 0 && !path.empty()) record("sync\t" + path);
  return result;
}
int fsync(int fd) { return sync_any(fd, SYS_fsync); }
int fdatasync(int fd) { return sync_any(fd, SYS_fdatasync); }

int rename(const char* from, const char* to) {
  const std::string path = watched(AT_FDCWD, from), target = watched(AT_FDCWD, to);
  if (!path.empty() && fails(fate("rename", path))) return -1;
  const int result = static_cast<int>(::syscall(SYS_rename, from, to));
  if (result == 0 && !path.empty()) record("rename\t" + path + "\t" + target);
  return result;
}

int link(const char* from, const char* to) {
  const std::string path = watched(AT_FDCWD, from), target = watched(AT_FDCWD, to);
  if (!path.empty() && fails(fate("link", path))) return -1;
  const int result = static_cast<int>(::syscall(SYS_link, from, to));
  if (result == 0 && !path.empty()) record("link\t" + path + "\t" + target);
  return result;
}

int unlink(const char* name) {
  const std::string path = watched(AT_FDCWD, name);
  if (!path.empty() && fails(fate("unlink", path))) return -1;
  const int result = static_cast<int>(::syscall(SYS_unlink, name));
  if (result == 0 && !path.empty()) record("unlink\t" + path);
  return result;
}
int unlinkat(int folder, const char* name, int flags) {
  const std::string path = watched(folder, name);
  if (!path.empty() && fails(fate("unlink", path))) return -1;
  const int result = static_cast<int>(::syscall(SYS_unlinkat, folder, name, flags));
  if (result == 0 && !path.empty() && flags == 0) record("unlink\t" + path);
  return result;
}
int remove(const char* name) {
  struct stat info {};
  if (::lstat(name, &info) == 0 && S_ISDIR(info.st_mode)) return ::rmdir(name);
  return unlink(name);
}

int mkdir(const char* name, mode_t mode) {
  const std::string path = watched(AT_FDCWD, name);
  if (!path.empty() && fails(fate("mkdir", path))) return -1;
  const int result = static_cast<int>(::syscall(SYS_mkdir, name, mode));
  if (result == 0 && !path.empty()) record("mkdir\t" + path);
  return result;
}

static int truncate_any(int fd, off_t size) {
  const std::string path = path_of(fd);
  if (!path.empty() && fails(fate("ftruncate", path))) return -1;
  const int result = static_cast<int>(::syscall(SYS_ftruncate, fd, size));
  if (result == 0 && !path.empty()) record("truncate\t" + path + "\t" + std::to_string(size));
  return result;
}
int ftruncate(int fd, off_t size) noexcept { return truncate_any(fd, size); }
int ftruncate64(int fd, off_t size) noexcept { return truncate_any(fd, size); }

int close(int fd) {
  const std::string path = path_of(fd);
  const std::string_view what = path.empty() ? std::string_view() : fate("close", path);
  const int result = static_cast<int>(::syscall(SYS_close, fd));  // closed in any case, as Linux does
  return fails(what) ? -1 : result;
}

}  // extern "C"
// NOLINTEND(readability-inconsistent-declaration-parameter-name)
