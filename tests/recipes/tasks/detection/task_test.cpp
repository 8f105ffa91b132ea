// The task detection: the set loss by the numbers of the specification, parts and classes of a data set, padding, what evaluation makes of
// answers, pictures.

#include "recipes/tasks/detection/task.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "autograd/core/error.h"
#include "autograd/tape/tape.h"
#include "recipes/tasks/detection/pictures.h"
#include "recipes/tasks/detection/preview.h"
#include "tests/data/scratch.h"
#include "tests/message_of.h"

namespace capstan::detection {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

/// Answers of `layers` equal layers to one image of three queries (specification, 9.6).
Answers three_queries(std::int64_t layers) {
  std::vector<float> logits, boxes;
  for (std::int64_t i = 0; i < layers; ++i) {
    logits.insert(logits.end(), {2, 0, 0, 0, 1, .5f, 0, 0, 3});
    boxes.insert(boxes.end(), {.5f, .5f, .4f, .4f, .3f, .3f, .2f, .2f, .7f, .6f, .3f, .5f});
  }
  return {.logits = Tensor::from(logits, {layers, 1, 3, 3}), .boxes = Tensor::from(boxes, {layers, 1, 3, 4})};
}
Batch two_objects() {
  Batch batch;
  batch.parts.push_back({.number = 0, .height = 10, .width = 10, .labels = {1, 0}, .boxes = {{.28, .32, .2, .24}, {.55, .5, .4, .5}}});
  return batch;
}

std::vector<double> losses(const Answers& answers, const Batch& batch, const LossOptions& options = {}) {
  const auto sums = set_loss(answers, batch, matches_of(answers, batch, options.cost), options);
  const auto counts = loss_counts(batch, answers.logits.size(2), options);
  std::vector<double> out;
  for (std::size_t k = 0; k < sums.size(); ++k) out.push_back(sums[k].item() / counts[k]);
  return out;
}

TEST(SetLoss, HasTheNumbersOfTheSpecification) {
  const Batch batch = two_objects();
  const Answers answers = three_queries(1);
  EXPECT_THAT(matches_of(answers, batch, {}), ElementsAre(ElementsAre(ElementsAre(Pair(0, 1), Pair(1, 0)))));
  const std::vector<double> l = losses(answers, batch);
  EXPECT_NEAR(l[0], .442527, 1e-6);
  EXPECT_NEAR(l[1] / 5, .115, 1e-6);
  EXPECT_NEAR(l[2] / 2, .354351, 1e-6);
  EXPECT_NEAR(l[0] + l[1] + l[2], 1.726229, 1e-6);
  EXPECT_EQ(l[3] + l[4] + l[5], 0) << "one layer has none before it";
}

TEST(SetLoss, LayersAnswerEachForThemselves) {
  const std::vector<double> one = losses(three_queries(1), two_objects()), three = losses(three_queries(3), two_objects());
  for (std::size_t k = 0; k < 3; ++k) {
    EXPECT_NEAR(three[k], one[k], 1e-6) << k;
    EXPECT_NEAR(three[k + 3], 2 * one[k], 1e-6) << k;
  }
}

TEST(SetLoss, ReachesMatchedBoxesAndAllLogits) {
  Answers answers = three_queries(2);
  answers.logits = make_leaf(answers.logits);
  answers.boxes = make_leaf(answers.boxes);
  const Batch batch = two_objects();
  Tape tape;
  const auto sums = set_loss(answers, batch, matches_of(answers, batch, {}), {});
  const std::vector<Tensor> ones(6, Tensor::scalar(1));
  const Gradients gradients = tape.backward(std::vector<Tensor>(sums.begin(), sums.end()), ones);
  const std::vector<double> of_boxes = gradients.of(answers.boxes).dense().to_vector(),
                            of_logits = gradients.of(answers.logits).dense().to_vector();
  for (std::size_t box = 0; box < 6; ++box) {
    const bool any = std::any_of(of_boxes.begin() + static_cast<std::ptrdiff_t>(4 * box),
                                 of_boxes.begin() + static_cast<std::ptrdiff_t>(4 * box + 4), [](double g) { return g != 0; });
    EXPECT_EQ(any, box % 3 != 2) << "box " << box << ": the third query has no object";
  }
  EXPECT_TRUE(std::ranges::all_of(of_logits, [](double g) { return g != 0; }));
}

TEST(SetLoss, AnImageWithoutObjectsTeachesNoObject) {
  Batch batch = two_objects();
  batch.parts[0].labels.clear();
  batch.parts[0].boxes.clear();
  const std::vector<double> l = losses(three_queries(2), batch);
  const double ce = (std::log(std::exp(2.) + 2) + std::log(1 + std::exp(1.) + std::exp(.5)) - .5 + std::log(2 + std::exp(3.)) - 3) / 3;
  EXPECT_NEAR(l[0], ce, 1e-6);
  EXPECT_EQ(l[1] + l[2] + l[4] + l[5], 0);
}

TEST(SetLoss, AMicroBatchWithoutObjectsDoesNotCount) {
  Batch full = two_objects(), empty = two_objects();
  empty.parts[0].labels.clear();
  empty.parts[0].boxes.clear();
  const auto with = loss_counts(full, 3, {}), without = loss_counts(empty, 3, {});
  EXPECT_NEAR(with[1] + without[1], 2, 1e-9);
  EXPECT_GT(without[1], 0) << "a batch of nothing but empty images is no error";
}

TEST(SetLoss, MoreObjectsThanQueriesAreRefused) {
  Batch batch = two_objects();
  for (int i = 0; i < 2; ++i) {
    batch.parts[0].labels.push_back(0);
    batch.parts[0].boxes.push_back({.5, .5, .1, .1});
  }
  EXPECT_THAT(message_of<DataError>([&] { matches_of(three_queries(1), batch, {}); }), HasSubstr("4 objects, but there are 3 queries"));
}

// ---- data

struct DetectionData : testing::Test {
  data::Scratch scratch;
  engine::Setup setup;

