#include "recipes/engine/streams.h"

#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <span>
#include <utility>

#include "autograd/core/error.h"
#include "data/file.h"
#include "data/line_reader.h"

namespace capstan::engine {
namespace {

constexpr std::size_t kBlock = std::size_t{1} << 16;
constexpr std::string_view kMark = "\xef\xbb\xbf";

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
    require<DataError>(!start().starts_with("\x1f\x8b"), name_, ": is gzip data, not lines of text: unpack it by zcat");
    if (const auto found = data::not_text(start()))
      throw DataError(join_text(name_, ": is ", found->what, ", not lines of text: ", found->advice));
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
