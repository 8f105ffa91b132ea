#pragma once
// Files as this project reads and writes them: whole files, durable replacement, checksums.
//
// Not here: lines of text (data/line_reader.h) and the meaning of any content. Errors: IoError where the operating system refuses
// (path and reason in the message), DataError where the bytes are not what they claim to be.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "autograd/core/error.h"

namespace capstan::data {

/// The content of a file. Throws IoError.
std::vector<std::byte> read_file(const std::string& path);
std::string read_text(const std::string& path);

/// The reader of what is written has gone: a program whose output nobody wants any more ends, and nothing is wrong.
class ClosedPipe : public IoError {
  using IoError::IoError;
};

/// Writes all bytes. Throws ClosedPipe, or IoError with the name and the reason.
void write_all(int descriptor, std::span<const std::byte> bytes, const std::string& name);

/// Renames a file that has been synced, so that after a crash or a power cut the old or the new content is at `to`, never a mixture.
void rename_durably(const std::string& from, const std::string& to);

/// Removes a file, if it is there, for good: a power cut does not bring it back beside what replaces what it described.
void remove_durably(const std::string& path);

/// Makes a folder, and those above it that are not there, so that their names outlive a power cut too.
void create_directories_durably(const std::string& path);

/// The new content of `path` until it is whole: the file `<path>.tmp.<pid>`, of the mode that the umask allows. Two threads must not
/// replace one path at once. Throws IoError that names the step that failed; the old file is untouched then.
class Replacement {
 public:
  explicit Replacement(std::string path);
  ~Replacement();  ///< without commit() nothing remains
  Replacement(const Replacement&) = delete;
  Replacement& operator=(const Replacement&) = delete;

  int descriptor() const { return fd_; }
  const std::string& path() const { return path_; }
  const std::string& temporary() const { return temporary_; }
  /// Syncs, closes, renames, syncs the directory. A link at `path` is replaced, not followed.
  void commit();

 private:
  std::string path_, temporary_;
  int fd_ = -1;
};

/// Removes from a folder what killed processes left of Replacements. The caller knows that nobody writes there now.
void remove_unfinished(const std::string& folder);

/// Replaces `path` by `bytes` as a Replacement does.
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
/// `before`: of a content that these bytes go on.
Digest digest_of(std::span<const std::byte> bytes, const Digest& before = {});
Digest digest_file(const std::string& path);
/// Of what is read from an open file, from where it stands to its end.
Digest digest_descriptor(int descriptor, const std::string& name);

}  // namespace capstan::data