  void SetUp() override { setup.data_dir = scratch / "."; }
  void picture(const std::string& name, std::int64_t height, std::int64_t width, std::uint8_t value) {
    data::Image image(height, width, 3);
    std::ranges::fill(image.pixels, value);
    data::write_png(scratch / name, image);
  }
  /// Two images, categories 2 (cat) and 5 (dog); the test part numbers them otherwise and lacks the cat.
  Options coco() {
    picture("a.png", 40, 60, 255);
    picture("b.png", 60, 30, 0);
    scratch.write("train.json", R"({"images":[{"id":1,"file_name":"a.png"},{"id":2,"file_name":"b.png"}],
      "categories":[{"id":2,"name":"cat"},{"id":5,"name":"dog"}],
      "annotations":[{"id":1,"image_id":1,"category_id":2,"bbox":[10,10,20,10]},{"id":2,"image_id":1,"category_id":5,"bbox":[0,0,60,40],"iscrowd":1},
        {"id":3,"image_id":2,"category_id":5,"bbox":[0,0,15,30]}]})");
    scratch.write("test.json", R"({"images":[{"id":9,"file_name":"b.png"}],"categories":[{"id":1,"name":"dog"}],
      "annotations":[{"id":3,"image_id":9,"category_id":1,"bbox":[0,0,15,30]}]})");
    Options o;
    o.data.path = ".";
    o.data.train = "train.json";
    o.data.test = "test.json";
    return o;
  }
};

TEST_F(DetectionData, ClassesAreNumberedByTheIdsOfTheTrainingPart) {
  const Dataset data(coco(), setup);
  EXPECT_THAT(data.class_names(), ElementsAre("N/A", "N/A", "cat", "N/A", "N/A", "dog"));
  EXPECT_EQ(data.size(engine::Split::train), 2);
  EXPECT_EQ(data.size(engine::Split::validation), 1) << "the test part stands in";
  EXPECT_EQ(data.read(engine::Split::test, 0).boxes[0].category, 5) << "by its name";
  EXPECT_EQ(data.category_id(engine::Split::test, 5), 1);
  EXPECT_EQ(data.category_id(engine::Split::test, 2), -1);
  EXPECT_THAT(data.report().warnings, ElementsAre(HasSubstr("the test images validate")));
}

TEST_F(DetectionData, AnUnknownCategoryIsNamed) {
  const Options o = coco();
  setup.purpose = engine::Purpose::evaluate;
  EXPECT_THAT(message_of<DataError>([&] {
                Dataset(o, setup, {"cat", "bird"});
              }),
              AllOf(HasSubstr("data.test: "), HasSubstr("'dog' is none of the 2 known classes: cat, bird")));
}

