// Boxes from files of COCO, Pascal VOC and YOLO: the good form, and each refusal.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "autograd/core/error.h"
#include "data/detection/augment.h"
#include "data/detection/coco.h"
#include "data/detection/voc.h"
#include "data/detection/yolo.h"
#include "data/image/image.h"
#include "tests/data/scratch.h"
#include "tests/message_of.h"

namespace capstan::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Annotations : testing::Test {
  Scratch scratch;

  std::string picture(const std::string& name, std::int64_t height, std::int64_t width) {
    std::filesystem::create_directories(std::filesystem::path(scratch / name).parent_path());
    write_png(scratch / name, Image(height, width, 3));
    return scratch / name;
  }
  std::string file(const std::string& name, std::string_view content) {
    std::filesystem::create_directories(std::filesystem::path(scratch / name).parent_path());
    return scratch.write(name, content);
  }
  static std::vector<std::string> described(const AnnotatedImages& images) {
    DataReport report;
    images.describe("train", report);
    return lines_of(report);
  }
  static std::vector<std::string> places(const AnnotatedImages& images) {
    std::vector<std::string> all;
    for (const BrokenBox& b : images.broken) all.push_back(join_text(b.where, " ", to_text(b.fault)));
    return all;
  }
};

TEST_F(Annotations, SizeOfAPictureByItsHeader) {
  const ImageSize png = image_size(picture("a.png", 7, 300));
  EXPECT_EQ(png.height, 7);
  EXPECT_EQ(png.width, 300);
  using std::string_literals::operator""s;
  // Start, a comment, a table with fill bytes before it, the frame header of 258 x 5.
  const std::string jpeg =
      "\xff\xd8\xff\xfe\0\x05"
      "abc\xff\xff\xc4\0\x04zz\xff\xc2\0\x0b\x08\x01\x02\0\x05\x01\x01\x11\0"s;
  const ImageSize size = image_size(scratch.write("b.jpg", jpeg));
  EXPECT_EQ(size.height, 258);
  EXPECT_EQ(size.width, 5);
  for (std::size_t cut = 4; cut < 24; ++cut)
    EXPECT_EQ(message_of<DataError>([&] { image_size(scratch.write("c.jpg", jpeg.substr(0, cut))); }),
              scratch / "c.jpg" + ": damaged: its header names no height and width")
        << cut;
  // Markers without a length, and bytes between segments, which decoders pass over.
  const ImageSize odd = image_size(scratch.write("e.jpg",
                                                 "\xff\xd8\xff\xff\x01\xff\xd3"
                                                 "oh\xff\0"s +
                                                     jpeg.substr(2)));
  EXPECT_EQ(odd.height, 258);
  EXPECT_EQ(odd.width, 5);
  const std::string early = "\xff\xd8\xff\xda\0\x02"s + jpeg.substr(2);  // a scan before the frame
  EXPECT_THROW(image_size(scratch.write("f.jpg", early)), DataError);
  EXPECT_THAT(message_of<DataError>([&] { image_size(scratch.write("d.jpg", "GIF89a")); }), HasSubstr("neither the first bytes of a JPEG"));
  EXPECT_THROW(image_size(scratch / "none.jpg"), IoError);
}

