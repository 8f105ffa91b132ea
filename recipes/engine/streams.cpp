#include "recipes/engine/streams.h"

#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <span>
#include <utility>

#include "autograd/core/error.h"
#include "data/file.h"

namespace capstan::engine {
namespace {

constexpr std::size_t kBlock = std::size_t{1} << 16;
constexpr std::string_view kMark = "\xef\xbb\xbf";

/// What bytes are that are no lines of text; empty if nothing says so.
std::string_view kind_of_binary(std::string_view start) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 8> kKinds{{{"\xff\xd8\xff", "a JPEG picture"},
                                                                                        {"\x89PNG", "a PNG picture"},
                                                                                        {"GIF8", "a GIF picture"},
                                                                                        {"\x1f\x8b", "gzip data, which zcat unpacks"},
                                                                                        {"PK\x03\x04", "a zip archive"},
                                                                                        {"\xfd\x37zXZ", "xz data, which xzcat unpacks"},
                                                                                        {"\x89HDF", "an HDF5 file"},
                                                                                        {"%PDF-", "a PDF document"}}};
  for (const auto& [magic, kind] : kKinds)
    if (start.starts_with(magic)) return kind;
  return start.find('\0') == std::string_view::npos ? "" : "binary data or text in UTF-16";
}

}  // namespace

OutputBuffer::OutputBuffer(std::function<void(std::string_view)> write) : write_(std::move(write)), bytes_(kBlock) {
  setp(bytes_.data(), bytes_.data() + bytes_.size());
}

void OutputBuffer::hand_on() {
  const std::string_view waiting(pbase(), static_cast<std::size_t>(pptr() - pbase()));
  setp(bytes_.data(), bytes_.data() + bytes_.size());  // what cannot be written is not tried again
  if (!waiting.empty()) write_(waiting);
}

OutputBuffer::int_type OutputBuffer::overflow(int_type c) {
  hand_on();
  if (traits_type::eq_int_type(c, traits_type::eof())) return traits_type::not_eof(c);
  return sputc(traits_type::to_char_type(c));
}

int OutputBuffer::sync() {
  hand_on();
  return 0;
}

OutputBuffer output_to(int descriptor, const std::string& name, OnClosedPipe rule) {
  return OutputBuffer([descriptor, name, rule](std::string_view text) {
    try {
      data::write_all(descriptor, std::as_bytes(std::span(text.data(), text.size())), name);
    } catch (const data::ClosedPipe&) {
      if (rule == OnClosedPipe::end) throw;
    }
  });
}

InputBuffer::InputBuffer(int descriptor, std::string name, Content content)
    : fd_(descriptor), name_(std::move(name)), check_(content == Content::lines), bytes_(kBlock) {}

std::size_t InputBuffer::read_some(std::size_t at) {
  ssize_t n;
  do n = ::read(fd_, bytes_.data() + at, bytes_.size() - at);
  while (n < 0 && errno == EINTR);
  require<IoError>(n >= 0, name_, ": read failed: ", std::strerror(errno));
  return static_cast<std::size_t>(n);
}

InputBuffer::int_type InputBuffer::underflow() {
  std::size_t begin = 0, end = read_some(0);
  if (std::exchange(check_, false)) {
    const auto start = [&] { return std::string_view(bytes_.data(), end); };
    for (std::size_t more = 1; more > 0 && end > 0 && end < kMark.size() && kMark.starts_with(start()); end += more) more = read_some(end);
    const std::string_view kind = kind_of_binary(start());
    require<DataError>(kind.empty(), name_, ": is ", kind, ", not lines of text");
    if (start().starts_with(kMark)) begin = kMark.size();
    if (begin == end && end > 0) end = read_some(begin = 0);
  }
  setg(bytes_.data(), bytes_.data() + begin, bytes_.data() + end);
  return begin == end ? traits_type::eof() : traits_type::to_int_type(*gptr());
}

std::streamsize InputBuffer::showmanyc() {
  struct stat info {};
  if (::fstat(fd_, &info) == 0 && S_ISREG(info.st_mode)) {
    const off_t at = ::lseek(fd_, 0, SEEK_CUR);
    return at < info.st_size ? static_cast<std::streamsize>(info.st_size - at) : -1;
  }
  int waiting = 0;
  return ::ioctl(fd_, FIONREAD, &waiting) == 0 ? waiting : 0;
}

}  // namespace capstan::engine
