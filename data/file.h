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

}  // namespace capstan::data
