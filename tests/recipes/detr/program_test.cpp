// `capstan evaluate detr --detections FILE --annotations FILE` as its users call it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <sstream>
#include <string>
#include <vector>

#include "data/detection/coco.h"
#include "data/json.h"
#include "recipes/detr/recipe.h"
#include "recipes/engine/command/command_line.h"
#include "tests/data/scratch.h"

namespace capstan::detr {
namespace {

using ::testing::HasSubstr;

constexpr std::string_view kAnnotations = R"({"images": [{"id": 1, "file_name": "a.jpg", "width": 100, "height": 100},
  {"id": 2, "file_name": "b.jpg", "width": 120, "height": 120}, {"id": 3}],
 "categories": [{"id": 7, "name": "cell"}],
 "annotations": [{"id": 11, "image_id": 1, "category_id": 7, "bbox": [10, 10, 20, 20], "area": 400, "iscrowd": 0},
  {"id": 12, "image_id": 1, "category_id": 7, "bbox": [50, 50, 30, 10], "area": 300, "iscrowd": 0},
  {"id": 13, "image_id": 2, "category_id": 7, "bbox": [0, 0, 40, 40], "area": 1600},
  {"id": 14, "image_id": 2, "category_id": 7, "bbox": [60, 60, 50, 50], "area": 2500, "iscrowd": 1}]})";

struct EvaluateFiles : testing::Test {
  data::Scratch scratch;
  std::ostringstream out, err;
  const std::string annotations = scratch.write("annotations.json", kAnnotations);

  int run(const std::vector<std::string>& arguments) {
    out.str("");
    err.str("");
    std::istringstream in;
    const std::array scorers{file_scorer()};
    return engine::run_program({}, arguments, {.in = in, .out = out, .err = err}, scorers);
  }
  int evaluate(const std::string& detections, const std::vector<std::string>& more = {}) {
    std::vector<std::string> all{"evaluate", "detr", "--detections", detections, "--annotations", annotations};
    all.insert(all.end(), more.begin(), more.end());
    return run(all);
  }
  /// The message that results of this content end with.
  std::string refusal(std::string_view content) {
    EXPECT_EQ(evaluate(scratch.write("bad.json", content)), engine::kData) << content;
    return err.str();
  }
};

TEST_F(EvaluateFiles, ScoresWhatAWriterWrote) {
  data::CocoResults results;
  results.add(1, 7, {12, 11, 20, 20}, .9);
  results.add(1, 7, {50, 52, 30, 10}, .8);
  results.add(1, 7, {80, 80, 5, 5}, .7);
  results.add(2, 7, {2, 2, 40, 40}, .6);
  results.add(2, 7, {62, 62, 10, 10}, .55);
  results.add(2, 7, {1, 0, 40, 40}, .3);
  const std::string path = scratch.write("results.json", results.text());
  ASSERT_EQ(evaluate(path, {"--json"}), engine::kOk) << err.str();
  const data::Json row = data::parse_json(out.str(), "row");
  const std::vector<std::pair<std::string, double>> expected{
      {"ap", .453366}, {"ap50", .915842},  {"ap75", .084158},   {"ap_small", .450495}, {"ap_medium", .85}, {"ap_large", -1},
      {"ar@1", .4},    {"ar@10", .633333}, {"ar@100", .633333}, {"ar_small", .45},     {"ar_medium", 1},   {"ar_large", -1}};
  for (const auto& [name, value] : expected) EXPECT_NEAR(row[name].number(), value, 1e-6) << name;
  EXPECT_EQ(row["detections"].text(), path);
  EXPECT_THAT(err.str(), HasSubstr("annotations.json: 3 images (1 with nothing in them), 4 boxes of 1 categories (1 of crowds)"));
  EXPECT_THAT(err.str(), HasSubstr("results.json: 6 boxes in 2 of the images"));

  ASSERT_EQ(evaluate(path), engine::kOk) << err.str();
  EXPECT_THAT(out.str(), HasSubstr("\nap50  0.91584"));
  EXPECT_THAT(out.str(), HasSubstr("category  boxes  found      ap    ap50     ap75  ap_small  ap_medium  ap_large  ar@100\n"
                                   "cell          3      6  0.4534  0.9158  0.08416    0.4505     0.8500         -  0.6333\n"));

  ASSERT_EQ(evaluate(scratch.write("none.json", data::CocoResults().text()), {"--json"}), engine::kOk) << err.str();
  EXPECT_THAT(out.str(), HasSubstr("\"ap\":0,\"ap50\":0"));
}