TEST_F(Annotations, Coco) {
  picture("pictures/c.png", 40, 50);
  const std::string path = file("coco.json", R"({"info": {}, "images": [
    {"id": 5, "file_name": "a.png", "width": 100, "height": 80}, {"id": 3, "file_name": "b.png", "width": 60, "height": 60},
    {"id": 9, "file_name": "c.png"}],
    "categories": [{"id": 17, "name": "cat"}, {"id": 2, "name": "dog"}],
    "annotations": [{"id": 1, "image_id": 5, "category_id": 17, "bbox": [1.5, 2, 10, 20], "area": 150, "segmentation": [[1, 2, 3]]},
      {"id": 2, "image_id": 5, "category_id": 2, "bbox": [90, 70, 20, 20], "area": 390, "iscrowd": 1},
      {"id": 3, "image_id": 9, "category_id": 2, "bbox": [0, 0, 50, 40]},
      {"id": 4, "image_id": 5, "category_id": 2, "bbox": [0, 0, 0, 4], "area": 0},
      {"id": 5, "image_id": 5, "category_id": 2, "bbox": [0, 0, -3, 4], "area": 0},
      {"id": 6, "image_id": 9, "category_id": 2, "bbox": [50, 0, 5, 5], "area": 25},
      {"id": 7, "image_id": 5, "category_id": 2, "bbox": [NaN, 0, 5, 5], "area": NaN},
      {"id": 8, "image_id": 5, "category_id": 3, "bbox": [0, 0, 5, 5], "area": 25},
      {"image_id": 4, "category_id": 2, "bbox": [0, 0, 5, 5], "area": 25}]})");
  const AnnotatedImages all = read_coco(path, {.pictures = scratch / "pictures"});
  EXPECT_THAT(all.category_names(), ElementsAre("dog", "cat")) << "in the order of the ids";
  EXPECT_EQ(all.classes_by_id(), 18);
  ASSERT_EQ(all.images.size(), 3u);
  EXPECT_EQ(all.images[0].file, scratch / "pictures/a.png");
  EXPECT_EQ(all.images[0].id, 5);
  EXPECT_EQ(all.images[2].width, 50) << "from the picture";
  ASSERT_EQ(all.images[0].boxes.size(), 2u);
  EXPECT_EQ(all.images[0].boxes[0].box, (Box{1.5, 2, 10, 20}));
  EXPECT_EQ(all.images[0].boxes[0].category, 1);
  EXPECT_EQ(all.images[0].boxes[0].area, 150);
  EXPECT_TRUE(all.images[0].boxes[1].crowd);
  EXPECT_EQ(all.images[2].boxes[0].area, 2000) << "the box's";
  EXPECT_THAT(places(all),
              ElementsAre(path + ": annotation 4 of no width or height", path + ": annotation 5 of no width or height",
                          path + ": annotation 6 outside their image", path + ": annotation 7 with coordinates that are not finite numbers",
                          path + ": annotation 8 of an unknown category", path + ": /annotations/8 of an unknown image"));
  EXPECT_THAT(
      described(all),
      ElementsAre(
          "train  " + path +
              ": 3 images (1 with nothing in them), 3 boxes of 2 categories (1 of crowds); 1 boxes reach over "
              "the border of their image",
          "warning: " + path + ": 1 boxes with coordinates that are not finite numbers are left out: " + path + ": annotation 7",
          "warning: " + path + ": 2 boxes of no width or height are left out: " + path + ": annotation 4, " + path + ": annotation 5",
          "warning: " + path + ": 1 boxes outside their image are left out: " + path + ": annotation 6",
          "warning: " + path + ": 1 boxes of an unknown category are left out: " + path + ": annotation 8",
          "warning: " + path + ": 1 boxes of an unknown image are left out: " + path + ": /annotations/8"));

  const AnnotatedImages scored = read_coco(path, {.pictures = {}, .checks = BoxChecks::for_scores});
  EXPECT_EQ(scored.boxes(), 6) << "without area and outside: pycocotools counts them";
  EXPECT_THAT(described(scored)[2], HasSubstr("2 boxes of no width or height count as boxes to be found, as in pycocotools"));
}

