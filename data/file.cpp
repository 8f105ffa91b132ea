#include "data/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>
#ifdef __SSE4_2__
#include <nmmintrin.h>
#endif

#include "autograd/core/error.h"

namespace capstan::data {
namespace {

constexpr std::string_view kTemporary = ".tmp.";  // then the number of the process

[[noreturn]] void fail(const std::string& path, std::string_view step, int code) {
  throw IoError(join_text(path, ": ", step, " failed: ", std::strerror(code)));
}

/// An open file descriptor.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

int open_retrying(const char* path, int flags, mode_t mode = 0) {
  int fd;
  do fd = ::open(path, flags | O_CLOEXEC, mode);
  while (fd < 0 && errno == EINTR);
  return fd;
}

constexpr auto kCrcTable = [] {
  std::array<std::array<std::uint32_t, 256>, 8> t{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t c = i;
    for (int k = 0; k < 8; ++k) c = (c >> 1) ^ (0x82f63b78u & (0u - (c & 1u)));
    t[0][i] = c;
  }
  for (std::size_t i = 0; i < 256; ++i) {
    for (std::size_t k = 1; k < 8; ++k) t[k][i] = (t[k - 1][i] >> 8) ^ t[0][t[k - 1][i] & 0xff];
  }
  return t;
}();

/// Makes what has happened to names in the folder of a file outlive a power cut.
void sync_folder_of(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string(), directory = parent.empty() ? "." : parent;
  const Descriptor folder(open_retrying(directory.c_str(), O_RDONLY | O_DIRECTORY));
  if (folder.get() < 0) fail(directory, "open", errno);
  // Some file systems know no sync of directories.
  if (::fsync(folder.get()) != 0 && errno != EINVAL) fail(directory, "fsync", errno);
}

std::span<const std::byte> as_span(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }

}  // namespace

std::vector<std::byte> read_file(const std::string& path) {
  Descriptor file(open_retrying(path.c_str(), O_RDONLY));
  if (file.get() < 0) fail(path, "open", errno);
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) fail(path, "stat", errno);
  if (S_ISDIR(info.st_mode)) fail(path, "read", EISDIR);
  std::vector<std::byte> bytes(static_cast<std::size_t>(std::max<off_t>(info.st_size, 0)));
  std::size_t got = 0;
  for (;;) {
    if (got == bytes.size()) {  // the file may have grown, or be a pipe that states no size
      std::byte probe{};
      const auto n = ::read(file.get(), &probe, 1);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) fail(path, "read", errno);
      if (n == 0) break;
      bytes.resize(std::max<std::size_t>(bytes.size() * 2, 65536));
      bytes[got++] = probe;
    }
    const auto n = ::read(file.get(), bytes.data() + got, std::min<std::size_t>(bytes.size() - got, std::size_t{1} << 30));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(path, "read", errno);
    if (n == 0) break;
    got += static_cast<std::size_t>(n);
  }
  bytes.resize(got);
  return bytes;
}

std::string read_text(const std::string& path) {
  const std::vector<std::byte> bytes = read_file(path);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void write_all(int descriptor, std::span<const std::byte> bytes, const std::string& name) {
  while (!bytes.empty()) {
    const auto n = ::write(descriptor, bytes.data(), std::min<std::size_t>(bytes.size(), std::size_t{1} << 30));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EPIPE) throw ClosedPipe(name + ": nobody reads it any more");
    if (n < 0) fail(name, "write", errno);
    if (n == 0) fail(name, "write", ENOSPC);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
}

void rename_durably(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) fail(to, "rename of " + from + " to it", errno);
  sync_folder_of(to);
}

void remove_durably(const std::string& path) {
  if (::unlink(path.c_str()) == 0) return sync_folder_of(path);
  if (errno != ENOENT) fail(path, "removal", errno);
}

void create_directories_durably(const std::string& path) {
  namespace fs = std::filesystem;
  std::vector<fs::path> missing;
  std::error_code error;
  for (fs::path at = fs::path(path).lexically_normal(); !at.empty() && !fs::exists(at, error); at = at.parent_path()) {
    if (at.has_filename()) missing.push_back(at);
    if (at == at.parent_path()) break;
  }
  require<IoError>(!missing.empty() || fs::is_directory(path), path, ": cannot create the directory: there is a file of this name");
  for (auto folder = missing.rbegin(); folder != missing.rend(); ++folder) {
    fs::create_directory(*folder, error);
    require<IoError>(!error || fs::is_directory(*folder), path, ": cannot create the directory: ", error.message());
    const fs::path above = folder->has_parent_path() ? folder->parent_path() : fs::path(".");
    if (::access(above.c_str(), R_OK) == 0) sync_folder_of(folder->string());  // one that may not be read cannot be synced
  }
}

