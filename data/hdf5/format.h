#pragma once
// What this project adds to HDF5: the seal at the end of a file, the checksum of a dataset, and how paths are written.
// Internal to data/hdf5/; nothing here needs libhdf5.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "autograd/core/shape.h"

namespace capstan::data {

inline constexpr std::size_t kSealBytes = 41;

/// The line that ends a file whose image has this length and CRC-32C.
std::string seal_text(std::uint64_t bytes, std::uint32_t crc32c);
/// Adds it to an image.
void append_seal(std::vector<std::byte>& image);
/// How many bytes of a file are HDF5, and whether a seal vouches for them. DataError if the seal does not fit or the file is empty.
/// `read`, if given, is called after every few megabytes of what may be a mapped file.
std::pair<std::size_t, bool> check_seal(std::span<const std::byte> file, std::string_view path, const std::function<void()>& read = {});

/// CRC-32C over "path kind shape" and the bytes, so that a dataset that was moved or took another type does not pass.
std::uint32_t dataset_checksum(std::string_view path, std::string_view kind, const Shape& shape, std::span<const std::byte> bytes);

/// "/a/b" from "a/b" or "/a/b". InternalError for empty, "." and ".." parts and NUL characters.
std::string normal_path(std::string_view path);

}  // namespace capstan::data
