#include "data/hdf5/format.h"

#include <algorithm>
#include <cstdio>

#include "autograd/core/error.h"
#include "data/file.h"

namespace capstan::data {
namespace {

constexpr std::string_view kSealStart = "CAPSTAN-SEAL ";

constexpr std::size_t kPart = std::size_t{4} << 20;

std::string seal_of(std::span<const std::byte> image, const std::function<void()>& read = {}) {
  const std::uint64_t size = image.size();
  std::uint32_t crc = 0;
  while (!image.empty()) {
    const auto part = image.first(std::min(image.size(), kPart));
    crc = crc32c(part, crc);
    image = image.subspan(part.size());
    if (read) read();
  }
  return seal_text(size, crc);
}

}  // namespace

std::string seal_text(std::uint64_t bytes, std::uint32_t crc32c) {
  char text[64];
  const int n = std::snprintf(text, sizeof text, "CAPSTAN-SEAL 1 %016llx %08x\n", static_cast<unsigned long long>(bytes), crc32c);
  return {text, static_cast<std::size_t>(n)};
}

void append_seal(std::vector<std::byte>& image) {
  const std::string seal = seal_of(image);
  const auto line = std::as_bytes(std::span(seal));
  image.insert(image.end(), line.begin(), line.end());
}

std::pair<std::size_t, bool> check_seal(std::span<const std::byte> file, std::string_view path, const std::function<void()>& read) {
  require<DataError>(!file.empty(), path, ": file is empty, expected HDF5");
  const std::string_view all(reinterpret_cast<const char*>(file.data()), file.size());
  if (all.size() <= kSealBytes || !all.substr(all.size() - kSealBytes).starts_with(kSealStart)) return {all.size(), false};
  const std::size_t size = all.size() - kSealBytes;
  require<DataError>(all.substr(size) == seal_of(file.first(size), read), path,
                     ": file is damaged or was changed by another program: the checksum of its ", size,
                     " bytes is not the one written at its end");
  return {size, true};
}

std::uint32_t dataset_checksum(std::string_view path, std::string_view kind, const Shape& shape, std::span<const std::byte> bytes) {
  return crc32c(bytes, crc32c(join_text(path, " ", kind, shape, "\n")));
}

std::string normal_path(std::string_view path) {
  if (path == "/") return "/";
  const std::string_view rest = path.starts_with('/') ? path.substr(1) : path;
  for (std::string_view p = rest;;) {
    const auto slash = p.find('/');
    const auto part = p.substr(0, slash);
    require<InternalError>(!part.empty() && part != "." && part != ".." && part.find('\0') == part.npos, "hdf5: bad path \"", path, "\"");
    if (slash == p.npos) break;
    p.remove_prefix(slash + 1);
  }
  return join_text("/", rest);
}

}  // namespace capstan::data
