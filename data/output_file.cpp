#include "data/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <span>
#include <utility>

#include "autograd/core/error.h"

namespace capstan::data {
namespace {

namespace fs = std::filesystem;

std::span<const std::byte> text_bytes(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }

/// 3 for "/dev/fd/3" and "/proc/self/fd/3", -1 for other paths. To open such a path anew would lose the place in the file, or fail.
int descriptor_named(std::string_view path) {
  for (const std::string& folder : {std::string("/dev/fd/"), std::string("/proc/self/fd/"), join_text("/proc/", ::getpid(), "/fd/")}) {
    if (!path.starts_with(folder)) continue;
    const std::string_view digits = path.substr(folder.size());
    int number = -1;
    const auto r = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (r.ec == std::errc() && r.ptr == digits.data() + digits.size() && number >= 0) return number;
  }
  return -1;
}

/// Where links lead to, link by link; the path of an open descriptor is the end.
std::string end_of_links(std::string path) {
  std::error_code error;
  for (int links = 0; descriptor_named(path) < 0 && fs::is_symlink(fs::symlink_status(path, error)); ++links) {
    require<IoError>(links < 40, path, ": too many links lead from one to the other");
    path = (fs::path(path).parent_path() / fs::read_symlink(path, error)).string();
    require<IoError>(!error, path, ": cannot follow the link: ", error.message());
  }
  return path;
}

}  // namespace

OutputFile::OutputFile(const std::string& path) : path_(path) {
  const std::string end = end_of_links(path);
  const auto opened = [&] { require<IoError>(fd_ >= 0, path_, ": cannot open for writing: ", std::strerror(errno)); };
  if (const int number = descriptor_named(end); number >= 0) {
    fd_ = ::fcntl(number, F_DUPFD_CLOEXEC, 3);
    opened();
    return;
  }
  struct stat info {};
  const bool there = ::stat(end.c_str(), &info) == 0;
  require<IoError>(!there || !S_ISDIR(info.st_mode), path_, ": is a directory; the output must be a file");
  if (!there || S_ISREG(info.st_mode)) {
    whole_.emplace(end);
    return;
  }
  do fd_ = ::open(end.c_str(), O_WRONLY | O_CLOEXEC);
  while (fd_ < 0 && errno == EINTR);
  opened();
}

OutputFile::~OutputFile() {
  if (fd_ >= 0) ::close(fd_);
}

void OutputFile::append(std::string_view text) {
  if (whole_) {
    whole_->append(text_bytes(text));
  } else {
    write_all(fd_, text_bytes(text), path_);
  }
}

void OutputFile::commit() {
  if (whole_) return whole_->commit();
  require<IoError>(::close(std::exchange(fd_, -1)) == 0, path_, ": close failed: ", std::strerror(errno));
}

std::string regular_output(const std::string& path) {
  const std::string end = end_of_links(path);
  struct stat info {};
  const bool there = ::stat(end.c_str(), &info) == 0;
  require<IoError>(descriptor_named(end) < 0 && (!there || S_ISREG(info.st_mode)), path,
                   ": must be a file: this content cannot go into a directory, a device or a FIFO");
  return end;
}

void require_output(const std::string& path) {
  const std::string end = end_of_links(path);
  struct stat info {};
  const bool other = ::stat(end.c_str(), &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode);
  if (descriptor_named(end) >= 0 || other) return;
  const fs::path folder = fs::path(end).parent_path();
  require<IoError>(folder.empty() || fs::is_directory(folder), path, ": the folder ", folder.string(), " is not there");
  const OutputFile tried(path);
}

void write_output(const std::string& path, std::string_view text) {
  OutputFile file(path);
  file.append(text);
  file.commit();
}

}  // namespace capstan::data