TEST_F(EvaluateFiles, NamesTheEntryThatIsWrong) {
  const std::string good = R"({"image_id": 1, "category_id": 7, "bbox": [0, 0, 5, 5], "score": 0.5})";
  const auto second = [&](const std::string& entry) { return "[" + good + ", " + entry + "]"; };
  EXPECT_THAT(refusal(second(R"({"image_id": 9, "category_id": 7, "bbox": [0, 0, 5, 5], "score": 1})")),
              HasSubstr("bad.json: /1/image_id: 9 is no image of " + annotations + ", which has 3"));
  EXPECT_THAT(refusal(second(R"({"image_id": 1, "category_id": 1, "bbox": [0, 0, 5, 5], "score": 1})")),
              HasSubstr("bad.json: /1/category_id: 1 is no category of " + annotations + ", which has 1: 7 .. 7"));
  EXPECT_THAT(refusal(second(R"({"image_id": 1, "category_id": 7, "score": 1})")), HasSubstr("bad.json: /1: has no \"bbox\""));
  EXPECT_THAT(refusal(second(R"({"image_id": 1, "category_id": 7, "bbox": [0, 0, 5, 5]})")), HasSubstr("bad.json: /1: has no \"score\""));
  EXPECT_THAT(refusal(second(R"({"image_id": 1, "category_id": 7, "bbox": [0, 0, 5], "score": 1})")),
              HasSubstr("bad.json: /1/bbox: expected 4 numbers, x, y, width and height, found 3"));
  EXPECT_THAT(refusal(second(R"({"image_id": 1, "category_id": 7, "bbox": [0, 0, 5, "5"], "score": 1})")),
              HasSubstr("bad.json: /1/bbox/3: expected a number, found text \"5\""));
  EXPECT_THAT(refusal(second(R"({"image_id": 1, "category_id": 7, "bbox": [0, null, 5, 5], "score": 1})")),
              HasSubstr("bad.json: /1/bbox/1: expected a finite number, found null"));
  EXPECT_THAT(refusal(second(R"({"image_id": "1", "category_id": 7, "bbox": [0, 0, 5, 5], "score": 1})")),
              HasSubstr("bad.json: /1/image_id: expected an integer of 64 bits, found text \"1\""));
  for (const std::string score : {"NaN", "-Infinity", "1e999"})
    EXPECT_THAT(refusal(second(R"({"image_id": 1, "category_id": 7, "bbox": [0, 0, 5, 5], "score": )" + score + "}")),
                HasSubstr("bad.json: /1/score: expected a finite number, found " + score));
  EXPECT_THAT(refusal(kAnnotations), HasSubstr("bad.json: expected a list of results, as COCO has it: "));
  EXPECT_THAT(refusal("[" + good), HasSubstr("bad.json: is no valid JSON: "));
  EXPECT_EQ(evaluate(scratch / "missing.json"), engine::kIo);
  EXPECT_EQ(run({"evaluate", "detr", "--detections", scratch.write("l.json", "[]"), "--annotations", scratch / "l.json"}), engine::kData);
  EXPECT_THAT(err.str(), HasSubstr("expected an object with images, categories and annotations"));
}

TEST_F(EvaluateFiles, RefusesWhatDoesNotGoTogether) {
  const std::string found = scratch.write("found.json", "[]");
  EXPECT_EQ(run({"evaluate", "detr", "--detections", found}), engine::kUsage);
  EXPECT_THAT(err.str(), HasSubstr("--annotations FILE, what there is, belong together; found --detections alone"));
  EXPECT_EQ(run({"evaluate", "sasrec", "--detections", found, "--annotations", annotations}), engine::kUsage);
  EXPECT_THAT(err.str(), HasSubstr("'sasrec' does not score files; what does: detr"));
  EXPECT_EQ(evaluate(found, {"--checkpoint", "best"}), engine::kUsage);
  EXPECT_THAT(err.str(), HasSubstr("--checkpoint is of a model"));
  EXPECT_EQ(evaluate(found, {"--detection", "x"}), engine::kUsage);
  EXPECT_EQ(run({"evaluate", "detr/quickstart", "--detections", found, "--annotations", annotations, "--json"}), engine::kOk) << err.str();
}

}  // namespace
}  // namespace capstan::detr