TEST_F(DetectionData, YoloNumbersMeanTheNamesOfTheFolder) {
  for (const char* folder : {"images/test", "labels/test"}) std::filesystem::create_directories(scratch / folder);
  picture("images/test/a.png", 20, 20, 0);
  scratch.write("labels/test/a.txt", "1 0.5 0.5 0.5 0.5\n");
  scratch.write("classes.txt", "dog\ncat\n");
  Options o;
  o.data.source = Source::yolo;
  o.data.path = ".";
  o.data.test = "test";
  setup.purpose = engine::Purpose::evaluate;
  EXPECT_EQ(Dataset(o, setup, {"bird", "cat", "dog"}).read(engine::Split::test, 0).boxes[0].category, 1);
}

TEST_F(DetectionData, IdsThatNumberNoClassAndSizesThatAreNotThePicturesAreRefused) {
  Options o = coco();
  scratch.write("train.json", R"({"images":[{"id":1,"file_name":"a.png"}],"categories":[{"id":-1,"name":"cat"}],"annotations":[]})");
  EXPECT_THAT(message_of<DataError>([&] { Dataset(o, setup); }), AllOf(HasSubstr("'cat'"), HasSubstr("found -1")));
  scratch.write("train.json", R"({"images":[{"id":1,"file_name":"a.png","width":600,"height":400}],"categories":[{"id":1,"name":"dog"}],
    "annotations":[{"id":1,"image_id":1,"category_id":1,"bbox":[300,200,100,100]}]})");
  const Dataset data(o, setup);
  EXPECT_THAT(message_of<DataError>([&] { data.read(engine::Split::train, 0); }),
              AllOf(HasSubstr("a.png: is 60 x 40 pixels"), HasSubstr("an image of 600 x 400")));
}

TEST_F(DetectionData, APartThatNobodyNamesIsAskedFor) {
  Options o = coco();
  o.data.train.clear();
  EXPECT_THAT(message_of<ConfigError>([&] { Dataset(o, setup); }), HasSubstr("data.train must name the training part"));
  o = coco();
  o.data.test.clear();
  EXPECT_THAT(message_of<ConfigError>([&] { Dataset(o, setup); }), HasSubstr("data.validation or data.test"));
}

TEST_F(DetectionData, ImagesOfUnlikeSizesArePaddedAndCrowdsAreNotLearned) {
  const Options o = coco();
  const Dataset data(o, setup);
  const ImageForm form{.channels = 3, .normalization = {.mean = {.5, .5, .5}, .deviation = {.5, .5, .5}}, .side = 20, .longest = 0};
  const Batch batch = evaluation_batch(data, engine::Split::train, form, 10, std::vector<std::int64_t>{0, 1});
  EXPECT_EQ(batch.images.shape(), (Shape{2, 3, 40, 30})) << "20 x 30 and 40 x 20";
  EXPECT_EQ(batch.real.shape(), (Shape{2, 40, 30}));
  const auto real = [&](std::int64_t b, std::int64_t y, std::int64_t x) {
    return batch.real.data<const std::uint8_t>()[(b * 40 + y) * 30 + x];
  };
  const auto pixel = [&](std::int64_t b, std::int64_t y, std::int64_t x) {
    return batch.images.data<const float>()[(b * 3 * 40 + y) * 30 + x];
  };
  EXPECT_EQ(real(0, 19, 29), 1);
  EXPECT_EQ(real(0, 20, 0), 0);
  EXPECT_EQ(real(1, 39, 19), 1);
  EXPECT_EQ(real(1, 0, 20), 0);
  EXPECT_FLOAT_EQ(pixel(0, 19, 29), 1);
  EXPECT_EQ(pixel(0, 20, 0), 0);
  EXPECT_FLOAT_EQ(pixel(1, 39, 19), -1);
  EXPECT_THAT(batch.parts[0].labels, ElementsAre(2));
  EXPECT_DOUBLE_EQ(batch.parts[0].boxes[0].cx, 20. / 60);
  EXPECT_DOUBLE_EQ(batch.parts[0].boxes[0].height, 10. / 40);
  EXPECT_FALSE(evaluation_batch(data, engine::Split::train, form, 10, std::vector<std::int64_t>{0}).real.defined());
}

