#include "data/image/labelled_images.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "autograd/core/error.h"
#include "data/file.h"

namespace capstan::data {
namespace {

struct Inflater {
  z_stream stream{};
  explicit Inflater(const std::string& path) {
    require<InternalError>(::inflateInit2(&stream, 15 + 16) == Z_OK, path, ": zlib cannot start");
  }
  ~Inflater() { ::inflateEnd(&stream); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
};

}  // namespace

std::vector<std::uint8_t> read_inflated(const std::string& path, std::int64_t max_bytes) {
  const std::vector<std::byte> bytes = read_file(path);
  const auto* start = reinterpret_cast<const unsigned char*>(bytes.data());
  const auto limit = static_cast<std::size_t>(max_bytes);
  if (bytes.size() < 2 || start[0] != 0x1f || start[1] != 0x8b) {
    require<DataError>(bytes.size() <= limit, path, ": ", bytes.size(), " bytes, at most ", limit, " were expected");
    return {start, start + bytes.size()};
  }
  Inflater z(path);
  std::vector<std::uint8_t> out(std::min(limit, bytes.size() * 4) + 1);  // one more than allowed shows that there is more
  std::size_t used = 0, made = 0;
  for (;;) {
    z.stream.next_in = const_cast<Bytef*>(start + used);  // zlib's interface predates const; it does not write there
    z.stream.avail_in = static_cast<uInt>(std::min<std::size_t>(bytes.size() - used, std::size_t{1} << 30));
    z.stream.next_out = out.data() + made;
    z.stream.avail_out = static_cast<uInt>(std::min<std::size_t>(out.size() - made, std::size_t{1} << 30));
    const uInt in = z.stream.avail_in, room = z.stream.avail_out;
    const int code = ::inflate(&z.stream, Z_NO_FLUSH);
    used += in - z.stream.avail_in;
    made += room - z.stream.avail_out;
    require<DataError>(made <= limit, path, ": inflates to more than ", limit, " bytes");
    if (code == Z_STREAM_END) {
      const bool more = used + 2 <= bytes.size() && start[used] == 0x1f && start[used + 1] == 0x8b;  // a further gzip member
      if (!more) break;
      require<InternalError>(::inflateReset(&z.stream) == Z_OK, path, ": zlib cannot go on");
      continue;
    }
    require<DataError>(code == Z_OK || code == Z_BUF_ERROR, path, ": damaged gzip data after ", made, " inflated bytes");
    require<DataError>(used < bytes.size() || made == out.size(), path, ": damaged gzip data: the file is cut short after ", made,
                       " inflated bytes");
    if (made == out.size()) out.resize(std::min(limit + 1, out.size() * 2));
  }
  out.resize(made);
  return out;
}

std::string find_plain_or_gzip(const std::string& folder, const std::vector<std::string>& names) {
  std::error_code error;  // of a link that leads round in a circle, for example: no file
  for (const std::string& name : names)
    for (const char* end : {"", ".gz"})
      if (std::string path = folder + "/" + name + end; std::filesystem::is_regular_file(path, error)) return path;
  return "";
}

std::vector<std::string> numbered_classes(std::int64_t count) {
  std::vector<std::string> names;
  for (std::int64_t i = 0; i < count; ++i) names.push_back(std::to_string(i));
  return names;
}

}  // namespace capstan::data