TEST_F(Annotations, CocoRefusals) {
  const auto refusal = [&](std::string_view content) {
    return message_of<DataError>([&] { read_coco(file("bad.json", content)); }).substr(scratch.path().size() + 1);
  };
  const std::string categories = R"("categories": [{"id": 1, "name": "a"}])",
                    images = R"("images": [{"id": 1, "file_name": "a.png", "width": 9, "height": 9}])";
  EXPECT_THAT(refusal("[]"), HasSubstr("bad.json: expected an object with images, categories and annotations"));
  EXPECT_EQ(refusal("{" + categories + "}"), "bad.json: has no \"images\"");
  EXPECT_EQ(refusal("{" + images + "}"), "bad.json: has no \"categories\"");
  EXPECT_EQ(refusal("{" + images + "," + categories + "}"), "bad.json: has no \"annotations\"");
  EXPECT_EQ(refusal(R"({"categories": []})"), "bad.json: /categories: the list is empty");
  EXPECT_EQ(refusal(R"({"images": [{"id": 1, "width": 9, "height": 9}], )" + categories + "}"),
            "bad.json: /images/0: has no \"file_name\"");
  EXPECT_EQ(refusal("{" + images + "," + categories + R"(, "annotations": [{"image_id": 1, "category_id": 1, "bbox": [1, 2]}]})"),
            "bad.json: /annotations/0/bbox: expected 4 numbers, x, y, width and height, found 2");
  EXPECT_EQ(
      refusal(
          R"({"images": [{"id": 1, "file_name": "a", "width": 1, "height": 1}, {"id": 1, "file_name": "b", "width": 1, "height": 1}], )" +
          categories + "}"),
      "bad.json: /images/1: the id 1 stands twice in the list");
}

TEST_F(Annotations, ResultsReadBackAsWritten) {
  AnnotatedImages truth;
  truth.source = "truth";
  truth.categories = {{3, "a"}, {90, "b"}};
  truth.images.resize(2);
  truth.images[0].id = 42;
  truth.images[1].id = 7;
  CocoResults results;
  EXPECT_EQ(results.text(), "[]\n");
  results.add(7, 90, {0.1, 1e-7, 33.333333333333336, 1. / 3}, 0.30000000000000004);
  results.add(42, 3, {-1, 2, 3, 4}, 1);
  const std::string path = scratch.write("results.json", results.text());
  const auto found = read_coco_results(path, truth);
  ASSERT_EQ(found[1].size(), 1u);
  EXPECT_EQ(found[1][0].box, (Box{0.1, 1e-7, 33.333333333333336, 1. / 3}));
  EXPECT_EQ(found[1][0].score, 0.30000000000000004);
  EXPECT_EQ(found[1][0].category, 1);
  EXPECT_EQ(found[0][0].box.x, -1);
  EXPECT_THAT(message_of<NumericalError>([&] {
                results.add(7, 3, {0, 0, 1, 1}, std::nan(""));
              }),
              HasSubstr("results: image 7, category 3: "));
}

std::string object(std::string_view name, std::string_view box) {
  return join_text("<object><name>", name, "</name><difficult>0</difficult><bndbox>", box, "</bndbox></object>");
}
std::string corners(int x1, int y1, int x2, int y2) {
  return join_text("<xmin>", x1, "</xmin><ymin>", y1, "</ymin><xmax> ", x2, " </xmax><ymax>", y2, ".5</ymax>");
}

