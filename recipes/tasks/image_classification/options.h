#pragma once
// The configuration of the task: sections data, shapes and augment, and keys of evaluate and predict beside the engine's own. Every field,
// its range and its help stand here once; recipes/vit/README.md explains the choices that matter.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/image/folder.h"
#include "data/image/pipeline.h"
#include "recipes/tasks/image_classification/network.h"

namespace capstan::image_classification {

enum class Source { shapes, idx, cifar10, cifar100, folder };

struct DataOptions {
  Source source = Source::folder;
  std::string path;
  std::vector<std::string> class_names;
  double held_out = 0;
  data::Broken broken = data::Broken::refuse;
  std::string broken_list;
  std::int64_t split_seed = 20;
  std::int64_t max_pixels = std::int64_t{1} << 26;
  std::int64_t image_size = 0;
  std::vector<double> mean{0.5}, deviation{0.5};

  template <class V>
  void visit(V& v) {
    v("source", source, "where images come from: generated shapes, IDX files (MNIST), CIFAR binary files, folders of JPEG and PNG files",
      {{"shapes", Source::shapes},
       {"idx", Source::idx},
       {"cifar10", Source::cifar10},
       {"cifar100", Source::cifar100},
       {"folder", Source::folder}})
        .of_use();
    v("path", path,
      "folder of the data: the files by their usual names, or train/, val/ and test/ with a subfolder for each class; relative "
      "to run.data")
        .of_use();
    v("class_names", class_names, "names of the classes of IDX files; empty: numbers").of_training();
    v("held_out", held_out,
      "training images set aside for validation, whatever run.seed is: below 1 their share, from 1 on their number; 0: validate on val/, "
      "or on "
      "the test images",
      V::non_negative())
        .of_data();
    v("split_seed", split_seed, "which ones data.held_out sets aside", V::non_negative()).of_data();
    v("broken", broken,
      "what happens to an image file that is damaged, too large, empty or cannot be read: refuse ends the run, skip takes the next sound "
      "one of the same part (training, validation or test)",
      {{"refuse", data::Broken::refuse}, {"skip", data::Broken::skip}})
        .of_use();
    v("broken_list", broken_list,
      "file that broken images and their faults are written to: by prepare all of them, by train those met so far, at each validation; "
      "evaluate and predict leave it as it is; empty: none")
        .of_use()
        .output();
    v("max_pixels", max_pixels, "images of more pixels are refused before they are decoded", V::positive()).of_use();
    v("image_size", image_size, "height and width that images are brought to; 0: model.image_size", V::between(0, 16384));
    v("mean", mean, "subtracted from pixels in 0 .. 1: one number, or one a channel", V::any()).input();
    v("deviation", deviation, "what they are then divided by", V::positive()).input();
  }
};

/// The generator of data/synthetic/shapes.h, for data.source = shapes.
struct ShapesOptions {
  std::int64_t train = 4000, validation = 500, test = 500, size = 32, classes = 6, seed = 1;
  double noise = 8;

  template <class V>
  void visit(V& v) {
    v("train", train, "training images", V::between(1, 1e7));
    v("validation", validation, "validation images", V::between(1, 1e6));
    v("test", test, "test images", V::between(1, 1e6));
    v("size", size, "height and width of the generated images", V::between(16, 4096));
    v("classes", classes, "kinds of shapes", V::between(2, 6));
    v("noise", noise, "standard deviation of the pixel noise, in steps of 0 .. 255", V::between(0, 100));
    v("seed", seed, "seed of the generator", V::non_negative());
  }
};

struct AugmentOptions {
  data::TrainingCrop crop = data::TrainingCrop::none;
  std::int64_t padding = 4;
  double min_area = 0.08, max_area = 1, min_ratio = 0.75, max_ratio = 4.0 / 3;
  double flip = 0;
  double brightness = 0, contrast = 0, saturation = 0, hue = 0;
  data::AugmentOps rand_ops = data::AugmentOps::paper;
  std::int64_t rand_layers = 0;
  double rand_magnitude = 9, rand_deviation = 0, rand_probability = 1;
  double erase = 0;
  double mixup = 0, cutmix = 0, mix_probability = 1, mix_switching = 0.5;
  data::MixMode mix_mode = data::MixMode::batch;
  double label_smoothing = 0;
  std::int64_t repeats = 1;

