// IDX, CIFAR and folders of images: good files, and each refusal with its message.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <filesystem>
#include <string>
#include <thread>

#include "autograd/core/error.h"
#include "data/image/cifar.h"
#include "data/image/folder.h"
#include "data/image/idx.h"
#include "tests/data/image/golden.h"
#include "tests/data/scratch.h"
#include "tests/message_of.h"

namespace capstan::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
namespace fs = std::filesystem;

std::string gzip(const std::string& text) {
  z_stream z{};
  EXPECT_EQ(::deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(::deflateBound(&z, text.size()) + 32, '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  z.avail_in = static_cast<uInt>(text.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(::deflate(&z, Z_FINISH), Z_STREAM_END);
  out.resize(z.total_out);
  ::deflateEnd(&z);
  return out;
}

std::string idx(const std::vector<int>& sizes, const std::string& values, char type = 8) {
  std::string out{'\0', '\0', type, static_cast<char>(sizes.size())};
  for (const int s : sizes)
    for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(s >> shift & 0xff);
  return out + values;
}

TEST(Idx, ReadsImagesAndLabels) {
  const Scratch scratch;
  scratch.write("train-images-idx3-ubyte.gz", gzip(idx({2, 2, 3}, "abcdefghijkl")));
  scratch.write("train-labels-idx1-ubyte", idx({2}, std::string("\x01\x00", 2)));
  const LabelledImages set = read_idx_folder(scratch.path(), IdxPart::train);
  EXPECT_EQ(set.size(), 2);
  EXPECT_THAT(set.labels, ElementsAre(1, 0));
  EXPECT_THAT(set.class_names, ElementsAre("0", "1"));
  EXPECT_THAT(copy_of(set.image(1)).pixels, ElementsAre('g', 'h', 'i', 'j', 'k', 'l'));
  EXPECT_EQ(set.image(0).channels, 1);
  EXPECT_THAT(read_idx_folder(scratch.path(), IdxPart::train, {"shoe", "bag", "hat"}).class_names, ElementsAre("shoe", "bag", "hat"));
  EXPECT_THAT(message_of([&] { read_idx_folder(scratch.path(), IdxPart::train, {"shoe"}); }),
              HasSubstr("found label 1, there are 1 classes"));
  EXPECT_THAT(message_of([&] { read_idx_folder(scratch.path(), IdxPart::test); }), HasSubstr("found neither t10k-images-idx3-ubyte"));
}

TEST(Idx, RefusesWhatItIsNot) {
  const Scratch scratch;
  const auto refusal = [&](const std::string& content) { return message_of([&] { read_idx(scratch.write("x", content)); }); };
  EXPECT_THAT(refusal(""), HasSubstr("x: not an IDX file"));
  EXPECT_THAT(refusal("PNG..."), HasSubstr("not an IDX file"));
  EXPECT_THAT(refusal(idx({2}, "ab", 13)), HasSubstr("IDX elements of type 13, expected 8 (bytes)"));
  EXPECT_THAT(refusal(idx({3}, "ab")), HasSubstr("the IDX header claims 3 bytes, there are 2"));
  EXPECT_THAT(refusal(idx({1}, "ab")), HasSubstr("the IDX header claims 1 bytes, there are 2"));
  EXPECT_THAT(refusal(idx({1 << 30, 1 << 30, 1 << 30}, "ab")), HasSubstr("more than 2^40 elements"));
  EXPECT_THAT(refusal(std::string("\0\0\x08\x05", 4)), HasSubstr("an IDX header of 5 axes in 4 bytes"));
  const std::string packed = gzip(idx({2000}, std::string(2000, 'x')));
  EXPECT_THAT(refusal(packed.substr(0, packed.size() - 9)), HasSubstr("the file is cut short"));
  std::string damaged = packed;
  damaged[15] = static_cast<char>(damaged[15] ^ 0x55);
  EXPECT_THAT(refusal(damaged), HasSubstr("damaged gzip data"));
  EXPECT_THAT(message_of([&] {
                read_idx_images(scratch.write("i", idx({2, 1, 1}, "ab")), scratch.write("l", idx({1}, std::string(1, '\0'))));
              }),
              HasSubstr("2 images, but"));
  EXPECT_THAT(message_of([&] { read_inflated(scratch.write("bomb", gzip(std::string(100000, 'x'))), 5000); }),
              HasSubstr("bomb: inflates to more than 5000 bytes"));
  EXPECT_EQ(read_inflated(scratch.write("two", gzip("first ") + gzip("second"))).size(), 12u) << "members follow each other";
}

TEST(Cifar, ReadsPlanes) {
  const Scratch scratch;
  std::string record(1, '\x03');
  for (const char plane : {'r', 'g', 'b'}) record.append(1023, plane).push_back(static_cast<char>(plane + 1));
  scratch.write("data_batch_2.bin.gz", gzip(record));
  scratch.write("data_batch_1.bin", "\x09" + record.substr(1) + record);
  scratch.write("batches.meta.txt", "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n");
  const LabelledImages set = read_cifar_folder(scratch.path(), CifarPart::train, CifarLabels::ten);
  EXPECT_THAT(set.labels, ElementsAre(9, 3, 3));
  EXPECT_EQ(set.class_names[3], "d");
  const Image image = copy_of(set.image(2));
  EXPECT_EQ(image.at(0, 0, 0), 'r');
  EXPECT_EQ(image.at(31, 30, 2), 'b');
  EXPECT_EQ(image.at(31, 31, 1), 'h');
  EXPECT_THAT(message_of([&] { read_cifar_folder(scratch.path(), CifarPart::test, CifarLabels::ten); }),
              HasSubstr("found no file test_batch"));

  scratch.write("train.bin", "\x05\x63" + record.substr(1));
  EXPECT_THAT(read_cifar_folder(scratch.path(), CifarPart::train, CifarLabels::fine).labels, ElementsAre(99));
  EXPECT_THAT(read_cifar_folder(scratch.path(), CifarPart::train, CifarLabels::coarse).labels, ElementsAre(5));
  EXPECT_THAT(message_of([&] { read_cifar({scratch / "train.bin"}, CifarLabels::ten); }),
              HasSubstr("3074 bytes are not a whole number of records of 3073 bytes"));
  EXPECT_THAT(message_of([&] { read_cifar({scratch.write("x.bin", "\x0a" + record.substr(1))}, CifarLabels::ten); }),
              HasSubstr("record 0 has label 10, expected 0 .. 9"));
  scratch.write("data_batch_1.bin.gz", gzip(record));
  EXPECT_THAT(message_of([&] { read_cifar_folder(scratch.path(), CifarPart::train, CifarLabels::ten); }),
              HasSubstr("the same records are in"));
}

struct FolderTest : testing::Test {
  Scratch scratch;
  void SetUp() override {
    fs::create_directories(scratch / "dog/images");
    fs::create_directories(scratch / "cat");
    put("dog/images/2.PNG", 20);
    put("dog/images/10.png", 10);
    put("cat/z.png", 30);
    scratch.write("dog/boxes.txt", "not an image");
    scratch.write("readme.txt", "not a class");
  }
  void put(const std::string& name, std::uint8_t value) const {
    Image image(2, 2, 3);
    for (auto& v : image.pixels) v = value;
    write_png(scratch / name, image);
  }
};

TEST_F(FolderTest, OrdersByClassAndName) {
  const ImageFolder folder(scratch.path(), {});
  EXPECT_THAT(folder.class_names(), ElementsAre("cat", "dog"));
  ASSERT_EQ(folder.size(), 3);
  EXPECT_EQ(folder.path(1), scratch / "dog/images/10.png");
  EXPECT_EQ(folder.label(0), 0);
  EXPECT_EQ(folder.label(2), 1);
  const std::string before = folder.digest();
  EXPECT_EQ(ImageFolder(scratch.path(), {}).digest(), before);
  put("cat/another.png", 1);
  EXPECT_NE(ImageFolder(scratch.path(), {}).digest(), before);
  EXPECT_EQ(ImageFolder(scratch.path(), {.class_names = {"bird", "dog", "cat"}}).label(0), 2);
  EXPECT_THAT(message_of([&] {
                ImageFolder(scratch.path(), {.class_names = {"bird", "dog"}});
              }),
              HasSubstr("cat: a class that is not among the 2 known ones (bird .. dog)"));
  EXPECT_THAT(message_of([&] { ImageFolder(scratch / "cat", {}); }), HasSubstr("found no image files"));
  EXPECT_THROW(ImageFolder(scratch / "nowhere", {}), IoError);
}

TEST_F(FolderTest, RefusesOrSkipsBrokenFiles) {
  if (!can_decode(ImageFormat::png)) GTEST_SKIP();
  scratch.write("dog/images/10.png", "");
  scratch.write("dog/images/11.jpg", "\xff\xd8\xff\xe0 cut short");
  scratch.write("dog/images/12.jpeg", "a text file");
  const ImageFolder strict(scratch.path(), {});
  ASSERT_EQ(strict.size(), 5);
  EXPECT_THAT(message_of([&] { strict.read(1); }), HasSubstr("dog/images/10.png: the file is empty"));
  const ImageFolder lenient(scratch.path(), {.broken = Broken::skip});
  std::vector<std::jthread> readers;
  for (int t = 0; t < 4; ++t)
    readers.emplace_back([&] {
      for (std::int64_t i = 1; i <= 4; ++i) {
        const auto sample = lenient.read(i);
        EXPECT_EQ(sample.index, 4);
        EXPECT_EQ(sample.label, 1);
        EXPECT_EQ(sample.image.pixels[0], 20);
      }
    });
  readers.clear();
  const auto broken = lenient.broken();
  EXPECT_EQ(broken.size(), can_decode(ImageFormat::jpeg) ? 3u : 2u);
  EXPECT_THAT(broken.at(scratch / "dog/images/12.jpeg"), HasSubstr("not an image"));

  for (const char* name : {"dog/images/2.PNG", "cat/z.png"}) scratch.write(name, "gone");
  const ImageFolder hopeless(scratch.path(), {.broken = Broken::skip});
  EXPECT_THAT(message_of([&] { hopeless.read(3); }), HasSubstr("none of 5 image files can be read; the first: "));
}

TEST_F(FolderTest, TreatsUnreadableFilesLikeBrokenOnes) {
  if (!can_decode(ImageFormat::png)) GTEST_SKIP();
  fs::create_symlink("nowhere.png", scratch / "cat/a.png");
  fs::create_symlink("b.png", scratch / "cat/b.png");  // round in a circle
  put("dog/images/1.png", 5);
  const ImageFolder strict(scratch.path(), {}), lenient(scratch.path(), {.broken = Broken::skip});
  ASSERT_EQ(lenient.size(), 6);
  fs::remove(scratch / "dog/images/1.png");
  EXPECT_THAT(message_of([&] { strict.read(0); }), HasSubstr("cat/a.png: open failed: "));
  EXPECT_THROW(strict.read(1), IoError);
  EXPECT_EQ(lenient.read(0).index, 2);
  EXPECT_EQ(lenient.broken().size(), 2u) << "what was met so far";
  lenient.check_all();
  const auto broken = lenient.broken();
  EXPECT_EQ(broken.size(), 3u);
  EXPECT_THAT(broken.at(scratch / "cat/b.png"), HasSubstr("cat/b.png: open failed: "));
  EXPECT_THAT(broken.at(scratch / "dog/images/1.png"), HasSubstr("No such file"));
}

TEST_F(FolderTest, TheSubstituteIsOfTheSamePart) {
  if (!can_decode(ImageFormat::png)) GTEST_SKIP();
  scratch.write("cat/z.png", "");
  const ImageFolder folder(scratch.path(), {.broken = Broken::skip});
  const std::vector<std::int64_t> part{0, 2}, broken{0};
  EXPECT_EQ(folder.read(0).index, 1);
  EXPECT_EQ(folder.read(part, 0).index, 2);
  EXPECT_EQ(folder.read(part, 1).index, 2);
  EXPECT_THAT(message_of([&] { folder.read(broken, 0); }),
              HasSubstr("none of 1 image files can be read; the first: " + scratch / "cat/z.png"));
}

TEST_F(FolderTest, FollowsLinksButNotInACircle) {
  fs::create_directory_symlink("../dog", scratch / "cat/more");  // dog's links come with it
  fs::create_directory_symlink("../..", scratch / "dog/images/root");
  fs::create_directory_symlink("../cat", scratch / "dog/cats");
  const ImageFolder folder(scratch.path(), {});
  std::vector<std::string> names;
  for (std::int64_t i = 0; i < folder.size(); ++i) names.push_back(folder.path(i).substr(scratch.path().size() + 1));
  EXPECT_THAT(names, ElementsAre("cat/more/images/10.png", "cat/more/images/2.PNG", "cat/z.png", "dog/cats/z.png", "dog/images/10.png",
                                 "dog/images/2.PNG"));
  for (const std::string place : {"cat/self", "self"}) {  // below a class, and beside the classes
    fs::create_symlink("self", scratch / place);
    EXPECT_THAT(message_of([&] { ImageFolder(scratch.path(), {}); }), HasSubstr(scratch / place + ": cannot be reached: ")) << place;
    EXPECT_THROW(ImageFolder(scratch.path(), {}), IoError);
    fs::remove(scratch / place);
  }
}

TEST_F(FolderTest, HiddenFoldersAreNoClassesAndClassesHaveImages) {
  fs::create_directories(scratch / ".ipynb_checkpoints");
  fs::create_directories(scratch / "cat/.ipynb_checkpoints");
  put(".ipynb_checkpoints/a.png", 1);
  put("cat/.ipynb_checkpoints/a.png", 1);
  put("cat/._z.png", 1);
  const ImageFolder folder(scratch.path(), {});
  EXPECT_THAT(folder.class_names(), ElementsAre("cat", "dog"));
  EXPECT_EQ(folder.size(), 3);
  fs::create_directories(scratch / "bird");
  scratch.write("bird/notes.txt", "not an image");
  scratch.write("bird/.DS_Store", "x");
  EXPECT_THAT(message_of<DataError>([&] { ImageFolder(scratch.path(), {}); }),
              HasSubstr(scratch / "bird: a class without image files (JPEG or PNG); not read: 1 .txt, 1 hidden names"));
}

TEST_F(FolderTest, FilesAreReadByContentAndTheRestIsCountedByKind) {
  const std::vector<std::byte> bytes = encode_png(Image(2, 2, 3));
  const std::string png(reinterpret_cast<const char*>(bytes.data()), bytes.size()), webp("RIFF\x24\0\0\0WEBPVP8 ", 16);
  for (const char* name : {"a.jfif", "b.JPE", "c", "d.jpg_large", "e.bmp"}) scratch.write(std::string("cat/") + name, png);
  for (const char* name : {"f.webp", "g.WebP", "h.gif", "Thumbs.db", "i"}) scratch.write(std::string("cat/") + name, webp);
  scratch.write("cat/called.jpg", webp);
  scratch.write("loose.png", png);
  const ImageFolder folder(scratch.path(), {.broken = Broken::skip});
  EXPECT_EQ(folder.size(), 3 + 5 + 1) << "five more by their first bytes, one by its name";
  std::map<std::string, std::int64_t> counts;
  for (const auto& [kind, met] : folder.passed_over()) counts[kind] = met.count;
  EXPECT_THAT(counts, ElementsAre(Pair(".db", 1), Pair(".gif", 1), Pair(".txt", 2), Pair(".webp", 2), Pair("files without an ending", 1),
                                  Pair("images outside the class folders", 1)));
  EXPECT_EQ(folder.passed_over().at(".webp").first, scratch / "cat/f.webp");
  folder.check_all();
  EXPECT_THAT(folder.broken(), ElementsAre(Pair(scratch / "cat/called.jpg", HasSubstr("but those of a WebP file"))));
}

TEST_F(FolderTest, FoldersOfTheSystemAreNoClasses) {
  for (const std::string name : {"__MACOSX", "@eaDir", "lost+found", "$RECYCLE.BIN", "#recycle", "System Volume Information"}) {
    for (const std::string& place : {name, "cat/" + name}) {
      fs::create_directories(scratch / place + "/z.png");
      put(place + "/z.png/thumbnail.png", 1);
    }
  }
  const ImageFolder folder(scratch.path(), {});
  EXPECT_THAT(folder.class_names(), ElementsAre("cat", "dog"));
  EXPECT_EQ(folder.size(), 3);
  EXPECT_EQ(folder.passed_over().at("folders @eaDir").count, 2);
  fs::create_directories(scratch / "New Folder");
  EXPECT_THAT(message_of<DataError>([&] { ImageFolder(scratch.path(), {}); }), HasSubstr("New Folder: a class without image files"));
}

}  // namespace
}  // namespace capstan::data