TEST_F(Annotations, PascalVoc) {
  picture("JPEGImages/a.png", 48, 64);
  picture("JPEGImages/b.png", 30, 20);
  const std::string xml = file("Annotations/a.xml",
                               "<?xml version=\"1.0\"?>\n<annotation><filename>C:/x/none.jpg</filename><size><width>64</width>"
                               "<height>48</height></size>" +
                                   object("dog", corners(1, 2, 11, 22)) + object("cat", corners(5, 5, 5, 9)) +
                                   object("bird", corners(0, 0, 4, 4)) + "</annotation>");
  file("Annotations/b.xml", "<annotation><filename>b.png</filename><size><width>0</width></size></annotation>");
  file("ImageSets/Main/train.txt", "b\r\na  1\n\n");
  file("ImageSets/Main/val.txt", "b\n");
  EXPECT_THAT(voc_splits(scratch.path()), ElementsAre("train", "val"));
  EXPECT_THAT(voc_categories(scratch.path()), ElementsAre("bird", "cat", "dog"));

  const AnnotatedImages all = read_voc(scratch.path(), "train", {.categories = {"dog", "cat"}});
  ASSERT_EQ(all.images.size(), 2u);
  EXPECT_EQ(all.images[0].height, 30) << "from the picture";
  EXPECT_TRUE(all.images[0].boxes.empty());
  EXPECT_EQ(all.images[1].file, scratch / "JPEGImages/a.png");
  ASSERT_EQ(all.images[1].boxes.size(), 1u);
  EXPECT_EQ(all.images[1].boxes[0].box, (Box{1, 2, 10, 20.5}));
  EXPECT_THAT(places(all), ElementsAre(xml + ": object 2 of no width or height", xml + ": object 3 of an unknown category"));
  const AnnotatedImages counted = read_voc(scratch.path(), "", {.categories = {"cat"}, .one_based = true});
  EXPECT_EQ(counted.images[0].boxes.at(0).box, (Box{4, 4, 1, 5.5})) << "a column of pixels";

  const auto refusal = [&](std::string_view content) {
    file("Annotations/b.xml", content);
    return message_of<DataError>([&] { read_voc(scratch.path(), "val"); }).substr(scratch.path().size() + 1);
  };
  EXPECT_THAT(refusal("<annotation><object>"), HasSubstr("Annotations/b.xml: is no valid XML: "));
  EXPECT_EQ(refusal("<html></html>"), "Annotations/b.xml: expected an element annotation, found html");
  const std::string start = "<annotation><filename>b.png</filename>";
  EXPECT_EQ(refusal(start + object("dog", "<xmin>1</xmin><ymin>x</ymin>") + "</annotation>"),
            "Annotations/b.xml: object 1: expected a number in bndbox/ymin, found 'x'");
  EXPECT_EQ(refusal(start + object(" ", corners(1, 2, 3, 4)) + "</annotation>"), "Annotations/b.xml: object 1: has no name");
  file("Annotations/c.xml", "<annotation/>");
  EXPECT_THAT(
      message_of<DataError>([&] { file("Annotations/b.xml", "<annotation/>"), read_voc(scratch.path(), "", {.categories = {"dog"}}); }),
      HasSubstr("Annotations/c.xml: found no picture for it"));
  EXPECT_THROW(read_voc(scratch.path(), "test"), IoError);
}

