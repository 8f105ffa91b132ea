#pragma once
// A file that a user names for results. A regular file, or one that is not there yet, is replaced when the whole content is there
// (Replacement, data/file.h). Into anything else, a device, a FIFO, an open descriptor (/dev/stdout, /dev/fd/3), the content goes as it
// comes. A link leads to what it points to and stays.
//
// Not for the files of a run, which no link or device should stand in for. Errors: IoError, ClosedPipe.

#include <optional>
#include <string>
#include <string_view>

#include "data/streamed_file.h"

namespace capstan::data {

class OutputFile {
 public:
  /// Refuses a directory. Opening a FIFO waits for its reader.
  explicit OutputFile(const std::string& path);
  /// Without commit() a regular file stays as it was.
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void append(std::string_view text);
  void commit();

 private:
  std::string path_;
  std::optional<StreamedFile> whole_;  // of a regular file
  int fd_ = -1;                        // of anything else
};

/// The file that `path` leads to, which must be a regular one or not there yet: for content that is not written from front to end. Throws
/// IoError otherwise.
std::string regular_output(const std::string& path);

void write_output(const std::string& path, std::string_view text);

/// Throws what OutputFile would, without writing anything; what is no regular file is not opened.
void require_output(const std::string& path);

}  // namespace capstan::data