Replacement::Replacement(std::string path)
    : path_(std::move(path)), temporary_(path_ + std::string(kTemporary) + std::to_string(::getpid())) {
  constexpr int kFlags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW;
  constexpr mode_t kMode = 0666;  // less the umask
  fd_ = open_retrying(temporary_.c_str(), kFlags, kMode);
  if (fd_ < 0 && errno == EEXIST && ::unlink(temporary_.c_str()) == 0) {
    // Left by a killed process that had our number; in a container every run may have the same one.
    fd_ = open_retrying(temporary_.c_str(), kFlags, kMode);
  }
  if (fd_ < 0) fail(temporary_, "create", errno);
}

Replacement::~Replacement() {
  if (temporary_.empty()) return;
  if (fd_ >= 0) ::close(fd_);
  ::unlink(temporary_.c_str());
}

void Replacement::commit() {
  // Never retried: after a failed fsync the pages may be marked clean, so that a second call would succeed falsely.
  if (::fsync(fd_) != 0) fail(temporary_, "fsync", errno);
  // On some file systems the last chance to hear of a failed write.
  if (::close(std::exchange(fd_, -1)) != 0) fail(temporary_, "close", errno);
  rename_durably(temporary_, path_);
  temporary_.clear();
}

void remove_unfinished(const std::string& folder) {
  constexpr std::string_view kDigits = "0123456789";
  std::error_code error;
  std::filesystem::directory_iterator entries(folder, error);
  for (; !error && entries != std::filesystem::directory_iterator(); entries.increment(error)) {
    const std::string name = entries->path().filename();
    const std::size_t mark = name.rfind(kTemporary);
    if (mark == std::string::npos || mark + kTemporary.size() == name.size()) continue;
    std::error_code ignored;
    if (name.find_first_not_of(kDigits, mark + kTemporary.size()) == std::string::npos) std::filesystem::remove(entries->path(), ignored);
  }
}

void write_file_durably(const std::string& path, std::span<const std::byte> bytes) {
  Replacement file(path);
  write_all(file.descriptor(), bytes, file.temporary());
  file.commit();
}

void write_file_durably(const std::string& path, std::string_view text) { write_file_durably(path, as_span(text)); }

std::uint32_t detail::crc32c_portable(std::span<const std::byte> bytes, std::uint32_t crc) {
  crc = ~crc;
  const std::byte* p = bytes.data();
  std::size_t n = bytes.size();
  for (; n >= 8; p += 8, n -= 8) {  // eight bytes a round through eight tables
    std::uint64_t word;
    std::memcpy(&word, p, 8);
    word ^= crc;
    crc = 0;
    for (std::size_t k = 0; k < 8; ++k) crc ^= kCrcTable[7 - k][(word >> (8 * k)) & 0xff];
  }
  for (; n > 0; ++p, --n) crc = (crc >> 8) ^ kCrcTable[0][(crc ^ std::to_integer<std::uint32_t>(*p)) & 0xff];
  return ~crc;
}

std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t crc) {
#ifdef __SSE4_2__
  std::uint64_t state = ~crc;
  const std::byte* p = bytes.data();
  std::size_t n = bytes.size();
  for (; n >= 8; p += 8, n -= 8) {
    std::uint64_t word;
    std::memcpy(&word, p, 8);
    state = _mm_crc32_u64(state, word);
  }
  auto tail = static_cast<std::uint32_t>(state);
  for (; n > 0; ++p, --n) tail = _mm_crc32_u8(tail, std::to_integer<unsigned char>(*p));
  return ~tail;
#else
  return detail::crc32c_portable(bytes, crc);
#endif
}

std::uint32_t crc32c(std::string_view text, std::uint32_t crc) { return crc32c(as_span(text), crc); }

std::string to_text(const Digest& d) {
  char text[64];
  std::snprintf(text, sizeof text, "%llu-%08x-%08x", static_cast<unsigned long long>(d.bytes), d.crc32c, d.crc32);
  return text;
}

Digest digest_of(std::span<const std::byte> bytes, const Digest& before) {
  if (bytes.empty()) return before;
  return {before.bytes + bytes.size(), crc32c(bytes, before.crc32c),
          static_cast<std::uint32_t>(::crc32_z(before.crc32, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()))};
}

Digest digest_descriptor(int descriptor, const std::string& name) {
  std::vector<std::byte> block(std::size_t{1} << 20);
  Digest d;
  for (;;) {
    const auto n = ::read(descriptor, block.data(), block.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(name, "read", errno);
    if (n == 0) return d;
    d = digest_of(std::span<const std::byte>(block).first(static_cast<std::size_t>(n)), d);
  }
}

Digest digest_file(const std::string& path) {
  Descriptor file(open_retrying(path.c_str(), O_RDONLY));
  if (file.get() < 0) fail(path, "open", errno);
  return digest_descriptor(file.get(), path);
}

}  // namespace capstan::data
