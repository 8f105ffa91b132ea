#include "data/line_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "autograd/core/error.h"
#include "data/text/unicode.h"

namespace capstan::data {
namespace {

constexpr std::string_view kUnpack = "unpack it", kExport = "export it as text", kRemove = "it does not belong among text";

struct Signature {
  std::size_t at;  // where the bytes stand
  std::string_view bytes, what, advice;
};

// Longer signatures before the ones they begin with. Lengths are given where a signature holds a NUL.
constexpr std::array<Signature, 33> kSignatures{{
    {0, std::string_view("PK\x03\x04", 4), "a zip archive (a .docx, .xlsx or .npz file too)", kUnpack},
    {0, std::string_view("PK\x05\x06", 4), "an empty zip archive", kUnpack},
    {0, std::string_view("\xFD\x37zXZ\0", 6), "an xz file", "unpack it by xz -d"},
    {4, "1AY&SY", "a bzip2 file", "unpack it by bzip2 -d"},
    {4, std::string_view("\x17rE8P\x90", 6), "an empty bzip2 file", "unpack it by bzip2 -d"},
    {0, "\x28\xB5\x2F\xFD", "a zstd file", "unpack it by zstd -d"},
    {0, std::string_view("\x04\x22\x4D\x18", 4), "an lz4 file", "unpack it by lz4 -d"},
    {0, std::string_view("LZIP\x01", 5), "an lzip file", "unpack it by lzip -d"},
    {0, "7z\xBC\xAF\x27\x1C", "a 7z archive", kUnpack},
    {0, "Rar!\x1A\x07", "a rar archive", kUnpack},
    {0, "\x1F\x9D", "a file packed by compress", "unpack it by uncompress"},
    {257, "ustar", "a tar archive", "unpack it by tar -xf"},
    {0, "%PDF-", "a PDF document", kExport},
    {0, std::string_view("\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", 8), "a document of an old office program", kExport},
    {0, "{\\rtf1", "an RTF document", kExport},
    {0, "\x89HDF\r\n\x1A\n", "an HDF5 file", kExport},
    {0, "PAR1\x15", "a parquet file", kExport},
    {0, std::string_view("ARROW1\0\0", 8), "an arrow file", kExport},
    {0, std::string_view("SQLite format 3\0", 16), "an SQLite data base", kExport},
    {0, "\x93NUMPY", "a NumPy array", kExport},
    {0, std::string_view("\x80\x02", 2), "a Python pickle", kExport},
    {0, std::string_view("\x80\x03", 2), "a Python pickle", kExport},
    {0, std::string_view("\x80\x04", 2), "a Python pickle", kExport},
    {0, std::string_view("\x80\x05", 2), "a Python pickle", kExport},
    {0, "\x89PNG\r\n\x1A\n", "a PNG picture", kRemove},
    {0, "\xFF\xD8\xFF", "a JPEG picture", kRemove},
    {0, "GIF87a", "a GIF picture", kRemove},
    {0, "GIF89a", "a GIF picture", kRemove},
    {8, "WEBP", "a WebP picture", kRemove},
    {0, std::string_view("II*\0", 4), "a TIFF picture", kRemove},
    {0, std::string_view("MM\0*", 4), "a TIFF picture", kRemove},
    {0,
     "\x7F"
     "ELF",
     "an ELF program", kRemove},
    {4, "ftyp", "a video or a picture in an ISO container", kRemove},
}};

/// Whether a signature that does not stand at the start has the start that belongs to it: such words may occur in text.
bool starts_right(const Signature& s, std::string_view beginning) {
  if (s.what.find("bzip2") != std::string_view::npos) return beginning.starts_with("BZh");
  if (s.bytes == "WEBP") return beginning.starts_with("RIFF");
  if (s.bytes == "ustar") return beginning.substr(0, s.at).find('\0') != std::string_view::npos;
  if (s.bytes == "ftyp") return beginning.substr(0, 3) == std::string_view("\0\0\0", 3);
  return true;
}

NotText encoded(std::string_view name, std::string_view iconv) {
  return {join_text(name, " text"), join_text("convert it by iconv -f ", iconv, " -t UTF-8")};
}

/// UTF-16 and UTF-32 by the byte order mark, or by where NUL bytes stand: of characters below 256 they are the higher bytes.
std::optional<NotText> wide_encoding(std::string_view text) {
  if (text.starts_with(std::string_view("\xFF\xFE\0\0", 4)) && text.size() % 4 == 0) return encoded("UTF-32", "UTF-32");
  if (text.starts_with(std::string_view("\0\0\xFE\xFF", 4))) return encoded("UTF-32", "UTF-32");
  if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF")) return encoded("UTF-16", "UTF-16");
  std::array<std::size_t, 4> zeros{};  // by place modulo 4
  for (std::size_t i = 0; i < text.size(); ++i) zeros[i % 4] += text[i] == '\0';
  const std::size_t quads = text.size() / 4, pairs = text.size() / 2;
  const auto nearly_all = [&](std::size_t place) { return quads > 0 && zeros[place] * 10 >= quads * 9; };
  if (nearly_all(2) && nearly_all(3) && !nearly_all(0)) return encoded("UTF-32LE", "UTF-32LE");
  if (nearly_all(0) && nearly_all(1) && !nearly_all(3)) return encoded("UTF-32BE", "UTF-32BE");
  // Of Latin text nearly every pair has one; of other scripts the spaces and line ends, always on the same side.
  const auto on_one_side = [&](std::size_t here, std::size_t there) {
    return here > 0 && here >= 10 * there && (here * 5 >= pairs || (here >= 16 && here * 100 >= pairs));
  };
  if (on_one_side(zeros[1] + zeros[3], zeros[0] + zeros[2])) return encoded("UTF-16LE", "UTF-16LE");
  if (on_one_side(zeros[0] + zeros[2], zeros[1] + zeros[3])) return encoded("UTF-16BE", "UTF-16BE");
  return std::nullopt;
}

int open_file(const std::string& path) {
  int fd;
  do fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  while (fd < 0 && errno == EINTR);
  return fd;
}

[[noreturn]] void fail(const std::string& path, std::string_view step, int code) {
  throw IoError(join_text(path, ": ", step, " failed: ", std::strerror(code)));
}

/// Place of the first byte that is not ASCII.
std::size_t ascii_length(std::string_view text) {
  std::size_t at = 0;
  for (std::uint64_t word; at + sizeof word <= text.size(); at += sizeof word) {
    std::memcpy(&word, text.data() + at, sizeof word);
    if ((word & 0x8080808080808080u) != 0) break;
  }
  while (at < text.size() && static_cast<unsigned char>(text[at]) < 0x80) ++at;
  return at;
}

}  // namespace

std::optional<NotText> not_text(std::string_view beginning) {
  for (const Signature& s : kSignatures)
    if (beginning.size() >= s.at && beginning.substr(s.at).starts_with(s.bytes) && starts_right(s, beginning))
      return NotText{std::string(s.what), std::string(s.advice)};
  if (auto wide = wide_encoding(beginning)) return wide;
  if (const auto zeros = static_cast<std::size_t>(std::ranges::count(beginning, '\0')); zeros > 1 && zeros * 100 > beginning.size())
    return NotText{"binary data (more than 1 % of it are NUL bytes)", std::string(kRemove)};
  if (const auto cr = beginning.find('\r');
      cr != std::string_view::npos && cr + 1 < beginning.size() && beginning.find('\n') == std::string_view::npos)
    return NotText{"text whose lines end in CR alone, as of old Macs", R"(convert it by tr '\r' '\n')"};
  return std::nullopt;
}

void NotUtf8::note(std::string_view line, std::int64_t number) {
  const std::size_t ascii = ascii_length(line);
  if (ascii == line.size()) return;
  const std::size_t bad = unicode::first_invalid(line.substr(ascii));
  if (bad == std::string_view::npos || ++lines > 1) return;
  first_line = number;
  first_byte = static_cast<unsigned char>(line[ascii + bad]);
}

std::string to_text(const NotUtf8& found) {
  constexpr std::string_view kHex = "0123456789abcdef";
  const auto byte = static_cast<std::size_t>(found.first_byte);
  return join_text(found.lines, found.lines == 1 ? " line is not UTF-8, it is line " : " lines are not UTF-8, the first is line ",
                   found.first_line, " (byte 0x", kHex[byte / 16], kHex[byte % 16],
                   "): convert the file, such as by iconv -f LATIN1 -t UTF-8");
}

// zlib's gzread passes a plain file through unchanged, so one path serves both.
struct LineReader::Source {
  gzFile file = nullptr;
  std::uint64_t file_bytes = 0;
  ~Source() {
    if (file != nullptr) gzclose(file);
  }
};

LineReader::LineReader(const std::string& path) : LineReader(path, Limits{}) {}

LineReader::LineReader(const std::string& path, const Limits& limits)
    : path_(path), limits_(limits), source_(std::make_unique<Source>()), buffer_(std::size_t{1} << 20) {
  const int fd = open_file(path);
  if (fd < 0) fail(path, "open", errno);
  source_->file = gzdopen(fd, "rb");  // whose gzclose closes the descriptor
  if (source_->file == nullptr) {
    ::close(fd);
    fail(path, "gzdopen", ENOMEM);
  }
  struct stat info {};
  if (::fstat(fd, &info) != 0) fail(path, "stat", errno);
  if (S_ISDIR(info.st_mode)) fail(path, "read", EISDIR);
  source_->file_bytes = static_cast<std::uint64_t>(info.st_size);
  gzbuffer(source_->file, 1u << 18);
}

LineReader::~LineReader() = default;

std::string LineReader::where() const { return join_text(path_, ":", line_number_, ": "); }

bool LineReader::fill() {
  if (at_end_) return false;
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (end_ == buffer_.size()) {
    require<DataError>(buffer_.size() < limits_.line_bytes, path_, ":", line_number_ + 1, ": line is longer than ", limits_.line_bytes,
                       " bytes; is this a text file?");
    buffer_.resize(buffer_.size() * 2);
  }
  const int n = gzread(source_->file, buffer_.data() + end_, static_cast<unsigned>(std::min<std::size_t>(buffer_.size() - end_, 1u << 30)));
  int code = Z_OK;
  const char* message = gzerror(source_->file, &code);
  if (n < 0 || code == Z_BUF_ERROR) {
    if (code == Z_ERRNO) fail(path_, "read", errno);
    throw DataError(
        join_text(path_, ": damaged gzip data after ", total_, " inflated bytes: ", code == Z_BUF_ERROR ? "file is cut short" : message));
  }
  if (n == 0) {
    at_end_ = true;
    return false;
  }
  const bool first = total_ == 0;
  total_ += static_cast<std::uint64_t>(n);
  end_ += static_cast<std::size_t>(n);
  if (gzdirect(source_->file) == 0) {
    const bool bomb = total_ > (std::uint64_t{1} << 26) && total_ / limits_.inflation_ratio > source_->file_bytes;
    require<DataError>(!bomb && total_ <= limits_.inflated_bytes, path_, ": refused: ", source_->file_bytes,
                       " bytes of gzip inflate to more than ", total_, " bytes");
  }
  if (first && std::string_view(buffer_.data(), end_).starts_with("\xef\xbb\xbf")) begin_ = 3;
  return true;
}

bool LineReader::next(std::string_view& line) {
  if (total_ == 0 && fill())
    if (const auto found = not_text({buffer_.data() + begin_, end_ - begin_}))
      throw DataError(join_text(path_, ": is ", gzdirect(source_->file) == 0 ? "gzip of " : "", found->what, ": ", found->advice));
  std::size_t searched = 0;
  for (;;) {
    const char* start = buffer_.data() + begin_;
    const std::size_t size = end_ - begin_;
    if (const void* hit = std::memchr(start + searched, '\n', size - searched)) {
      const auto length = static_cast<std::size_t>(static_cast<const char*>(hit) - start);
      line = {start, length};
      begin_ += length + 1;
      break;
    }
    searched = size;
    if (fill()) continue;
    if (begin_ == end_) return false;
    line = {buffer_.data() + begin_, end_ - begin_};
    begin_ = end_;
    break;
  }
  if (line.ends_with('\r')) line.remove_suffix(1);
  ++line_number_;
  not_utf8_.note(line, line_number_);
  return true;
}

std::optional<NotText> not_text_file(const std::string& path) {
  LineReader reader(path);
  if (!reader.fill()) return std::nullopt;
  auto found = not_text({reader.buffer_.data() + reader.begin_, reader.end_ - reader.begin_});
  if (found && gzdirect(reader.source_->file) == 0) found->what = "gzip of " + found->what;
  return found;
}

}  // namespace capstan::data
