// JPEG through libjpeg. Its errors end in longjmp; so between setjmp and the calls that may jump, no object with a destructor lives.

#include "autograd/core/error.h"
#include "data/image/codecs.h"

#ifdef CAPSTAN_HAS_JPEG
#include <csetjmp>
#include <cstdio>
#include <cstring>

#include <jerror.h>
#include <jpeglib.h>
#endif

namespace capstan::data::detail {

#ifdef CAPSTAN_HAS_JPEG

const bool kHasJpeg = true;

namespace {

constexpr int kMaxScans = 200;  // a progressive file of a few kilobytes may otherwise ask for hours of work

struct ErrorManager {
  jpeg_error_mgr base;  // first: libjpeg hands back a pointer to it
  std::jmp_buf jump;
  char text[JMSG_LENGTH_MAX];
};

[[noreturn]] void on_error(j_common_ptr c) {
  auto* e = reinterpret_cast<ErrorManager*>(c->err);
  (*c->err->format_message)(c, e->text);
  std::longjmp(e->jump, 1);
}

/// libjpeg fills in what is missing and calls it a warning; here damage is an error. Oddities that lose no pixel pass.
void on_message(j_common_ptr c, int level) {
  if (level >= 0) return;
  switch (c->err->msg_code) {
    case JWRN_EXTRANEOUS_DATA:
    case JWRN_JFIF_MAJOR:
    case JWRN_ADOBE_XFORM: return;
    default: on_error(c);
  }
}

void on_progress(j_common_ptr c) {
  const auto* d = reinterpret_cast<j_decompress_ptr>(c);
  if (d->input_scan_number <= kMaxScans) return;
  auto* e = reinterpret_cast<ErrorManager*>(c->err);
  std::snprintf(e->text, sizeof e->text, "more than %d scans", kMaxScans);
  std::longjmp(e->jump, 1);
}

class JpegReader {
 public:
  explicit JpegReader(std::span<const std::byte> bytes) : bytes_(bytes) {
    std::memset(&c_, 0, sizeof c_);
    std::memset(&errors_, 0, sizeof errors_);
    std::memset(&progress_, 0, sizeof progress_);
    c_.err = jpeg_std_error(&errors_.base);
    errors_.base.error_exit = on_error;
    errors_.base.emit_message = on_message;
    progress_.progress_monitor = on_progress;
  }
  ~JpegReader() { jpeg_destroy_decompress(&c_); }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;

  /// Reads up to the size. False: error() says why.
  bool header() {
    if (setjmp(errors_.jump) != 0) return false;
    jpeg_create_decompress(&c_);
    c_.progress = &progress_;
    jpeg_mem_src(&c_, reinterpret_cast<const unsigned char*>(bytes_.data()), static_cast<unsigned long>(bytes_.size()));
    jpeg_read_header(&c_, TRUE);
    four_ = c_.jpeg_color_space == JCS_CMYK || c_.jpeg_color_space == JCS_YCCK;
    c_.out_color_space = four_ ? JCS_CMYK : JCS_RGB;
    return true;
  }
  /// Decodes all rows into [height, width, components()].
  bool rows(std::uint8_t* out) {
    if (setjmp(errors_.jump) != 0) return false;
    jpeg_start_decompress(&c_);
    while (c_.output_scanline < c_.output_height) {
      JSAMPROW row = out + static_cast<std::size_t>(c_.output_scanline) * c_.output_width * static_cast<std::size_t>(components());
      jpeg_read_scanlines(&c_, &row, 1);
    }
    jpeg_finish_decompress(&c_);
    return true;
  }
  std::int64_t height() const { return c_.image_height; }
  std::int64_t width() const { return c_.image_width; }
  int components() const { return four_ ? 4 : 3; }
  /// Adobe's programs store the complement of ink, and mark the file.
  bool inverted() const { return c_.saw_Adobe_marker != 0; }
  const char* error() const { return errors_.text; }

 private:
  std::span<const std::byte> bytes_;
  jpeg_decompress_struct c_;
  ErrorManager errors_;
  jpeg_progress_mgr progress_;
  bool four_ = false;
};

/// (255 - ink) (255 - black) / 255, rounded.
void cmyk_to_rgb(const std::uint8_t* from, std::uint8_t* to, std::int64_t pixels, bool inverted) {
  const int flip = inverted ? 0 : 255;
  for (std::int64_t i = 0; i < pixels; ++i)
    for (int c = 0; c < 3; ++c) {
      const int product = (from[4 * i + c] ^ flip) * (from[4 * i + 3] ^ flip);
      to[3 * i + c] = static_cast<std::uint8_t>((product + 127) / 255);
    }
}

}  // namespace

Image decode_jpeg(std::span<const std::byte> bytes, std::string_view name, const ImageLimits& limits) {
  JpegReader reader(bytes);
  require<DataError>(reader.header(), name, ": damaged JPEG: ", reader.error());
  check_size(reader.height(), reader.width(), name, limits);
  Image image(reader.height(), reader.width(), 3);
  if (reader.components() == 3) {
    require<DataError>(reader.rows(image.pixels.data()), name, ": damaged JPEG: ", reader.error());
    return image;
  }
  std::vector<std::uint8_t> inks(static_cast<std::size_t>(image.height * image.width * 4));
  require<DataError>(reader.rows(inks.data()), name, ": damaged JPEG: ", reader.error());
  cmyk_to_rgb(inks.data(), image.pixels.data(), image.height * image.width, reader.inverted());
  return image;
}

#else

const bool kHasJpeg = false;

Image decode_jpeg(std::span<const std::byte>, std::string_view name, const ImageLimits&) {
  throw ConfigError(join_text(name, ": this program reads no JPEG: install libjpeg-dev and build again with -DCAPSTAN_JPEG=ON"));
}

#endif

}  // namespace capstan::data::detail
