#pragma once
// Image: 8-bit pixels in rows, and the files that hold them: JPEG and PNG read, PNG written.
//
// Every decoded file is RGB: grey is repeated, palettes are looked up, 16 bits are rounded to 8, CMYK and YCCK are converted, alpha is
// laid over white. Orientation tags are not applied. A limit on pixels is checked before memory for them is taken. Corrupt, cut short, too
// large, empty or no image at all: each is a DataError naming the file; libjpeg's and libpng's own errors never leave here otherwise.
// Not here: what is done to pixels (resize.h, transforms.h), data sets (idx.h, cifar.h, folder.h).
// JPEG needs libjpeg(-turbo), reading PNG libpng, both optional in the build; without one its files are refused by a ConfigError that says
// how to build with it. Writing PNG needs zlib alone.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace capstan::data {

/// Pixels [height, width, channels], row by row; 1 channel is grey, 3 are red, green, blue.
struct Image {
  std::int64_t height = 0, width = 0, channels = 0;
  std::vector<std::uint8_t> pixels;

  Image() = default;
  /// All pixels 0. Throws DataError for sizes below 1 or channels other than 1 and 3.
  Image(std::int64_t rows, std::int64_t columns, std::int64_t channel_count);

  std::int64_t stride() const { return width * channels; }  ///< bytes of a row
  std::uint8_t* row(std::int64_t y) { return pixels.data() + y * stride(); }
  const std::uint8_t* row(std::int64_t y) const { return pixels.data() + y * stride(); }
  std::uint8_t& at(std::int64_t y, std::int64_t x, std::int64_t c) {
    return pixels[static_cast<std::size_t>(y * stride() + x * channels + c)];
  }
  std::uint8_t at(std::int64_t y, std::int64_t x, std::int64_t c) const {
    return pixels[static_cast<std::size_t>(y * stride() + x * channels + c)];
  }
  bool operator==(const Image&) const = default;
};

/// A part of an image, in pixels.
struct Rectangle {
  std::int64_t top = 0, left = 0, height = 0, width = 0;
};

/// A rectangle of pixels inside an image that outlives it.
struct ImageView {
  std::int64_t height = 0, width = 0, channels = 0, stride = 0;
  const std::uint8_t* pixels = nullptr;

  ImageView() = default;
  ImageView(const Image& image)  // an image is a view of all of itself
      : height(image.height), width(image.width), channels(image.channels), stride(image.stride()), pixels(image.pixels.data()) {}
  const std::uint8_t* row(std::int64_t y) const { return pixels + y * stride; }
  /// The part at (top, left). Throws DataError if it is not inside.
  ImageView part(std::int64_t top, std::int64_t left, std::int64_t rows, std::int64_t columns) const;
};

/// A copy of a view's pixels.
Image copy_of(const ImageView& view);
/// Grey from RGB by ITU-R 601 luma (299, 587, 114 thousandths, rounded), RGB from grey by repetition, or a copy.
Image with_channels(const ImageView& image, std::int64_t channels);

/// The largest image that is decoded.
struct ImageLimits {
  std::int64_t max_pixels = std::int64_t{1} << 26;
  std::int64_t max_side = std::int64_t{1} << 16;
};

enum class ImageFormat : std::uint8_t { unknown, jpeg, png };
/// By the first bytes.
ImageFormat image_format_of(std::span<const std::byte> bytes);

/// The RGB image in a file's bytes; `name` is what errors call it.
Image decode_image(std::span<const std::byte> bytes, std::string_view name, const ImageLimits& limits = {});
/// The same from a file. IoError if it cannot be read.
Image read_image(const std::string& path, const ImageLimits& limits = {});

struct ImageSize {
  std::int64_t height = 0, width = 0;
};
/// Of a JPEG or PNG file, by its header alone: no pixel is decoded, and neither library is needed. Throws IoError, DataError.
ImageSize image_size(const std::string& path);

/// A PNG file of a grey or RGB image.
std::vector<std::byte> encode_png(const ImageView& image);
/// Writes it durably. Throws IoError.
void write_png(const std::string& path, const ImageView& image);

/// Whether this build reads a format.
bool can_decode(ImageFormat format);

}  // namespace capstan::data
