// PNG through libpng. Its errors end in longjmp; so between setjmp and the calls that may jump, no object with a destructor lives.

#include "autograd/core/error.h"
#include "data/image/codecs.h"

#ifdef CAPSTAN_HAS_PNG
#include <csetjmp>
#include <cstdio>
#include <cstring>

#include <png.h>
#endif

namespace capstan::data::detail {

#ifdef CAPSTAN_HAS_PNG

const bool kHasPng = true;

namespace {

constexpr png_alloc_size_t kMaxChunkBytes = png_alloc_size_t{1} << 23;  // of profiles and texts, which may be compressed a thousandfold

class PngReader {
 public:
  explicit PngReader(std::span<const std::byte> bytes) : bytes_(bytes) {}
  ~PngReader() { png_destroy_read_struct(&png_, &info_, nullptr); }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;

  /// Reads up to the pixels. False: error() says why.
  bool header() {
    if (setjmp(jump_) != 0) return false;
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, on_error, on_warning);
    if (png_ != nullptr) info_ = png_create_info_struct(png_);
    if (info_ == nullptr) {
      std::snprintf(text_, sizeof text_, "libpng cannot start");
      return false;
    }
    png_set_user_limits(png_, PNG_UINT_31_MAX, PNG_UINT_31_MAX);  // ours are checked between header() and rows()
    png_set_chunk_malloc_max(png_, kMaxChunkBytes);
    png_set_read_fn(png_, this, on_read);
    png_read_info(png_, info_);
    height_ = png_get_image_height(png_, info_);
    width_ = png_get_image_width(png_, info_);
    const auto colour = png_get_color_type(png_, info_);
    alpha_ = (colour & PNG_COLOR_MASK_ALPHA) != 0 || png_get_valid(png_, info_, PNG_INFO_tRNS) != 0;
    return true;
  }
  /// Decodes into [height, width, components()], through pointers to the rows.
  bool rows(png_bytep* row_pointers) {
    if (setjmp(jump_) != 0) return false;
    png_set_expand(png_);    // palette to RGB, fewer bits to 8, transparent colours to alpha
    png_set_scale_16(png_);  // rounded, not cut
    png_set_gray_to_rgb(png_);
    png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    if (png_get_rowbytes(png_, info_) != static_cast<std::size_t>(width_ * components())) png_error(png_, "rows of an unexpected size");
    png_read_image(png_, row_pointers);
    png_read_end(png_, nullptr);
    return true;
  }
  std::int64_t height() const { return height_; }
  std::int64_t width() const { return width_; }
  int components() const { return alpha_ ? 4 : 3; }
  const char* error() const { return text_; }

 private:
  [[noreturn]] static void on_error(png_structp png, png_const_charp message) {
    auto* self = static_cast<PngReader*>(png_get_error_ptr(png));
    std::snprintf(self->text_, sizeof self->text_, "%s", message);
    std::longjmp(self->jump_, 1);
  }
  static void on_warning(png_structp, png_const_charp) {}
  static void on_read(png_structp png, png_bytep out, std::size_t count) {
    auto* self = static_cast<PngReader*>(png_get_io_ptr(png));
    if (count > self->bytes_.size() - self->at_) png_error(png, "the file is cut short");
    std::memcpy(out, self->bytes_.data() + self->at_, count);
    self->at_ += count;
  }

  std::span<const std::byte> bytes_;
  std::size_t at_ = 0;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  std::int64_t height_ = 0, width_ = 0;
  bool alpha_ = false;
  std::jmp_buf jump_;
  char text_[256] = "";
};

}  // namespace

Image decode_png(std::span<const std::byte> bytes, std::string_view name, const ImageLimits& limits) {
  PngReader reader(bytes);
  require<DataError>(reader.header(), name, ": damaged PNG: ", reader.error());
  check_size(reader.height(), reader.width(), name, limits);
  Image image(reader.height(), reader.width(), 3);
  const std::int64_t n = reader.components();
  std::vector<std::uint8_t> with_alpha(n == 4 ? static_cast<std::size_t>(image.height * image.width * 4) : 0);
  std::vector<png_bytep> rows(static_cast<std::size_t>(image.height));
  for (std::int64_t y = 0; y < image.height; ++y)
    rows[static_cast<std::size_t>(y)] = (n == 4 ? with_alpha.data() : image.pixels.data()) + y * image.width * n;
  require<DataError>(reader.rows(rows.data()), name, ": damaged PNG: ", reader.error());
  if (n == 4) {
    for (std::size_t i = 0; i < with_alpha.size() / 4; ++i)
      for (std::size_t c = 0; c < 3; ++c) {
        const int a = with_alpha[4 * i + 3];
        image.pixels[3 * i + c] = static_cast<std::uint8_t>((with_alpha[4 * i + c] * a + 255 * (255 - a) + 127) / 255);
      }
  }
  return image;
}

#else

const bool kHasPng = false;

Image decode_png(std::span<const std::byte>, std::string_view name, const ImageLimits&) {
  throw ConfigError(join_text(name, ": this program reads no PNG: install libpng-dev and build again with -DCAPSTAN_PNG=ON"));
}

#endif

}  // namespace capstan::data::detail