TEST_F(Annotations, Yolo) {
  picture("images/train/a.png", 100, 200);
  picture("images/train/b.png", 10, 10);
  picture("images/train/c.png", 10, 10);
  const std::string labels = file(
      "labels/train/a.txt", "0 0.5 0.5 0.25 0.5\n\n1 0.1 0.1 0.3 0.1 0.3 0.4\n2 .5 .5 .1 .1\n0 .5 .5 0 .1\n1 2 2 .1 .1\n0 nan 0 1 1\n");
  file("labels/train/b.txt", "");
  file("data.yaml", "# a data set\npath: x\nnc: 2\nnames: ['red cell', \"b\"]  # two\ntrain: images/train\n");
  const AnnotatedImages all = read_yolo(scratch.path(), "train");
  EXPECT_THAT(all.category_names(), ElementsAre("red cell", "b"));
  ASSERT_EQ(all.images.size(), 3u);
  ASSERT_EQ(all.images[0].boxes.size(), 2u);
  EXPECT_EQ(all.images[0].boxes[0].box, (Box{75, 25, 50, 50}));
  EXPECT_NEAR(all.images[0].boxes[1].box.width, 40, 1e-9) << "around a polygon";
  EXPECT_NEAR(all.images[0].boxes[1].box.height, 30, 1e-9);
  EXPECT_EQ(all.without_boxes(), 2);
  EXPECT_THAT(places(all), ElementsAre(labels + ":4 of an unknown category", labels + ":5 of no width or height",
                                       labels + ":6 outside their image", labels + ":7 with coordinates that are not finite numbers"));
  EXPECT_THAT(described(all).back(),
              HasSubstr("1 pictures have no file in " + scratch / "labels/train" + ": taken to have nothing in them"));

  const auto refusal = [&](std::string_view content) {
    file("labels/train/b.txt", content);
    return message_of<DataError>([&] { read_yolo(scratch.path(), "train"); }).substr(scratch.path().size() + 1);
  };
  EXPECT_THAT(refusal("0 .5 .5 .1\n"),
              HasSubstr("labels/train/b.txt:1: expected class, cx, cy, width and height, or class and the corners"));
  EXPECT_EQ(refusal("0 .5 .5 .1 x\n"), "labels/train/b.txt:1: expected a number, found 'x'");
  EXPECT_EQ(refusal("0.5 .5 .5 .1 .1\n"), "labels/train/b.txt:1: expected the number of a class first, found 0.5");
  EXPECT_THAT(message_of<IoError>([&] { read_yolo(scratch.path(), "val"); }),
              HasSubstr("there is neither a folder images/val nor val/images"));

  picture("test/images/x.png", 4, 4);
  file("test/labels/x.txt", "0 .5 .5 1 1");
  for (const char* names : {"names:\n  - n\n  - m\nnc: 2\n", "names:\n  0: n\n  1: 'm'\nnc: 2\n"}) {
    file("data.yaml", names);
    EXPECT_THAT(read_yolo(scratch.path(), "test").category_names(), ElementsAre("n", "m"));
  }
  file("data.yaml", "names:\n  0: n\n  2: m\n");
  EXPECT_THAT(message_of<DataError>([&] { yolo_categories(scratch.path()); }),
              HasSubstr("data.yaml:3: expected class 1 (\"1: name\"), found '2: m'"));
  std::filesystem::remove(scratch / "data.yaml");
  EXPECT_THROW(yolo_categories(scratch.path()), IoError);
  file("classes.txt", "n\nm\n");
  EXPECT_THAT(yolo_categories(scratch.path()), ElementsAre("n", "m"));
}

// ---- augmentation

/// Black, with a white rectangle at `box`.
Image with_rectangle(std::int64_t height, std::int64_t width, const Box& box) {
  Image image(height, width, 1);
  const auto left = static_cast<std::int64_t>(box.x), top = static_cast<std::int64_t>(box.y);
  for (std::int64_t y = top; y < top + static_cast<std::int64_t>(box.height); ++y)
    for (std::int64_t x = left; x < left + static_cast<std::int64_t>(box.width); ++x) image.at(y, x, 0) = 255;
  return image;
}
/// The box around what is brighter than half, of the part of the image that it fills.
Box bright_part(const Image& image) {
  Corners c{1e9, 1e9, -1, -1};
  for (std::int64_t y = 0; y < image.height; ++y)
    for (std::int64_t x = 0; x < image.width; ++x)
      if (image.at(y, x, 0) >= 128) {
        const auto fx = static_cast<double>(x), fy = static_cast<double>(y);
        c = {std::min(c.x1, fx), std::min(c.y1, fy), std::max(c.x2, fx + 1), std::max(c.y2, fy + 1)};
      }
  return c.x2 < 0 ? Box{} : box_of(c);
}

TEST(BoxAugmentation, SizesAsDetr) {
  using Size = std::pair<std::int64_t, std::int64_t>;
  EXPECT_EQ(shorter_side_size(480, 640, 800, 1333), (Size{800, 1066}));
  EXPECT_EQ(shorter_side_size(640, 480, 800, 1333), (Size{1066, 800}));
  EXPECT_EQ(shorter_side_size(427, 640, 800, 1333), (Size{800, 1199}));
  EXPECT_EQ(shorter_side_size(200, 1000, 800, 1333), (Size{267, 1335})) << "rounded as the original does, so a little above the limit";
  EXPECT_EQ(shorter_side_size(500, 500, 500, 0), (Size{500, 500}));
}