TEST_F(DetectionData, ATrainingImageIsAFunctionOfItsPlace) {
  const Options o = coco();
  const Dataset data(o, setup);
  const data::BoxAugmentation augmentation{.sides = {16, 20, 24}, .crop = .5, .crop_sides = {24, 30}, .crop_least = 10, .crop_most = 20};
  const ImageForm form{.channels = 3, .normalization = {.mean = {0, 0, 0}, .deviation = {1, 1, 1}}};
  const auto drawn = [&](std::int64_t epoch, const std::vector<std::int64_t>& indices) {
    return training_batch(data, augmentation, form, 10, 7, {.epoch = epoch, .indices = indices});
  };
  const std::vector<std::int64_t> first{0};
  const Batch together = drawn(3, {1, 0}), alone = drawn(3, {0});
  EXPECT_EQ(together.parts[1].boxes, alone.parts[0].boxes);
  bool differs = false;
  for (std::int64_t epoch = 0; epoch < 8; ++epoch) differs = differs || drawn(epoch, {0}).images.shape() != alone.images.shape();
  EXPECT_TRUE(differs) << "sides are drawn anew each epoch";
  EXPECT_THAT(message_of<DataError>([&] { training_batch(data, augmentation, form, 0, 7, {.indices = first}); }),
              AllOf(HasSubstr("a.png: 1 objects"), HasSubstr("model.queries")));
}

TEST_F(DetectionData, APageShowsWhatTrainingSees) {
  Options o = coco();
  o.augment.boxes = {.flip = 0, .sides = {40}, .crop = 0};
  o.evaluate.side = 40;
  const engine::Preview preview = detection::preview(o, 3, setup);
  EXPECT_THAT(preview.captions, ElementsAre(HasSubstr("first column"), HasSubstr("row 1: "), HasSubstr("row 2: ")));
  EXPECT_THAT(preview.captions[1] + preview.captions[2], AllOf(HasSubstr("a.png, 2 objects"), HasSubstr("b.png, 1 objects")));
  // The white image with its cat is in one of the rows, the same in all columns, for nothing is drawn at random here.
  const data::Image& page = preview.page;
  const std::int64_t row = preview.captions[1].find("a.png") != std::string::npos ? 0 : 1, top = 20 + row * 186;
  const auto same = [&](std::int64_t column) {
    for (std::int64_t y = 0; y < 180; ++y)
      for (std::int64_t x = 0; x < 240 * 3; ++x)
        if (page.row(top + y)[20 * 3 + x] != page.row(top + y)[(20 + 16 + column * 246) * 3 + x]) return false;
    return true;
  };
  for (std::int64_t column = 1; column <= 4; ++column) EXPECT_TRUE(same(column)) << column;
}

// ---- use

