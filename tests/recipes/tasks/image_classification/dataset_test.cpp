// The data of image classification: parts and what is held out of them.

#include "recipes/tasks/image_classification/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <string>

#include "autograd/core/error.h"
#include "tests/data/scratch.h"
#include "tests/message_of.h"
#include "tests/recipes/tasks/image_classification/fixtures.h"

namespace capstan::image_classification {
namespace {

using engine::Split;
using ::testing::HasSubstr;

TEST(ImageDataset, HoldsOutTheSameImagesForEverySeed) {
  Options c = shapes();
  c.data.held_out = 20;
  const Dataset a(c.data, c.shapes, {.seed = 1}), b(c.data, c.shapes, {.seed = 2});
  EXPECT_EQ(a.size(Split::train), 30);
  EXPECT_EQ(a.size(Split::validation), 20);
  EXPECT_EQ(a.size(Split::test), 18);
  EXPECT_EQ(a.digest(), b.digest());
  std::set<std::string> all;  // of pixels as text
  for (std::int64_t i = 0; i < 20; ++i) {
    const data::Image x = copy_of(a.read(Split::validation, i).view);
    EXPECT_EQ(x, copy_of(b.read(Split::validation, i).view));
    all.emplace(x.pixels.begin(), x.pixels.end());
  }
  for (std::int64_t i = 0; i < 30; ++i) {
    const data::Image x = copy_of(a.read(Split::train, i).view);
    all.emplace(x.pixels.begin(), x.pixels.end());
  }
  EXPECT_EQ(all.size(), 50u) << "no image is in both parts";

  c.data.held_out = 0.4;
  const Dataset share(c.data, c.shapes, {.seed = 1});
  EXPECT_EQ(share.size(Split::validation), 20);
  EXPECT_EQ(copy_of(share.read(Split::validation, 19).view), copy_of(a.read(Split::validation, 19).view));
  c.data.held_out = 0.001;
  EXPECT_EQ(Dataset(c.data, c.shapes, {.seed = 1}).size(Split::validation), 1);
}

TEST(ImageDataset, HeldOutImagesStandInForNoTrainingImage) {
  if (!data::can_decode(data::ImageFormat::png)) GTEST_SKIP();
  const data::Scratch scratch;
  constexpr std::int64_t kImages = 30;
  for (const char* part : {"train", "test"}) {
    for (const char* name : {"a", "b"}) std::filesystem::create_directories(scratch / part + "/" + name);
    for (std::int64_t i = 0; i < kImages; ++i) {
      data::Image image(2, 2, 3);
      image.pixels[0] = static_cast<std::uint8_t>(i);  // tells which one it is
      const std::string number = std::to_string(100 + i);
      data::write_png(scratch / part + (i % 2 == 0 ? "/a/" : "/b/") + number + ".png", image);
    }
  }
  Options c;
  c.data.path = scratch.path();
  c.data.held_out = 12;
  c.data.broken = data::Broken::skip;
  const auto number_of = [](const Example& e) { return static_cast<int>(e.view.pixels[0]); };
  std::set<int> held, trained;
  {
    const Dataset sound(c.data, c.shapes, {.seed = 1});
    for (std::int64_t i = 0; i < 12; ++i) held.insert(number_of(sound.read(Split::validation, i)));
    for (std::int64_t i = 0; i < kImages - 12; ++i) trained.insert(number_of(sound.read(Split::train, i)));
  }
  ASSERT_EQ(held.size() + trained.size(), 30u);
  const int last = *trained.begin();
  for (const int i : trained)  // all but one
    if (i != last) scratch.write(std::string("train/") + (i % 2 == 0 ? "a/" : "b/") + std::to_string(100 + i) + ".png", "broken");
  const Dataset d(c.data, c.shapes, {.seed = 1});
  for (std::int64_t i = 0; i < d.size(Split::train); ++i) EXPECT_EQ(number_of(d.read(Split::train, i)), last);
  EXPECT_EQ(d.broken().size(), trained.size() - 1);
  scratch.write(std::string("train/") + (last % 2 == 0 ? "a/" : "b/") + std::to_string(100 + last) + ".png", "broken");
  EXPECT_THROW(d.read(Split::train, 0), DataError) << "rather than a validation image";
  for (std::int64_t i = 0; i < 12; ++i) EXPECT_TRUE(held.contains(number_of(d.read(Split::validation, i))));
}

/// Class folders a and b of parts, one image a class.
struct PartFolders {
  data::Scratch scratch;
  void add(const std::string& part) const {
    for (const char* name : {"/a", "/b"}) {
      std::filesystem::create_directories(scratch / part + name);
      data::write_png(scratch / part + name + "/x.png", data::Image(2, 2, 3));
    }
  }
  /// `classes`: those of a checkpoint that is evaluated; none: training.
  Dataset open(double held_out = 0, const std::vector<std::string>& classes = {}, const std::string& below = {}) const {
    Options c;
    c.data.path = below.empty() ? scratch.path() : scratch / below;
    c.data.held_out = held_out;
    return {c.data, c.shapes, {.purpose = classes.empty() ? engine::Purpose::train : engine::Purpose::evaluate}, classes};
  }
};

TEST(ImageDataset, FoldersAreUsedForWhatTheirNamesSay) {
  for (const std::string name : {"val", "valid", "validation", "dev", "Val", "eval"}) {
    const PartFolders folders;
    for (const std::string& part : {std::string("train"), name, std::string("testing")}) folders.add(part);
    const Dataset d = folders.open();
    EXPECT_EQ(d.validation_source(), folders.scratch / name);
    EXPECT_EQ(d.source_of(Split::test), folders.scratch / "testing");
    EXPECT_THAT(d.report().warnings, testing::IsEmpty());
    std::filesystem::remove_all(folders.scratch / "testing");
    EXPECT_EQ(folders.open().validation_source(), folders.scratch / name + ", which are the test images too");
  }
  const PartFolders folders;
  for (const char* part : {"train", "val", "test", "extra"}) folders.add(part);
  EXPECT_THAT(folders.open().report().warnings, testing::ElementsAre(HasSubstr("not read: extra in ")));
  EXPECT_THAT(folders.open(1).report().warnings,
              testing::Contains(HasSubstr("val, because data.held_out takes validation from the training")));
  folders.add("valid");
  EXPECT_THAT(message_of<DataError>([&] { folders.open(); }), HasSubstr("val/ and valid/ both hold validation images by their names"));
}

TEST(ImageDataset, ReportsWhatWasRead) {
  const PartFolders folders;
  for (const char* part : {"train", "test"}) folders.add(part);
  folders.scratch.write("train/a/y.webp", "RIFF");
  folders.scratch.write("train/a/._x.png", "");
  data::write_png(folders.scratch / "test/a/y.png", data::Image(2, 2, 3));
  const std::string at = folders.scratch.path();
  const data::DataReport r = folders.open().report();
  EXPECT_THAT(
      data::lines_of(r),
      testing::ElementsAre("data        folders of JPEG and PNG files, " + at, "classes     2: a, b",
                           "training    2 images, 1 a class: " + at + "/train", "validation  3 images, 1 to 2 a class: the test images",
                           "test        3 images, 1 to 2 a class: " + at + "/test",
                           "not read    1 .webp (" + at + "/train/a/y.webp), 1 hidden names (" + at + "/train/a/._x.png)",
                           HasSubstr("warning: pictures are not read: 1 .webp;"),
                           HasSubstr("warning: the test images validate, so what is chosen by them is no test any more")));
  EXPECT_THAT(folders.open(1).report().warnings, testing::Contains(testing::MatchesRegex("no training image of class [ab]")));
  for (const char* part : {"train", "test"}) std::filesystem::remove_all(folders.scratch / part + "/b");
  EXPECT_THAT(folders.open().report().warnings, testing::Contains(HasSubstr("there is one class only (a)")));
}

TEST(ImageDataset, AnEvaluationNeedsNoMoreThanItsPart) {
  const PartFolders folders;
  folders.add("test");
  EXPECT_THAT(message_of<DataError>([&] { folders.open(); }), HasSubstr("found no folder train/ with a subfolder for each class"));
  const std::vector<std::string> classes{"b", "c", "a"};
  for (const bool empty_train : {false, true}) {
    if (empty_train) std::filesystem::create_directories(folders.scratch / "train");
    const Dataset d = folders.open(0, classes);
    EXPECT_EQ(d.size(Split::train), 0);
    EXPECT_EQ(d.counts(Split::test), (std::vector<std::int64_t>{1, 0, 1}));
    EXPECT_EQ(d.validation_source(), "the test images");
  }
  EXPECT_EQ(folders.open(0, classes, "test").source_of(Split::test), folders.scratch / "test") << "class folders at the top";
  EXPECT_THAT(message_of<DataError>([&] { folders.open(0, {"cat"}, "test"); }),
              HasSubstr("found neither test/ nor val/, nor a folder named like a class of the checkpoint; found a, b,"));
}

TEST(ImageDataset, NamesAFolderThatCannotBeReached) {
  const data::Scratch scratch;
  std::filesystem::create_symlink("train", scratch / "train");  // round in a circle
  Options c;
  c.data.path = scratch.path();
  try {
    const Dataset d(c.data, c.shapes, {.seed = 1});
    ADD_FAILURE() << "accepted";
  } catch (const IoError& e) {
    EXPECT_THAT(e.what(), HasSubstr(scratch / "train: cannot be reached: "));
  }
}

}  // namespace
}  // namespace capstan::image_classification
