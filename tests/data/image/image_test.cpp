// Image files: every kind decodes to what it shows, every kind of damage is refused by name, and PNG survives a round trip.

#include "data/image/image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <string>

#include "autograd/core/error.h"
#include "data/file.h"
#include "tests/data/image/golden.h"
#include "tests/data/scratch.h"

namespace capstan::data {
namespace {

using ::testing::HasSubstr;

bool readable(const std::string& name) { return can_decode(name.ends_with(".png") ? ImageFormat::png : ImageFormat::jpeg); }

std::string refusal(std::span<const std::byte> bytes, const ImageLimits& limits = {}) {
  try {
    decode_image(bytes, "the-file", limits);
  } catch (const DataError& e) {
    return e.what();
  }
  return "accepted";
}

TEST(Image, EveryKindOfFileShowsWhatItShould) {
  const auto names = golden_names("file");
  ASSERT_GE(names.size(), 17u);
  for (const std::string& name : names) {
    if (!readable(name)) continue;
    const Image image = decode_image(golden_bytes(name), name);
    EXPECT_EQ(difference(image, golden_image("pixels/" + name)), 0) << name;
  }
}

TEST(Image, AFileCutShortIsRefusedWhereverItIsCut) {
  for (const std::string& name : golden_names("file")) {
    if (!readable(name)) continue;
    const auto bytes = golden_bytes(name);
    // A JPEG may lack the last bytes of its end mark, or padding before it, without losing a pixel.
    for (std::size_t keep = 0; keep + 8 < bytes.size(); keep += 7) {
      const std::string message = refusal(std::span(bytes).first(keep));
      ASSERT_THAT(message, HasSubstr("the-file: ")) << name << " cut to " << keep << " of " << bytes.size() << " bytes";
    }
  }
}

TEST(Image, DamagedBytesNeverCrash) {
  // Some damage shows only as other colours; what matters is that there is an image or a DataError, and that both happen.
  std::map<std::string, int> refused;
  for (const std::string& name : golden_names("file")) {
    if (!readable(name)) continue;
    auto bytes = golden_bytes(name);
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
      for (const auto flip : {std::byte{0xff}, std::byte{0x01}}) {
        bytes[i] ^= flip;
        refused[name] += refusal(bytes, {.max_pixels = 1 << 16, .max_side = 4096}) == "accepted" ? 0 : 1;
        bytes[i] ^= flip;
      }
    }
    EXPECT_GT(refused[name], 0) << name;
  }
}

TEST(Image, RefusesWhatIsNoImage) {
  EXPECT_EQ(refusal({}), "the-file: the file is empty, expected a JPEG or PNG image");
  const std::string text = "GIF89a or any other content";
  EXPECT_EQ(refusal(std::as_bytes(std::span(text.data(), text.size()))),
            "the-file: not an image: found neither the first bytes of a JPEG nor those of a PNG file, but those of a GIF file");
}

TEST(Image, ChecksTheSizeBeforeItTakesMemory) {
  // Both headers claim an image of several gigabytes; the rest of the file is what it was.
  if (can_decode(ImageFormat::png)) {
    const Image small(1, 1, 3);
    auto bytes = encode_png(small);
    const std::string header =
        std::string("IHDR") + std::string("\x00\x00\xff\xff\x00\x00\xff\xff", 8) + std::string("\x08\x02\x00\x00\x00", 5);
    std::memcpy(bytes.data() + 12, header.data(), header.size());
    const auto crc = digest_of(std::as_bytes(std::span(header.data(), header.size()))).crc32;
    for (int i = 0; i < 4; ++i) bytes[29 + static_cast<std::size_t>(i)] = static_cast<std::byte>(crc >> (24 - 8 * i) & 0xff);
    EXPECT_EQ(refusal(bytes), "the-file: an image of 65535 x 65535 pixels; the limit is 67108864 pixels and 65536 a side");
  }
  if (can_decode(ImageFormat::jpeg)) {
    auto bytes = golden_bytes("rgb.jpg");
    const std::string all(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    const std::size_t frame = all.find("\xff\xc0");
    ASSERT_NE(frame, std::string::npos);
    std::memset(bytes.data() + frame + 5, 0xea, 4);  // height and width
    EXPECT_EQ(refusal(bytes), "the-file: an image of 60138 x 60138 pixels; the limit is 67108864 pixels and 65536 a side");
    EXPECT_THAT(refusal(golden_bytes("rgb.jpg"), {.max_pixels = 100}), HasSubstr("an image of 13 x 18 pixels; the limit is 100 pixels"));
    EXPECT_THAT(refusal(golden_bytes("rgb.jpg"), {.max_side = 17}), HasSubstr("and 17 a side"));
  }
}

TEST(Image, RefusesAnEndlessProgressiveFile) {
  if (!can_decode(ImageFormat::jpeg)) GTEST_SKIP();
  const auto bytes = golden_bytes("progressive.jpg");
  const std::string all(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const std::size_t first = all.find("\xff\xda"), second = all.find("\xff\xda", first + 2), end = all.rfind("\xff\xd9");
  ASSERT_NE(second, std::string::npos);
  std::string longer = all.substr(0, end);
  const std::string scan = all.substr(all.rfind("\xff\xda", end), end - all.rfind("\xff\xda", end));
  for (int i = 0; i < 500; ++i) longer += scan;
  longer += all.substr(end);
  EXPECT_THAT(refusal(std::as_bytes(std::span(longer.data(), longer.size()))), HasSubstr("the-file: damaged JPEG: "));
}

TEST(Image, PngRoundTrip) {
  for (const std::int64_t channels : {1, 3}) {
    Image image(9, 14, channels);
    for (std::size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = static_cast<std::uint8_t>(i * i * 31 % 251);
    const Scratch scratch;
    write_png(scratch / "x.png", image);
    if (!can_decode(ImageFormat::png)) continue;
    EXPECT_EQ(read_image(scratch / "x.png"), with_channels(image, 3));
    const ImageView part = ImageView(image).part(2, 3, 4, 5);  // rows that do not follow each other
    EXPECT_EQ(decode_image(encode_png(part), "part"), with_channels(part, 3));
  }
  EXPECT_THROW(write_png("/nowhere/x.png", Image(1, 1, 3)), IoError);
  EXPECT_THROW(read_image("/nowhere/x.png"), IoError);
}

TEST(Image, GreyAndColour) {
  Image rgb(1, 4, 3);
  rgb.pixels = {255, 0, 0, 0, 255, 0, 0, 0, 255, 10, 20, 30};
  EXPECT_EQ(with_channels(rgb, 1).pixels, (std::vector<std::uint8_t>{76, 150, 29, 18}));
  EXPECT_EQ(with_channels(with_channels(rgb, 1), 3).pixels, (std::vector<std::uint8_t>{76, 76, 76, 150, 150, 150, 29, 29, 29, 18, 18, 18}));
  EXPECT_THROW(Image(0, 3, 3), DataError);
  EXPECT_THROW(Image(3, 3, 4), DataError);
  EXPECT_THROW(ImageView(rgb).part(0, 2, 1, 3), DataError);
}

}  // namespace
}  // namespace capstan::data
