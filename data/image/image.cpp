#include "data/image/image.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>

#include "autograd/core/error.h"
#include "data/file.h"
#include "data/image/codecs.h"

namespace capstan::data {
namespace {

constexpr std::array<unsigned char, 8> kPngSignature{0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
constexpr std::array<unsigned char, 3> kJpegStart{0xff, 0xd8, 0xff};

template <std::size_t N>
bool starts_with(std::span<const std::byte> bytes, const std::array<unsigned char, N>& start) {
  return bytes.size() >= N && std::memcmp(bytes.data(), start.data(), N) == 0;
}

void append_big_endian(std::vector<std::byte>& out, std::uint32_t v) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<std::byte>(v >> shift & 0xff));
}

void append_chunk(std::vector<std::byte>& out, std::string_view type, std::span<const unsigned char> content) {
  append_big_endian(out, static_cast<std::uint32_t>(content.size()));
  const std::size_t start = out.size();
  for (const char c : type) out.push_back(static_cast<std::byte>(c));
  for (const unsigned char c : content) out.push_back(static_cast<std::byte>(c));
  const auto crc = ::crc32_z(0, reinterpret_cast<const Bytef*>(out.data() + start), out.size() - start);
  append_big_endian(out, static_cast<std::uint32_t>(crc));
}

/// What the first bytes of a file that is not read tell of it, in words; empty: nothing.
std::string_view other_form(std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), std::min<std::size_t>(bytes.size(), 64));
  if (text.starts_with("RIFF") && text.size() >= 12 && text.substr(8, 4) == "WEBP") return "those of a WebP file";
  if (text.starts_with("GIF8")) return "those of a GIF file";
  if (text.starts_with("BM")) return "those of a BMP file";
  if (text.starts_with("II*") || text.starts_with("MM")) return "those of a TIFF file";
  if (text.size() >= 12 && text.substr(4, 4) == "ftyp") return "those of a HEIC or AVIF file or a film";
  if (const auto start = text.find_first_not_of(" \t\r\n"); start != std::string_view::npos && text[start] == '<')
    return "markup, as of a web page";
  return {};
}

/// The next N bytes of a file; fewer, and the rest 0, at its end.
template <std::size_t N>
std::array<unsigned char, N> next_bytes(std::istream& in) {
  std::array<unsigned char, N> bytes{};
  in.read(reinterpret_cast<char*>(bytes.data()), N);
  return bytes;
}

std::int64_t big_endian(std::span<const unsigned char> bytes) {
  std::int64_t value = 0;
  for (const unsigned char b : bytes) value = value << 8 | b;
  return value;
}

/// The kind of the next segment of a JPEG: what follows FF, or FF several times. Other bytes before it are passed over, as libjpeg does.
int next_marker(std::istream& in) {
  while (in) {
    int kind = in.get();
    if (kind != 0xff) continue;
    while (kind == 0xff) kind = in.get();
    if (kind != 0) return kind;
  }
  return 0;
}

/// From behind the first two bytes of a JPEG, FF D8, up to the frame header.
ImageSize jpeg_size(std::istream& in) {
  constexpr int kTemporary = 0x01, kRestart = 0xd0, kStart = 0xd8, kEnd = 0xd9, kScan = 0xda;
  while (in) {
    const int kind = next_marker(in);
    if (kind == kTemporary || (kind >= kRestart && kind < kStart)) continue;  // they have no length and no content
    if (kind == kStart || kind == kEnd || kind == kScan) break;               // too early for any of these
    const std::int64_t length = big_endian(next_bytes<2>(in));
    const bool frame = kind >= 0xc0 && kind <= 0xcf && kind != 0xc4 && kind != 0xc8 && kind != 0xcc;
    if (frame) {
      const auto header = next_bytes<5>(in);  // bits, height, width
      return in ? ImageSize{.height = big_endian(std::span(header).subspan(1, 2)), .width = big_endian(std::span(header).subspan(3, 2))}
                : ImageSize{};
    }
    if (length < 2) break;
    in.seekg(length - 2, std::ios::cur);
  }
  return {};
}

}  // namespace

Image::Image(std::int64_t rows, std::int64_t columns, std::int64_t channel_count) : height(rows), width(columns), channels(channel_count) {
  require<DataError>(rows > 0 && columns > 0 && (channel_count == 1 || channel_count == 3),
                     "image: needs a height and width above 0 and 1 or 3 channels, got ", rows, " x ", columns, " x ", channel_count);
  pixels.resize(static_cast<std::size_t>(rows * columns * channel_count));
}

ImageView ImageView::part(std::int64_t top, std::int64_t left, std::int64_t rows, std::int64_t columns) const {
  require<DataError>(top >= 0 && left >= 0 && rows > 0 && columns > 0 && top + rows <= height && left + columns <= width,
                     "image: a part of ", rows, " x ", columns, " at (", top, ", ", left, ") is not inside ", height, " x ", width);
  ImageView v = *this;
  v.height = rows;
  v.width = columns;
  v.pixels += top * stride + left * channels;
  return v;
}

Image copy_of(const ImageView& view) {
  Image out(view.height, view.width, view.channels);
  for (std::int64_t y = 0; y < view.height; ++y) std::copy_n(view.row(y), out.stride(), out.row(y));
  return out;
}

