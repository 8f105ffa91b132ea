#pragma once
// LineReader: the lines of a text file, plain or gzip, in one pass with bounded memory. Every reader of text goes through it.
//
// It refuses what is no text of one byte order that UTF-8 readers know (archives, pictures, UTF-16, ...) by its name and says what to do,
// and counts the lines that are not UTF-8, which it hands out as they are. Not here: the meaning of a line.
// Errors: IoError where the operating system refuses, DataError where the bytes are not text or a gzip file is damaged.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace capstan::data {

/// What a file is instead of text.
struct NotText {
  std::string what;    ///< "a zip archive (a .docx, .xlsx or .npz file too)"
  std::string advice;  ///< "unpack it"
};

/// Judges by the beginning of a content: what has a known signature, UTF-16 and UTF-32 (also without a byte order mark), lines that end in
/// CR alone, and a share of NUL bytes above 1 %. Absent: it may be text, or gzip, whose inflated content is to be judged.
std::optional<NotText> not_text(std::string_view beginning);
/// The same of a file, a packed one included. Throws IoError; DataError for damaged gzip data.
std::optional<NotText> not_text_file(const std::string& path);

/// Lines that are not UTF-8.
struct NotUtf8 {
  std::int64_t lines = 0;
  std::int64_t first_line = 0;  ///< from 1; 0: there is none
  int first_byte = 0;           ///< the first byte there that is not UTF-8
  /// Looks at the line with this number.
  void note(std::string_view line, std::int64_t number);
};
/// "12 lines are not UTF-8, the first is line 3 (byte 0xe9): convert it, such as by iconv -f LATIN1 -t UTF-8"; needs lines > 0.
std::string to_text(const NotUtf8& found);

/// Reads lines from a plain or gzip file (told apart by content). Line ends are LF or CR LF; a byte order mark of UTF-8 at the start is
/// skipped; the last line needs no end.
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

  /// The next line without its end; valid until the next call. False at the end of the file. The first call refuses what is no text.
  bool next(std::string_view& line);
  /// Number of the line that next() returned last, from 1.
  std::int64_t line_number() const { return line_number_; }
  const std::string& path() const { return path_; }
  /// "path:line: ", the start of every message about the present line.
  std::string where() const;
  /// Of the lines read so far.
  const NotUtf8& not_utf8() const { return not_utf8_; }

 private:
  friend std::optional<NotText> not_text_file(const std::string& path);
  bool fill();

  struct Source;
  std::string path_;
  Limits limits_;
  std::unique_ptr<Source> source_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0, end_ = 0;  // unread bytes of buffer_
  std::uint64_t total_ = 0;
  std::int64_t line_number_ = 0;
  NotUtf8 not_utf8_;
  bool at_end_ = false;
};

}  // namespace capstan::data