  template <class V>
  void visit(V& v) {
    v("crop", crop, "none: as in evaluation; padded: moved by at most `padding` pixels; resized_area: a random area, resized",
      {{"none", data::TrainingCrop::none}, {"padded", data::TrainingCrop::padded}, {"resized_area", data::TrainingCrop::resized_area}});
    v("padding", padding, "crop=padded: largest shift in pixels", V::between(0, 4096));
    v("min_area", min_area, "crop=resized_area: smallest share of the image's area", V::between(1e-4, 1));
    v("max_area", max_area, "crop=resized_area: largest share", V::between(1e-4, 1));
    v("min_ratio", min_ratio, "crop=resized_area: smallest ratio of width to height", V::between(0.01, 100));
    v("max_ratio", max_ratio, "crop=resized_area: largest ratio", V::between(0.01, 100));
    v("flip", flip, "probability of a horizontal flip", V::between(0, 1));
    v("brightness", brightness, "colour jitter, before RandAugment: brightness times a factor from 1 - x (at least 0) to 1 + x; 0: none",
      V::between(0, 100));
    v("contrast", contrast, "colour jitter: contrast in the same way", V::between(0, 100));
    v("saturation", saturation, "colour jitter: saturation in the same way", V::between(0, 100));
    v("hue", hue, "colour jitter: largest shift of the hue, in turns of the colour circle", V::between(0, 0.5));
    v("rand_ops", rand_ops, "operations of RandAugment: the 14 of the paper, or the 15 of timm",
      {{"paper", data::AugmentOps::paper}, {"timm", data::AugmentOps::timm}});
    v("rand_layers", rand_layers, "RandAugment: operations on an image; 0: none", V::between(0, 100));
    v("rand_magnitude", rand_magnitude, "RandAugment: level of the operations", V::between(0, 10));
    v("rand_deviation", rand_deviation, "RandAugment: standard deviation of the level", V::between(0, 10));
    v("rand_probability", rand_probability, "RandAugment: probability that a drawn operation is applied", V::between(0, 1));
    v("erase", erase, "probability that a random rectangle is replaced by noise", V::between(0, 1));
    v("mixup", mixup, "alpha of mixup; 0: none", V::between(0, 100));
    v("cutmix", cutmix, "alpha of cutmix; 0: none", V::between(0, 100));
    v("mix_mode", mix_mode, "batch: its images are mixed in one way, with one share; image: each draws its own",
      {{"batch", data::MixMode::batch}, {"image", data::MixMode::image}});
    v("mix_probability", mix_probability, "probability that a batch (image) is mixed, if mixup or cutmix is on", V::between(0, 1));
    v("mix_switching", mix_switching, "probability of cutmix where both are on", V::between(0, 1));
    v("label_smoothing", label_smoothing, "share of the target spread over all classes", V::fraction());
    v("repeats", repeats,
      "how often each image of an epoch comes, in a row and each time drawn anew; the epoch keeps its length, so it shows fewer images",
      V::between(1, 1000));
  }
};

struct EvaluateOptions {
  data::Filter filter = data::Filter::bicubic;
  double crop_share = 1;
  bool flip = false;
  bool per_class = false;
  std::string confusion;

  template <class V>
  void visit(V& v) {
    v("filter", filter, "how images are resized, in training too",
      {{"box", data::Filter::box}, {"bilinear", data::Filter::bilinear}, {"bicubic", data::Filter::bicubic}})
        .of_model();
    v("crop_share", crop_share, "side of the middle part that is looked at, as a share of the shorter side", V::between(0.05, 1));
    v("flip", flip,
      "classify by the mean of the logits of the image and of its mirror image, in evaluate, predict and validation (twice the work)");
    v("per_class", per_class, "report recall/<class>, the share of a class's images that are recognised");
    v("confusion", confusion, "file that `capstan evaluate` writes the confusion matrix to, tab-separated; empty: none").output();
  }
};

enum class PredictInput { paths, indices };

struct PredictOptions {
  PredictInput input = PredictInput::paths;
  std::int64_t top = 5;
  std::string pictures;
  std::int64_t picture_size = 224;

  template <class V>
  void visit(V& v) {
    v("input", input, "what a line holds: the path of an image file, or the number of a test image of data.path, from 0",
      {{"paths", PredictInput::paths}, {"indices", PredictInput::indices}});
    v("top", top, "classes in an answer, the most probable first", V::between(1, 1e6));
    v("pictures", pictures, "directory that attention pictures (PNG) of every input are written to; empty: none");
    v("picture_size", picture_size, "height and width of an image in them, in pixels", V::between(16, 2048));
  }
};

/// Everything but the model. A recipe adds its section `model`.
struct Options {
  DataOptions data;
  ShapesOptions shapes;
  AugmentOptions augment;
  EvaluateOptions evaluate;
  PredictOptions predict;

  template <class V>
  void visit(V& v) {
    v.section("data", data);
    v.section("shapes", shapes, V::of_data());
    v.section("augment", augment, V::of_training());
    v.section("evaluate", evaluate, V::of_use());
    v.section("predict", predict, V::of_use());
  }

  /// Throws ConfigError for values that do not fit each other or a model of this form.
  void validate(const ImageForm& form) const;
  /// Height and width of the images that the model gets, and the key of the configuration that says so.
  std::int64_t image_size(const ImageForm& form) const { return data.image_size > 0 ? data.image_size : form.size; }
  std::string_view image_size_key() const { return data.image_size > 0 ? "data.image_size" : "model.image_size"; }
  /// How images become batches.
  data::PipelineOptions pipeline(const ImageForm& form) const;
};

/// The configuration of a recipe: the task and the section `model`. A recipe adds its rules.
template <class Model>
struct RecipeOptions : Options {
  Model model;

  template <class V>
  void visit(V& v) {
    v.section("model", model);
    Options::visit(v);
  }
  ImageForm form() const { return {.size = model.image_size, .channels = model.channels, .classes = model.classes}; }
};

}  // namespace capstan::image_classification
