#include "data/hdf5/hdf5.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <fstream>
#include <thread>
#include <utility>

#include "autograd/core/error.h"
#include "autograd/core/rng.h"
#include "data/file.h"
#include "tests/data/scratch.h"
#include "tests/message_of.h"

namespace capstan::data {
namespace {

using testing::AllOf;
using testing::HasSubstr;

Hdf5Reader open(std::vector<std::byte> image, bool require_seal = true) {
  return Hdf5Reader(std::move(image), "mem.h5", {.require_seal = require_seal});
}

/// One tensor of each type, texts, attributes, nested groups.
void fill(Hdf5Writer& w) {
  w.write("/a/f32", Tensor::from({1.0f, -2.5f, 3e-30f, 4.0f, 5.0f, 6.0f}, {2, 3}));
  w.write("a/f64", Tensor::from({0.1}, {}));
  w.write("/a/bf16", Tensor::from({bfloat16(1.5f), bfloat16(-2.0f)}, {2}));
  w.write("/i/deep/er/i32", Tensor::from({-1, 2147483647}, {2, 1}));
  w.write("/i/i64", Tensor::from({std::int64_t{-1} << 62}, {1}));
  w.write("/u8", Tensor::from({std::uint8_t{0}, std::uint8_t{255}}, {2}));
  w.write("/empty", Tensor(Shape{0, 4}));
  w.write_text("/config", "seed = 1\n");
  w.write_text("/nothing", "");
  w.group("/bare/group");
  w.set("/", "step", 12);
  w.set("/a", "note", "größe");
  w.set("/a/f32", "scale", 0.25);
  w.set("/", "blank", "");
}
Hdf5Writer sample() {
  Hdf5Writer w;
  fill(w);
  return w;
}

TEST(Hdf5, AnImageInAFileHasTheBytesOfOneInMemory) {
  const Scratch scratch;
  Tensor large(Shape{7, 1000003});  // more than what is held in memory at a time
  for (std::int64_t i = 0; i < large.numel(); ++i) large.data<float>()[i] = static_cast<float>(i % 65521);
  Hdf5Writer memory;
  Replacement file(scratch / "image.h5");
  Hdf5Writer mapped(file.descriptor(), file.temporary(), 1000);  // a guess that is far too small
  for (Hdf5Writer* w : {&memory, &mapped}) {
    fill(*w);
    for (const char* name : {"/large/first", "/large/second"}) w->write(name, large);
  }
  const Digest digest = mapped.finish_file();
  file.commit();
  const std::vector<std::byte> image = memory.finish();
  EXPECT_TRUE(read_file(scratch / "image.h5") == image);
  EXPECT_EQ(digest, digest_of(image));
}

TEST(Hdf5, AnImageInAFileTakesItsRoomBeforeItIsWritten) {
  const Scratch scratch;
  scratch.write("read_only.h5", "");
  const int descriptor = ::open((scratch / "read_only.h5").c_str(), O_RDONLY);
  EXPECT_THAT(message_of<IoError>([&] { Hdf5Writer(descriptor, "full.h5", 1 << 20); }),
              HasSubstr("full.h5: cannot take 1048576 bytes on the disk: Bad file descriptor"));
  ::close(descriptor);
  // No room behind what was asked for: the file may not grow beyond the limit.
  Replacement file(scratch / "limited.h5");
  Hdf5Writer w(file.descriptor(), "limited.h5", 4096);
  w.group("/first");
  struct rlimit before {};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  struct rlimit small = before;
  small.rlim_cur = 6 << 20;
  ::setrlimit(RLIMIT_FSIZE, &small);
  EXPECT_THAT(message_of<IoError>([&] { w.write("/large", Tensor(Shape{4 << 20})); }),
              HasSubstr("limited.h5: cannot take more room on the disk: File too large"));
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
}

TEST(Hdf5, RoundTripOfEveryType) {
  const auto r = open(sample().finish());
  EXPECT_EQ(r.read("/a/f32").to_vector(), (std::vector<double>{1, -2.5, 3e-30f, 4, 5, 6}));
  EXPECT_EQ(r.read("a/f32").spec(), (Spec{{2, 3}, DType::f32}));
  EXPECT_EQ(r.read("/a/f64").spec(), (Spec{{}, DType::f64}));
  EXPECT_EQ(r.read("/a/f64").item(), 0.1);
  EXPECT_EQ(r.read("/a/bf16").spec(), (Spec{{2}, DType::bf16}));
  EXPECT_EQ(r.read("/a/bf16").to_vector(), (std::vector<double>{1.5, -2}));
  EXPECT_EQ(r.read("/i/deep/er/i32").to_vector(), (std::vector<double>{-1, 2147483647}));
  EXPECT_EQ(r.read("/i/i64").span<std::int64_t>()[0], std::int64_t{-1} << 62);
  EXPECT_EQ(r.read("/u8").to_vector(), (std::vector<double>{0, 255}));
  EXPECT_EQ(r.read("/empty").shape(), (Shape{0, 4}));
  EXPECT_EQ(r.read_text("/config"), "seed = 1\n");
  EXPECT_EQ(r.read_text("/nothing"), "");
  EXPECT_EQ(r.integer("/", "step"), 12);
  EXPECT_EQ(r.text("/a", "note"), "größe");
  EXPECT_EQ(r.text("/", "blank"), "");
  EXPECT_EQ(r.number("/a/f32", "scale"), 0.25);
  EXPECT_EQ(r.number("/", "step"), 12.0);
}

TEST(Hdf5, Listing) {
  const auto r = open(sample().finish());
  std::vector<std::string> names;
  for (const auto& e : r.entries()) names.push_back(e.name);
  EXPECT_EQ(names,
            (std::vector<std::string>{"/a/bf16", "/a/f32", "/a/f64", "/config", "/empty", "/i/deep/er/i32", "/i/i64", "/nothing", "/u8"}));
  EXPECT_EQ(r.groups(), (std::vector<std::string>{"/", "/a", "/bare", "/bare/group", "/i", "/i/deep", "/i/deep/er"}));
  EXPECT_EQ(r.find("/a/f32")->stored_bytes, 24u);
  EXPECT_TRUE(r.find("/config")->is_text);
  EXPECT_EQ(r.find("/a"), nullptr);
  const auto attributes = r.attributes("/");
  EXPECT_EQ(attributes.size(), 2u);
  EXPECT_EQ(std::get<std::int64_t>(attributes.at("step")), 12);
  EXPECT_EQ(std::get<std::string>(r.attributes("/a/bf16").at("dtype")), "bf16");
  EXPECT_TRUE(r.attributes("/a/bf16").contains("crc32c"));
}

TEST(Hdf5, EqualContentGivesEqualBytes) { EXPECT_EQ(sample().finish(), sample().finish()); }

TEST(Hdf5, StridedTensorsAndLongTexts) {
  Hdf5Writer w;
  const Tensor t = Tensor::from({1.f, 2.f, 3.f, 4.f, 5.f, 6.f}, {2, 3});
  w.write("/t", t.view(t.layout().transpose(0, 1)));
  const std::string text(300'000, 'q');
  w.write_text("/text", text);
  const auto r = open(w.finish());
  EXPECT_EQ(r.read("/t").to_vector(), (std::vector<double>{1, 4, 2, 5, 3, 6}));
  EXPECT_EQ(r.read_text("/text"), text);
}

TEST(Hdf5, DeflatedChunks) {
  std::vector<std::int32_t> values(1'000'000);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::int32_t>(i % 1000);
  Hdf5Writer w;
  w.write("/x", Tensor::from(values, {500'000, 2}), {.deflate = 4});
  w.write("/scalar", Tensor::scalar(3), {.deflate = 4});
  w.write("/constant", Tensor::zeros({1'000'000}), {.deflate = 9});  // close to the largest ratio of deflate
  const auto image = w.finish();
  EXPECT_LT(image.size(), 400'000u);
  const auto r = open(image);
  EXPECT_EQ(std::memcmp(r.read("/x").data<std::int32_t>(), values.data(), 4 * values.size()), 0);
  EXPECT_EQ(r.read("/scalar").item(), 3);
  EXPECT_EQ(r.read("/constant").span<float>()[999'999], 0);
}

TEST(Hdf5, RowsOfADataset) {
  std::vector<std::int32_t> values(3 * 1000);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::int32_t>(i);
  Hdf5Writer w;
  w.write("/plain", Tensor::from(values, {1000, 3}));
  w.write("/packed", Tensor::from(values, {1000, 3}), {.deflate = 1, .chunk_rows = 64});
  w.write("/column", Tensor::from(std::vector<std::uint8_t>{7, 8, 9}, {3}));
  w.write("/scalar", Tensor::scalar(3));
  w.write("/empty", Tensor(Shape{0, 4}));
  const Scratch dir;
  write_file_durably(dir / "x.h5", w.finish());
  for (const bool mapped : {false, true}) {
    const Hdf5Reader r(dir / "x.h5", {.mapped = mapped});
    for (const char* name : {"/plain", "packed"})
      for (const auto& [first, count] : {std::pair<int, int>{0, 1000}, {60, 9}, {999, 1}, {5, 0}, {1000, 0}}) {
        const Tensor rows = r.read_rows(name, first, count);
        ASSERT_EQ(rows.spec(), (Spec{{count, 3}, DType::i32})) << name;
        EXPECT_EQ(std::memcmp(rows.data<std::int32_t>(), values.data() + 3 * first, static_cast<std::size_t>(12 * count)), 0) << name;
        r.release();
      }
    EXPECT_EQ(r.read_rows("/column", 1, 2).to_vector(), (std::vector<double>{8, 9}));
    EXPECT_EQ(r.read_rows("/empty", 0, 0).spec(), (Spec{{0, 4}, DType::f32}));
    EXPECT_THAT(message_of<DataError>([&] { r.read_rows("/plain", 999, 2); }), HasSubstr("/plain: has no rows 999 to 1001"));
    EXPECT_THAT(message_of<DataError>([&] { r.read_rows("/plain", -1, 2); }), HasSubstr("has no rows -1 to 1"));
    EXPECT_THAT(message_of<DataError>([&] { r.read_rows("/scalar", 0, 1); }), HasSubstr("/scalar: has no rows"));
    EXPECT_THAT(message_of<DataError>([&] { r.read_rows("/none", 0, 1); }), HasSubstr("no such dataset"));
    EXPECT_EQ(r.read("/packed").to_vector(), r.read("/plain").to_vector());
  }
  const Hdf5Reader unsealed(std::string(CAPSTAN_SOURCE_DIR) + "/tests/data/goldens/plain.h5", {.require_seal = false});
  EXPECT_THAT(message_of<DataError>([&] { unsealed.read_rows("/values", 0, 1); }), HasSubstr("sealed files only"));
}

/// Memory of this process that belongs to no file.
std::int64_t own_kilobytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("RssAnon:")) return std::stoll(line.substr(8));
  return 0;
}

TEST(Hdf5, AMappedFileIsNotRead) {
  const Scratch dir;
  constexpr std::int64_t kRows = std::int64_t{1} << 15, kWidth = 256;  // 32 MiB
  {
    Hdf5Writer w;
    w.write("/x", Tensor::full({kRows, kWidth}, 3));
    write_file_durably(dir / "x.h5", w.finish());
  }
  EXPECT_THROW(Hdf5Reader(dir / "none.h5", {.mapped = true}), IoError);
  [[maybe_unused]] const std::int64_t before = own_kilobytes();
  const Hdf5Reader r(dir / "x.h5", {.mapped = true});
  for (std::int64_t i = 0; i < kRows; i += 1000) ASSERT_EQ(r.read_rows("/x", i, 1).span<float>()[255], 3);
#ifndef __SANITIZE_THREAD__  // whose notes on each byte count, too
  EXPECT_LT(own_kilobytes() - before, 16 << 10);
#endif
  auto image = read_file(dir / "x.h5");
  image[image.size() / 2] ^= std::byte{1};
  write_file_durably(dir / "bad.h5", image);
  EXPECT_THAT(message_of<DataError>([&] { Hdf5Reader(dir / "bad.h5", {.mapped = true}); }), HasSubstr("file is damaged"));
}

TEST(Hdf5, ThroughAFile) {
  const Scratch dir;
  write_file_durably(dir / "x.h5", sample().finish());
  EXPECT_EQ(Hdf5Reader(dir / "x.h5").integer("/", "step"), 12);
  EXPECT_THROW(Hdf5Reader(dir / "absent.h5"), IoError);
}

TEST(Hdf5, ReadIntoAndExpectations) {
  const auto r = open(sample().finish());
  Tensor target({2, 3});
  r.read_into("/a/f32", target);
  EXPECT_EQ(target.span<float>()[1], -2.5f);
  EXPECT_THAT(message_of<DataError>([&] {
                r.read("/a/f32", {{3, 2}, DType::f32});
              }),
              HasSubstr("mem.h5: /a/f32: is f32[2, 3], expected f32[3, 2]"));
  EXPECT_THAT(message_of<DataError>([&] { r.read_into("/a/bf16", Tensor(Shape{2})); }), HasSubstr("is bf16[2], expected f32[2]"));
  EXPECT_THAT(message_of<DataError>([&] { r.read("/b"); }), HasSubstr("mem.h5: /b: no such dataset"));
  EXPECT_THAT(message_of<DataError>([&] { r.read("/config"); }), HasSubstr("is a text, expected a tensor"));
  EXPECT_THAT(message_of<DataError>([&] { r.read_text("/u8"); }), HasSubstr("is a tensor, expected a text"));
  EXPECT_THAT(message_of<DataError>([&] { r.integer("/", "epoch"); }), HasSubstr("has no attribute epoch"));
  EXPECT_THAT(message_of<DataError>([&] { r.integer("/a", "note"); }), HasSubstr("not an integer"));
}

TEST(Hdf5, WriterErrors) {
  Hdf5Writer w;
  w.write("/x", Tensor::scalar(1));
  EXPECT_THAT(message_of<DataError>([&] { w.write("/x", Tensor::scalar(1)); }), HasSubstr("/x: cannot create the dataset"));
  EXPECT_THAT(message_of<DataError>([&] { w.write("/x/y", Tensor::scalar(1)); }), HasSubstr("/x/y: cannot create the dataset"));
  EXPECT_THAT(message_of<DataError>([&] { w.set("/", "long", std::string(70'000, 'x')); }), HasSubstr("70000 bytes"));
  EXPECT_THAT(message_of<DataError>([&] { w.write_text("/t", std::string_view("a\0b", 3)); }), HasSubstr("NUL"));
  EXPECT_THROW(w.write("/a//b", Tensor::scalar(1)), InternalError);
  EXPECT_THROW(w.write("/../b", Tensor::scalar(1)), InternalError);
  EXPECT_EQ(open(w.finish()).read("/x").item(), 1);
}

TEST(Hdf5, EveryTruncationIsRefused) {
  const auto image = sample().finish();
  for (std::size_t size = 0; size < image.size(); size += 1 + size / 97) {
    EXPECT_THROW(open({image.begin(), image.begin() + static_cast<std::ptrdiff_t>(size)}), DataError) << size;
  }
}

TEST(Hdf5, EveryBitFlipIsRefused) {
  auto image = sample().finish();
  Rng rng(random_key(1, "flip"));
  for (int i = 0; i < 2000; ++i) {
    const auto at = rng.below(image.size());
    const auto bit = static_cast<std::byte>(1u << rng.below(8));
    image[at] ^= bit;
    EXPECT_THROW(open(image), DataError) << at;
    image[at] ^= bit;
  }
  EXPECT_NO_THROW(open(image));
}

TEST(Hdf5, WithoutASealTheDatasetChecksumStillGuards) {
  Hdf5Writer w;
  w.write("/weights", Tensor::full({1000}, 0.625));
  auto image = w.finish();
  image.resize(image.size() - 41);  // the seal
  EXPECT_THAT(message_of<DataError>([&] { open(image); }), HasSubstr("no seal"));
  EXPECT_EQ(open(image, false).read("/weights").span<float>()[999], 0.625f);
  const float value = 0.625f;
  const auto at =
      std::search(image.begin(), image.end(), reinterpret_cast<const std::byte*>(&value), reinterpret_cast<const std::byte*>(&value) + 4);
  *(at + 401) ^= std::byte{4};
  const auto r = open(image, false);
  EXPECT_THAT(message_of<DataError>([&] { r.read("/weights"); }), AllOf(HasSubstr("mem.h5: /weights: checksum"), HasSubstr("damaged")));
}

struct Hostile {
  std::string file, text;
};
class HostileFile : public testing::TestWithParam<Hostile> {};

TEST_P(HostileFile, IsRefusedByRule) {
  const std::string path = std::string(CAPSTAN_SOURCE_DIR) + "/tests/data/goldens/" + GetParam().file;
  EXPECT_THAT(message_of<DataError>([&] { Hdf5Reader(path, {.require_seal = false}); }),
              AllOf(HasSubstr(path), HasSubstr(GetParam().text)));
  EXPECT_THAT(message_of<DataError>([&] { Hdf5Reader r(path); }), HasSubstr("no seal"));
}

INSTANTIATE_TEST_SUITE_P(Hdf5, HostileFile,
                         testing::Values(Hostile{"external_link.h5", "/values: soft and external links are refused"},
                                         Hostile{"soft_link.h5", "/alias: soft and external links are refused"},
                                         Hostile{"second_name.h5", "second name"}, Hostile{"group_cycle.h5", "second name"},
                                         Hostile{"external_storage.h5", "external storage is refused"},
                                         Hostile{"virtual_layout.h5", "virtual layout is refused"},
                                         Hostile{"shape_bomb.h5", "declares more than"}, Hostile{"chunk_bomb.h5", "declares more than"},
                                         Hostile{"committed_type.h5", "/type: neither a group nor a dataset"},
                                         Hostile{"big_endian.h5", "element type"}, Hostile{"variable_text.h5", "fixed length"},
                                         Hostile{"unknown_filter.h5", "filter 32004 is refused"}),
                         [](const auto& test) { return test.param.file.substr(0, test.param.file.size() - 3); });

TEST(Hdf5, BombsAreRefusedByWhatTheyStore) {
  const Hdf5Reader::Options any{.require_seal = false, .max_bytes = std::uint64_t{1} << 62};
  for (const std::string name : {"shape_bomb.h5", "chunk_bomb.h5"}) {
    const std::string path = std::string(CAPSTAN_SOURCE_DIR) + "/tests/data/goldens/" + name;
    EXPECT_THAT(message_of<DataError>([&] { Hdf5Reader(path, any); }), HasSubstr("declares 4503599627370496 bytes but stores 0")) << name;
  }
}

TEST(Hdf5, ReadsAFileOfAnotherProgram) {
  const Hdf5Reader r(std::string(CAPSTAN_SOURCE_DIR) + "/tests/data/goldens/plain.h5", {.require_seal = false});
  EXPECT_EQ(r.read("/values", {{2}, DType::f32}).to_vector(), (std::vector<double>{1.5, -2}));
}

TEST(Hdf5, DamagedFilesOfOtherProgramsNeverCrash) {
  // Unsealed bytes reach libhdf5; whatever it makes of them must end in a DataError or in a reading without one.
  const auto image = read_file(std::string(CAPSTAN_SOURCE_DIR) + "/tests/data/goldens/plain.h5");
  Rng rng(random_key(2, "flip"));
  int refused = 0;
  for (int i = 0; i < 300; ++i) {  // a process each
    auto copy = image;
    copy[rng.below(copy.size())] ^= static_cast<std::byte>(1u << rng.below(8));
    try {
      const auto r = open(copy, false);
      for (const auto& e : r.entries()) e.is_text ? (void)r.read_text(e.name) : (void)r.read(e.name);
    } catch (const DataError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 10);
}

TEST(Hdf5, SeveralOpenFilesAreDistinct) {
  Hdf5Writer one, two;
  one.write("/x", Tensor::scalar(1));
  two.write("/x", Tensor::scalar(2));
  const auto first = open(one.finish()), second = open(two.finish());
  EXPECT_EQ(first.read("/x").item(), 1);
  EXPECT_EQ(second.read("/x").item(), 2);
}

TEST(Hdf5, UsedFromSeveralThreads) {
  std::vector<std::vector<std::byte>> images(4);
  {
    std::vector<std::jthread> threads;
    for (auto& image : images) threads.emplace_back([&image] { image = sample().finish(); });
  }
  for (const auto& image : images) EXPECT_EQ(image, images[0]);
}

}  // namespace
}  // namespace capstan::data
