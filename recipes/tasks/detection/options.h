#pragma once
// The configuration of the task: sections data, shapes, augment and loss, and keys of evaluate and predict beside the engine's own. Every
// field, its range and its help stand here once; recipes/detr/README.md explains the choices that matter.

#include <cstdint>
#include <string>
#include <vector>

#include "data/detection/augment.h"
#include "data/image/resize.h"
#include "data/image/transforms.h"
#include "recipes/tasks/detection/matching.h"

namespace capstan::detection {

enum class Source : std::uint8_t { shapes, coco, voc, yolo };

struct DataOptions {
  Source source = Source::coco;
  std::string path;
  std::string train, validation, test;
  std::string train_pictures, validation_pictures, test_pictures;
  bool one_based = false;
  std::int64_t max_pixels = std::int64_t{1} << 26;
  std::vector<double> mean{0.485, 0.456, 0.406}, deviation{0.229, 0.224, 0.225};

  template <class V>
  void visit(V& v) {
    v("source", source, "where images and boxes come from: generated shapes, COCO's JSON, folders of Pascal VOC or of the YOLO family",
      {{"shapes", Source::shapes}, {"coco", Source::coco}, {"voc", Source::voc}, {"yolo", Source::yolo}})
        .of_use();
    v("path", path, "folder of the data, relative to run.data").of_use();
    v("train", train, "the training part. coco: annotation file below the path; voc: a name in ImageSets/Main; yolo: a folder's name")
        .of_use();
    v("validation", validation, "the validation part; empty: the test part validates").of_use();
    v("test", test, "the test part; empty: the validation part is tested").of_use();
    v("train_pictures", train_pictures, "coco: folder below the path that file names are relative to; empty: that of the annotation file")
        .of_use();
    v("validation_pictures", validation_pictures, "the same of the validation part").of_use();
    v("test_pictures", test_pictures, "the same of the test part").of_use();
    v("one_based", one_based, "voc: corners count pixels from 1 and lie inside the box, as in the files of the challenge itself").of_data();
    v("max_pixels", max_pixels, "images of more pixels are refused before they are decoded", V::positive()).of_use();
    v("mean", mean, "subtracted from pixels in 0 .. 1: one number, or one a channel", V::any()).input();
    v("deviation", deviation, "what they are then divided by", V::positive()).input();
  }
};

/// The generator of data/synthetic/shapes.h, for data.source = shapes.
struct ShapesOptions {
  std::int64_t train = 4000, validation = 500, test = 500, size = 64, classes = 3, most_objects = 3, seed = 1;
  double least_extent = 0.2, most_extent = 0.5, noise = 8;

  template <class V>
  void visit(V& v) {
    v("train", train, "training images", V::between(1, 1e7));
    v("validation", validation, "validation images", V::between(1, 1e6));
    v("test", test, "test images", V::between(1, 1e6));
    v("size", size, "height and width of the generated images", V::between(16, 4096));
    v("classes", classes, "kinds of shapes", V::between(2, 6));
    v("most_objects", most_objects, "an image has 1 to so many shapes", V::between(2, 100));
    v("least_extent", least_extent, "smallest side of a shape, as a share of the image's", V::between(0.05, 1));
    v("most_extent", most_extent, "largest side of a shape", V::between(0.05, 1));
    v("noise", noise, "standard deviation of the pixel noise, in steps of 0 .. 255", V::between(0, 100));
    v("seed", seed, "seed of the generator", V::non_negative());
  }
};

struct AugmentOptions {
  data::BoxAugmentation boxes;

