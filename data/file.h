#pragma once
// Files as this project reads and writes them: whole files, text lines (plain or gzip), durable replacement, checksums.
//
// Not here: the meaning of any content. Errors: IoError where the operating system refuses (path and reason in the message),
// DataError where the bytes are not what they claim to be.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace capstan::data {

/// The content of a file. Throws IoError.
std::vector<std::byte> read_file(const std::string& path);

/// Replaces `path` by `bytes` so that after a crash or a power cut the old or the new content is there, never a mixture: writes
/// `<path>.tmp.<pid>` beside it, syncs, renames, syncs the directory. On failure the old file is untouched, the temporary one is
/// gone and IoError says which step failed. A link at `path` is replaced, not followed. Two threads must not write one path at once.
void write_file_durably(const std::string& path, std::span<const std::byte> bytes);
void write_file_durably(const std::string& path, std::string_view text);

/// CRC-32C (Castagnoli), the checksum of iSCSI and ext4; `crc` continues an earlier one.
std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t crc = 0);
std::uint32_t crc32c(std::string_view text, std::uint32_t crc = 0);

namespace detail {
std::uint32_t crc32c_portable(std::span<const std::byte> bytes, std::uint32_t crc);  ///< without the CPU instruction
}

/// Identity of a content: its size and two independent 32-bit checksums. Tells accidental change, not forgery.
struct Digest {
  std::uint64_t bytes = 0;
  std::uint32_t crc32c = 0, crc32 = 0;
  bool operator==(const Digest&) const = default;
};
std::string to_text(const Digest& d);  // "9053831-0a1b2c3d-4e5f6071"
Digest digest_of(std::span<const std::byte> bytes);
Digest digest_file(const std::string& path);

/// Reads lines from a plain or gzip file (told apart by content) in one pass with bounded memory.
/// Line ends are LF or CR LF; a byte order mark at the start is skipped; the last line needs no end.
class LineReader {
 public:
  struct Limits {
    std::uint64_t inflated_bytes = std::uint64_t{1} << 36;  ///< refuse a gzip file that grows beyond this
    std::uint64_t inflation_ratio = 300;                    ///< ... or beyond this many times its size, once above 64 MiB
    std::size_t line_bytes = std::size_t{1} << 26;
  };
  explicit LineReader(const std::string& path);
  LineReader(const std::string& path, const Limits& limits);
  ~LineReader();
  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;

  /// The next line without its end; valid until the next call. False at the end of the file.
  bool next(std::string_view& line);
  /// Number of the line that next() returned last, from 1.
  std::int64_t line_number() const { return line_number_; }
  const std::string& path() const { return path_; }
  /// "path:line: ", the start of every message about the present line.
  std::string where() const;

 private:
  bool fill();

  struct Source;
  std::string path_;
  Limits limits_;
  std::unique_ptr<Source> source_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0, end_ = 0;  // unread bytes of buffer_
  std::uint64_t total_ = 0;
  std::int64_t line_number_ = 0;
  bool at_end_ = false;
};

}  // namespace capstan::data
