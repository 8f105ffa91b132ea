#include "data/streamed_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "autograd/core/error.h"

namespace capstan::data {
namespace {

constexpr std::size_t kBuffer = std::size_t{1} << 20;

[[noreturn]] void fail(const std::string& path, std::string_view step, int code) {
  throw IoError(join_text(path, ": ", step, " failed: ", std::strerror(code)));
}

void write_at(int fd, std::uint64_t offset, std::span<const std::byte> bytes, const std::string& path) {
  while (!bytes.empty()) {
    const auto n = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) fail(path, "write", n < 0 ? errno : ENOSPC);
    offset += static_cast<std::uint64_t>(n);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
}

}  // namespace

StreamedFile::StreamedFile(std::string path) : file_(std::move(path)) { buffer_.reserve(kBuffer); }

void StreamedFile::append(std::span<const std::byte> bytes) {
  crc_ = crc32c(bytes, crc_);
  while (!bytes.empty()) {
    if (buffer_.size() == kBuffer) flush();
    const auto part = bytes.first(std::min(bytes.size(), kBuffer - buffer_.size()));
    buffer_.insert(buffer_.end(), part.begin(), part.end());
    bytes = bytes.subspan(part.size());
  }
}

void StreamedFile::append(StreamedFile& other) {
  other.flush();
  std::vector<std::byte> buffer(kBuffer);
  for (std::uint64_t at = 0; at < other.flushed_;) {
    const auto part = std::span(buffer).first(static_cast<std::size_t>(std::min<std::uint64_t>(kBuffer, other.flushed_ - at)));
    other.read(at, part);
    append(part);
    at += part.size();
  }
}

void StreamedFile::read(std::uint64_t offset, std::span<std::byte> bytes) {
  if (offset + bytes.size() > flushed_) flush();
  require<InternalError>(offset + bytes.size() <= flushed_, "read: reaches byte ", offset + bytes.size(), " of ", flushed_, " in ",
                         file_.path());
  while (!bytes.empty()) {
    const auto n = ::pread(file_.descriptor(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) fail(file_.temporary(), "read", n < 0 ? errno : EIO);
    offset += static_cast<std::uint64_t>(n);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
}

void StreamedFile::overwrite(std::uint64_t offset, std::span<const std::byte> bytes) {
  flush();
  require<InternalError>(offset + bytes.size() <= flushed_, "overwrite: reaches byte ", offset + bytes.size(), " of ", flushed_, " in ",
                         file_.path());
  write_at(file_.descriptor(), offset, bytes, file_.temporary());
}

void StreamedFile::flush() {
  write_at(file_.descriptor(), flushed_, buffer_, file_.temporary());
  flushed_ += buffer_.size();
  buffer_.clear();
}

void StreamedFile::commit() {
  flush();
  file_.commit();
}

MappedFile::MappedFile(const std::string& path) : path_(path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail(path, "open", errno);
  struct stat info {};
  int code = ::fstat(fd, &info) == 0 ? 0 : errno;
  if (code == 0 && !S_ISREG(info.st_mode)) code = S_ISDIR(info.st_mode) ? EISDIR : EINVAL;
  if (code == 0 && info.st_size > 0) {
    size_ = static_cast<std::size_t>(info.st_size);
    void* address = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, fd, 0);
    if (address == MAP_FAILED) {
      code = errno;
    } else {
      address_ = address;
    }
  }
  ::close(fd);
  if (code != 0) fail(path, "memory map", code);
}

MappedFile::~MappedFile() {
  if (address_ != nullptr) ::munmap(address_, size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)), address_(std::exchange(other.address_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(address_, other.address_);
  std::swap(size_, other.size_);
  return *this;
}

void MappedFile::release() const {
  if (address_ != nullptr) ::madvise(address_, size_, MADV_DONTNEED);
}

}  // namespace capstan::data