Image with_channels(const ImageView& image, std::int64_t channels) {
  if (image.channels == channels) return copy_of(image);
  Image out(image.height, image.width, channels);
  for (std::int64_t y = 0; y < image.height; ++y) {
    const std::uint8_t* from = image.row(y);
    std::uint8_t* to = out.row(y);
    for (std::int64_t x = 0; x < image.width; ++x) {
      if (channels == 1) {
        to[x] = static_cast<std::uint8_t>((19595 * from[3 * x] + 38470 * from[3 * x + 1] + 7471 * from[3 * x + 2] + 32768) >> 16);
      } else {
        std::fill_n(to + 3 * x, 3, from[x]);
      }
    }
  }
  return out;
}

ImageFormat image_format_of(std::span<const std::byte> bytes) {
  if (starts_with(bytes, kJpegStart)) return ImageFormat::jpeg;
  return starts_with(bytes, kPngSignature) ? ImageFormat::png : ImageFormat::unknown;
}

bool can_decode(ImageFormat format) {
  return format == ImageFormat::jpeg ? detail::kHasJpeg : format == ImageFormat::png && detail::kHasPng;
}

void detail::check_size(std::int64_t height, std::int64_t width, std::string_view name, const ImageLimits& limits) {
  require<DataError>(height > 0 && width > 0, name, ": an image of ", height, " x ", width, " pixels");
  require<DataError>(height <= limits.max_side && width <= limits.max_side && height <= limits.max_pixels / width, name, ": an image of ",
                     height, " x ", width, " pixels; the limit is ", limits.max_pixels, " pixels and ", limits.max_side, " a side");
}

Image decode_image(std::span<const std::byte> bytes, std::string_view name, const ImageLimits& limits) {
  require<DataError>(!bytes.empty(), name, ": the file is empty, expected a JPEG or PNG image");
  switch (image_format_of(bytes)) {
    case ImageFormat::jpeg: return detail::decode_jpeg(bytes, name, limits);
    case ImageFormat::png: return detail::decode_png(bytes, name, limits);
    case ImageFormat::unknown: break;
  }
  const std::string_view other = other_form(bytes);
  throw DataError(join_text(name, ": not an image: found neither the first bytes of a JPEG nor those of a PNG file",
                            other.empty() ? "" : ", but ", other));
}

Image read_image(const std::string& path, const ImageLimits& limits) { return decode_image(read_file(path), path, limits); }

ImageSize image_size(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  require<IoError>(in.is_open(), path, ": cannot be opened");
  const auto start = next_bytes<24>(in);
  const auto bytes = std::as_bytes(std::span(start));
  ImageSize size;
  switch (image_format_of(bytes)) {
    case ImageFormat::jpeg:
      in.clear();
      in.seekg(2);
      size = jpeg_size(in);
      break;
    case ImageFormat::png:
      size = {.height = big_endian(std::span(start).subspan(20, 4)), .width = big_endian(std::span(start).subspan(16, 4))};
      break;
    case ImageFormat::unknown: throw DataError(join_text(path, ": found neither the first bytes of a JPEG nor those of a PNG file"));
  }
  require<DataError>(size.height > 0 && size.width > 0, path, ": damaged: its header names no height and width");
  return size;
}

std::vector<std::byte> encode_png(const ImageView& image) {
  require<DataError>(image.height > 0 && image.width > 0 && (image.channels == 1 || image.channels == 3),
                     "png: needs a grey or RGB image, got ", image.height, " x ", image.width, " x ", image.channels);
  // Each row is stored as differences to the pixel on its left (filter 1), which compresses smooth pictures well.
  std::vector<unsigned char> raw;
  const std::int64_t n = image.width * image.channels;
  raw.reserve(static_cast<std::size_t>((n + 1) * image.height));
  for (std::int64_t y = 0; y < image.height; ++y) {
    const std::uint8_t* row = image.row(y);
    raw.push_back(1);
    for (std::int64_t i = 0; i < n; ++i)
      raw.push_back(static_cast<unsigned char>(row[i] - (i < image.channels ? 0 : row[i - image.channels])));
  }
  uLongf size = ::compressBound(raw.size());
  std::vector<unsigned char> packed(size);
  require<InternalError>(::compress2(packed.data(), &size, raw.data(), raw.size(), 6) == Z_OK, "png: compression failed");
  packed.resize(size);

  std::vector<std::byte> out;
  for (const unsigned char c : kPngSignature) out.push_back(static_cast<std::byte>(c));
  std::array<unsigned char, 13> header{};  // width, height, bits, colour type, then compression, filter and interlace methods: all 0
  for (std::size_t i = 0; i < 4; ++i) {
    header[i] = static_cast<unsigned char>(image.width >> (24 - 8 * i) & 0xff);
    header[4 + i] = static_cast<unsigned char>(image.height >> (24 - 8 * i) & 0xff);
  }
  header[8] = 8;
  header[9] = image.channels == 3 ? 2 : 0;
  append_chunk(out, "IHDR", header);
  append_chunk(out, "IDAT", packed);
  append_chunk(out, "IEND", {});
  return out;
}

void write_png(const std::string& path, const ImageView& image) { write_file_durably(path, std::span<const std::byte>(encode_png(image))); }

}  // namespace capstan::data