TEST(BoxAugmentation, BoxesStayOnTheirObjects) {
  const Box object{30, 10, 40, 25};
  const Image image = with_rectangle(80, 120, object);
  const std::vector<AnnotatedBox> boxes{{.box = object, .category = 2, .crowd = false, .area = 1000, .id = 5}};
  const BoxAugmentation options{
      .flip = .5, .sides = {40, 60, 100}, .longest = 160, .crop = .5, .crop_sides = {50, 70}, .crop_least = 30, .crop_most = 64};
  options.check();
  int with_box = 0, flipped = 0, cut = 0;
  for (std::uint64_t index = 0; index < 60; ++index) {
    const BoxedImage out = for_training(image, boxes, options, random_key(1, "augment", {0, index}));
    const BoxedImage again = for_training(image, boxes, options, random_key(1, "augment", {0, index}));
    EXPECT_EQ(training_size(image.height, image.width, options, random_key(1, "augment", {0, index})),
              std::pair(out.image.height, out.image.width));
    EXPECT_EQ(out.image, again.image);
    EXPECT_LE(std::max(out.image.height, out.image.width), 161);
    if (out.boxes.empty()) {
      EXPECT_LE(bright_part(out.image).area(), 0.02 * static_cast<double>(out.image.height * out.image.width));
      continue;
    }
    ++with_box;
    const Box& b = out.boxes[0].box;
    const Box seen = bright_part(out.image);
    EXPECT_NEAR(b.x, seen.x, 2.5) << index;
    EXPECT_NEAR(b.y, seen.y, 2.5) << index;
    EXPECT_NEAR(b.width, seen.width, 3.5) << index;
    EXPECT_NEAR(b.height, seen.height, 3.5) << index;
    EXPECT_EQ(out.boxes[0].id, 5);
    EXPECT_FALSE(fault_of(b, out.image.width, out.image.height));
    flipped += b.x + b.width / 2 > static_cast<double>(out.image.width) * .55 ? 1 : 0;
    cut += std::abs(out.boxes[0].area - b.area()) < 1e-9 ? 1 : 0;
  }
  EXPECT_GT(with_box, 45);
  EXPECT_GT(flipped, 5);
  EXPECT_GT(cut, 10);
}

TEST(BoxAugmentation, PartsAndWhatIsLearned) {
  const std::vector<AnnotatedBox> boxes{{.box = {-5, 2, 10, 4}, .category = 0, .crowd = false, .area = 40, .id = 1},
                                        {.box = {1, 1, 2, 2}, .category = 0, .crowd = true, .area = 4, .id = 2},
                                        {.box = {12, 0, 4, 4}, .category = 0, .crowd = false, .area = 16, .id = 3}};
  const auto kept = boxes_to_learn(boxes, 10, 12);
  ASSERT_EQ(kept.size(), 1u) << "neither the crowd nor what begins at the border";
  EXPECT_EQ(kept[0].box, (Box{0, 2, 5, 4}));
  const Image image = with_rectangle(10, 12, {2, 2, 3, 3});
  const BoxedImage part = cropped(image, kept, {.top = 3, .left = 4, .height = 6, .width = 8});
  EXPECT_EQ(part.boxes.at(0).box, (Box{0, 0, 1, 3}));
  EXPECT_EQ(part.boxes[0].area, 3);
  EXPECT_EQ(part.image.at(0, 0, 0), 255);
  EXPECT_TRUE(cropped(image, kept, {.top = 0, .left = 5, .height = 10, .width = 7}).boxes.empty());
  BoxedImage whole{.image = image, .boxes = kept};
  flip_horizontal(whole);
  EXPECT_EQ(whole.boxes[0].box, (Box{7, 2, 5, 4}));
  EXPECT_EQ(bright_part(whole.image), (Box{7, 2, 3, 3}));
  EXPECT_THROW(BoxAugmentation{.sides = {}}.check(), ConfigError);
  EXPECT_THROW((BoxAugmentation{.crop_least = 9, .crop_most = 8}.check()), ConfigError);
}

}  // namespace
}  // namespace capstan::data