  template <class V>
  void visit(V& v) {
    v("flip", boxes.flip, "probability of a horizontal flip", V::between(0, 1));
    v("sides", boxes.sides, "one of these, drawn for each image, becomes its shorter side", V::between(1, 16384));
    v("longest", boxes.longest, "no side is longer than this; 0: no limit", V::between(0, 16384));
    v("crop", boxes.crop, "probability that an image is first scaled to one of crop_sides and a part of it cut out", V::between(0, 1));
    v("crop_sides", boxes.crop_sides, "shorter sides before a part is cut out", V::between(1, 16384));
    v("crop_least", boxes.crop_least, "smallest height and width of such a part", V::between(1, 16384));
    v("crop_most", boxes.crop_most, "largest height and width of such a part", V::between(1, 16384));
  }
};

struct LossOptions {
  double classification = 1, l1 = 5, giou = 2, no_object = 0.1;
  MatchingCost cost;

  template <class V>
  void visit(V& v) {
    v("classification", classification, "weight of the cross-entropy over all queries", V::non_negative());
    v("l1", l1, "weight of |box - object|_1 of the matched queries", V::non_negative());
    v("giou", giou, "weight of 1 - GIoU of the matched queries", V::non_negative());
    v("no_object", no_object, "weight of queries without an object in the cross-entropy", V::between(1e-6, 1));
    v("cost_classification", cost.classification, "matching: weight of the probability of the object's class", V::non_negative());
    v("cost_l1", cost.l1, "matching: weight of |box - object|_1", V::non_negative());
    v("cost_giou", cost.giou, "matching: weight of GIoU", V::non_negative());
  }
};

struct EvaluateOptions {
  std::int64_t side = 800, longest = 1333;
  data::Filter filter = data::Filter::bilinear;
  bool per_class = false;
  std::string results, curves;

  template <class V>
  void visit(V& v) {
    v("side", side, "shorter side that images are brought to, in evaluate, predict and validation", V::between(1, 16384));
    v("longest", longest, "no side is longer than this; 0: no limit", V::between(0, 16384));
    v("filter", filter, "how images are resized, in training too",
      {{"box", data::Filter::box}, {"bilinear", data::Filter::bilinear}, {"bicubic", data::Filter::bicubic}})
        .of_model();
    v("per_class", per_class, "report ap/<class> too");
    v("results", results, "file that `capstan evaluate` writes all detections to, in COCO's form; empty: none").output();
    v("curves", curves, "file that `capstan evaluate` draws precision-recall curves into, as SVG; empty: none").output();
  }
};

enum class PredictInput : std::uint8_t { paths, indices };

struct PredictOptions {
  PredictInput input = PredictInput::paths;
  double threshold = 0.5;
  std::string pictures;
  std::int64_t attended = 6;

  template <class V>
  void visit(V& v) {
    v("input", input, "what a line holds: the path of an image file, or the number of a test image of the data, from 0",
      {{"paths", PredictInput::paths}, {"indices", PredictInput::indices}});
    v("threshold", threshold, "least score of a detection in an answer", V::between(0, 1));
    v("pictures", pictures,
      "directory that pictures (SVG) of every input are written to: boxes with their classes and scores, and what each attended to; empty: "
      "none");
    v("attended", attended, "most detections of an image whose attention is drawn; 0: none", V::between(0, 100));
  }
};

/// Everything but the model. A recipe adds its sections.
struct Options {
  DataOptions data;
  ShapesOptions shapes;
  AugmentOptions augment;
  LossOptions loss;
  EvaluateOptions evaluate;
  PredictOptions predict;

  template <class V>
  void visit(V& v) {
    v.section("data", data);
    v.section("shapes", shapes, V::of_data());
    v.section("augment", augment, V::of_training());
    v.section("loss", loss, V::of_training());
    v.section("evaluate", evaluate, V::of_use());
    v.section("predict", predict, V::of_use());
  }

  /// Throws ConfigError for values that do not fit each other or images of this many channels.
  void validate(std::int64_t channels) const;
  /// Mean and deviation of each channel.
  data::Normalization normalization(std::int64_t channels) const;
  /// How a training image is drawn.
  data::BoxAugmentation augmentation() const;
};

}  // namespace capstan::detection