TEST_F(DetectionData, EvaluationScoresAndKeepsWhatWasFound) {
  Options o = coco();
  o.evaluate.results = "results.json";
  o.evaluate.per_class = true;
  const Dataset data(o, setup);
  Evaluation evaluation(data, engine::Split::test, o);
  const ImageForm form{.channels = 3, .normalization = {.mean = {0, 0, 0}, .deviation = {1, 1, 1}}, .side = 20, .longest = 0};
  const Batch batch = evaluation_batch(data, engine::Split::test, form, 10, std::vector<std::int64_t>{0});
  // Seven classes with "no object"; the first query has the dog, the second an uncertain cat, which the part has no category for.
  std::vector<float> logits(14, -9.0f);
  logits[5] = 3, logits[6] = 1, logits[7 + 2] = 2;
  const Answers answers{.logits = Tensor::from(logits, {1, 1, 2, 7}),
                        .boxes = Tensor::from({.25f, .25f, .5f, .5f, .5f, .5f, .1f, .1f}, {1, 1, 2, 4})};
  evaluation.add(batch, answers);
  const engine::Metrics metrics = engine::reported(evaluation.accumulators());
  EXPECT_DOUBLE_EQ(value_of(metrics, "ap"), 1);
  EXPECT_DOUBLE_EQ(value_of(metrics, "ap/dog"), 1);
  EXPECT_DOUBLE_EQ(value_of(metrics, "class_error"), 0);
  EXPECT_DOUBLE_EQ(value_of(metrics, "cardinality_error"), 1) << "the cat";
  EXPECT_NEAR(value_of(metrics, "loss_bbox"), 0, 1e-6);
  EXPECT_EQ(evaluation.results().size(), 1);
  EXPECT_THAT(evaluation.results().text(), AllOf(HasSubstr("\"image_id\":9"), HasSubstr("\"category_id\":1")));
  EXPECT_THAT(evaluation.examples(), ElementsAre(HasSubstr("image 9, 1 objects: cat 1 at 13,27 3x6; dog 0.88 at 0,0 15x30")));

  const std::vector<engine::Finding> found = evaluation.findings();
  ASSERT_EQ(found.size(), 2U) << "no pictures where nobody draws";
  const auto& curves = std::get<engine::FindingCurves>(found[0].shown).curves;
  ASSERT_EQ(curves.size(), 3U) << "one class needs no curve of its own";
  EXPECT_EQ(curves[0].name, "AP50 1");
  EXPECT_EQ(curves[0].points.size(), 101U);
  EXPECT_THAT(std::get<engine::FindingTable>(found[1].shown).rows,
              ElementsAre(ElementsAre("dog", "1", "1", "1.000", "1.000", "1.000", "1.000")));

  const engine::Finding boxes = boxes_finding(
      data, engine::Split::test,
      [](std::int64_t) {
        return std::vector<data::DetectedBox>{{.box = {2, 2, 8, 8}, .category = 5, .score = .4}};
      },
      .5);
  const auto& pictures = std::get<engine::FindingPictures>(boxes.shown).pictures;
  ASSERT_EQ(pictures.size(), 1U);
  EXPECT_EQ(pictures[0].caption, "true: 1 dog (turquoise); found: none");
}

TEST_F(DetectionData, ClassesOfNoCategoryAreNotReported) {
  Options o = coco();
  o.evaluate.per_class = true;
  const Dataset data(o, setup);
  Evaluation evaluation(data, engine::Split::test, o);
  std::vector<std::string> names;
  for (const engine::MetricInfo& m : engine::declared(evaluation.accumulators()))
    if (m.name.starts_with("ap/")) names.push_back(m.name);
  EXPECT_THAT(names, ElementsAre("ap/cat", "ap/dog"));
}

TEST_F(DetectionData, ThePriorKnowsWhereObjectsUsuallyAre) {
  Options o;
  o.data.source = Source::shapes;
  o.shapes.train = 200;
  o.shapes.validation = o.shapes.test = 50;
  o.shapes.least_extent = o.shapes.most_extent = 0.9;
  const Dataset large(o, setup);
  const double all_alike = value_of(baselines(typical_boxes(large), large, engine::Split::test), "typical_boxes/ap50");
  o.shapes.least_extent = o.shapes.most_extent = 0.2;
  const Dataset small(o, setup);
  const double anywhere = value_of(baselines(typical_boxes(small), small, engine::Split::test), "typical_boxes/ap50");
  EXPECT_GT(all_alike, 0.2);
  EXPECT_LT(anywhere, 0.1);
}

TEST(DetectionPictures, HaveTheImageItsBoxesAndWhereTheModelLooked) {
  data::Image image(20, 30, 3);
  const DrawnBox box{.box = {3, 4, 10, 8}, .label = "a cat & 0.9", .category = 1};
  const std::string boxes = boxes_svg(image, std::vector<DrawnBox>{box});
  EXPECT_THAT(boxes, AllOf(HasSubstr("data:image/png;base64,iVBORw0KGgo"), HasSubstr(">a cat &amp; 0.9</text>")));
  EXPECT_THAT(boxes_svg(image, {}), HasSubstr("nothing found"));
  const std::string attention =
      attention_svg(image, std::vector<DrawnAttention>{{.box = box, .weights = {0, .5f, .25f, .25f}, .rows = 2, .columns = 2}});
  EXPECT_THAT(attention, HasSubstr("where it looked"));
  EXPECT_THROW(attention_svg(image, std::vector<DrawnAttention>{{.box = box, .weights = {1}, .rows = 2, .columns = 2}}), DataError);
}

}  // namespace
}  // namespace capstan::detection
