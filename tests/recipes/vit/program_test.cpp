// ViT through the command line: every configuration, interruption and resume to the bit, learning, evaluation, prediction with pictures,
// bad input and broken files.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "data/image/image.h"
#include "data/image/transforms.h"
#include "data/synthetic/shapes.h"
#include "recipes/engine/checkpoint/checkpoint.h"
#include "recipes/vit/recipe.h"
#include "tests/recipes/recipe_program.h"

namespace capstan::vit {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

struct VitProgram : engine::test::RecipeProgram {
  VitProgram() : RecipeProgram(vit::recipe()) {}

  /// The quickstart, small: 5 steps an epoch, everything random switched on.
  static Arguments small() {
    return {"run.threads=1",       "shapes.train=80",     "shapes.validation=24",       "shapes.test=24",
            "shapes.size=16",      "model.image_size=16", "model.hidden_size=16",       "model.layers=2",
            "model.heads=2",       "model.mlp_size=32",   "model.dropout=0.1",          "model.stochastic_depth=0.2",
            "train.batch_size=16", "train.epochs=4",      "train.log_every=1",          "augment.rand_layers=1",
            "augment.erase=0.3",   "augment.mixup=0.4",   "augment.mix_probability=0.5"};
  }
  /// A stem of convolutions for it.
  static Arguments convolutions() {
    return {"model.stem=convolutions", "model.stem_channels=8, 16", "model.stem_strides=1, 2", "model.patch_size=2"};
  }
  int train(const std::string& run, const Arguments& more = {}) { return train_quickstart(run, joined(small(), more)); }
  /// Folders train, val of PNG files of shapes, `count` a class.
  void write_folders(std::int64_t count) const {
    const data::ShapeImages shapes({.size = 20, .classes = 3, .seed = 9});
    for (std::int64_t i = 0; i < 6 * count; ++i) {
      const auto made = shapes.get(i);
      const std::string place =
          scratch / (i < 3 * count ? "train/" : "val/") + shapes.names()[static_cast<std::size_t>(made.objects[0].label)];
      fs::create_directories(place);
      data::write_png(place + "/" + std::to_string(i) + ".png", made.image);
    }
  }
  /// What stands behind `capstan` in the comment of a configuration that shows a command.
  std::string command_of(const std::string& file, const std::string& command) const {
    std::ifstream lines(folder + "/" + file);
    for (std::string line; std::getline(lines, line);)
      if (const auto at = line.find("capstan " + command); line.starts_with('#') && at != std::string::npos) return line.substr(at + 8);
    ADD_FAILURE() << file << " shows no command " << command;
    return "";
  }
  std::string content(const std::string& name) const {
    std::stringstream text;
    text << std::ifstream(scratch / name).rdbuf();
    return text.str();
  }
  Arguments on_folders() const { return {"data.source=folder", "data.path=" + scratch.path(), "data.mean=0.5"}; }
};

TEST_F(VitProgram, EveryConfigurationDryRuns) {
  // Data of its own kind is not at hand, and full sizes take their time: generated shapes, two narrow layers.
  const Arguments settings{"data.source=shapes", "shapes.train=40",          "shapes.validation=6", "shapes.test=6",      "data.held_out=0",
                           "model.layers=2",     "model.hidden_size=48",     "model.mlp_size=32",   "model.classes=0",    "model.heads=3",
                           "train.batch_size=2", "train.micro_batch_size=2", "model.stem_width=32", "model.image_size=64"};
  check_every_configuration(11, settings,
                            [&](const std::string& name) { EXPECT_THAT(out.str(), HasSubstr("head/weight  f32[6, 48]")) << name; });
}

TEST_F(VitProgram, KeepsWhatTheEnginePromises) {
  write_folders(1);
  std::string picture;
  for (const auto& e : fs::recursive_directory_iterator(scratch / "train"))
    if (e.path().extension() == ".png") picture = e.path();
  prove({.settings = joined(small(), {"loader.workers=2"}), .steps = 12, .stops = {5, 7}, .input = picture + "\n"});
}

TEST_F(VitProgram, KeepsWhatTheEnginePromisesWithConvolutionsAndAverages) {
  const Arguments more{"train.ema_decay=0.9", "loader.workers=0", "augment.repeats=3", "augment.brightness=0.4", "augment.hue=0.1"};
  prove({.settings = joined(small(), joined(convolutions(), more)), .steps = 12, .stops = {5, 7}});
}

TEST_F(VitProgram, MicroBatchesAddUpToTheBatch) {
  // Without what is drawn by batch, so that the parts see what the whole sees.
  const Arguments options{"model.dropout=0", "model.stochastic_depth=0", "augment.mixup=0", "train.max_steps=2"};
  ASSERT_EQ(train("whole", options), engine::kOk) << err.str();
  ASSERT_EQ(train("parts", joined(options, {"train.micro_batch_size=4"})), engine::kOk) << err.str();
  const auto whole = tensors(checkpoint("whole")), parts = tensors(checkpoint("parts"));
  for (const auto& [name, values] : whole) {
    if (name.ends_with("key/bias") || name.starts_with("/optimizer")) continue;  // the key bias has no gradient but rounding
    for (std::size_t i = 0; i < values.size(); ++i) ASSERT_NEAR(parts.at(name)[i], values[i], 2e-4) << name;
  }
}

// From a trained model to other classes and larger images: what MODEL knows is kept, the first layers move the least.
TEST_F(VitProgram, FineTunesByLayerAtAnotherSize) {
  const Arguments plain{"model.dropout=0", "model.stochastic_depth=0", "optimizer.weight_decay=0", "train.max_steps=1",
                        "schedule.warmup_epochs=0"};
  ASSERT_EQ(train("old", joined(plain, {"shapes.classes=3"})), engine::kOk) << err.str();
  ASSERT_EQ(train("new", joined(plain, {"shapes.classes=5", "data.image_size=24", "init.from=" + checkpoint("old"), "augment.mixup=0.8",
                                        "augment.cutmix=1", "augment.mix_mode=image", "augment.label_smoothing=0.1",
                                        "optimizer.layer_decay=0.5"})),
            engine::kOk)
      << err.str();
  EXPECT_THAT(content("new/log.txt"), HasSubstr("head/weight by the names of its classes: 3 known, 2 at random"));
  const auto before = tensors(checkpoint("old")), after = tensors(checkpoint("new"));
  const auto moved = [&](const std::string& name) {
    const std::vector<double>&a = before.at("/model/" + name), &b = after.at("/model/" + name);
    double most = 0;
    for (std::size_t i = 0; i < a.size(); ++i) most = std::max(most, std::abs(a[i] - b[i]));
    return most;
  };
  const double rate = moved("encoder/norm/bias");  // of the first step of AdamW, which is the learning rate whatever the gradient is
  EXPECT_GT(rate, 1e-4);
  EXPECT_NEAR(moved("encoder/1/attention/query/weight") / rate, .5, .02);
  EXPECT_NEAR(moved("encoder/0/attention/query/weight") / rate, .25, .02);
  EXPECT_NEAR(moved("positions") / rate, .125, .02);
  EXPECT_NEAR(moved("patches/weight") / rate, .125, .02);
}

TEST_F(VitProgram, LearnsShapesAndIsUsed) {
  const Arguments options{"shapes.train=600",      "shapes.classes=3",
                          "shapes.noise=4",        "shapes.test=90",
                          "model.dropout=0",       "model.stochastic_depth=0",
                          "augment.rand_layers=0", "augment.padding=1",
                          "augment.erase=0",       "augment.mixup=0",
                          "train.epochs=14",       "model.hidden_size=32",
                          "model.mlp_size=64",     "optimizer.learning_rate=0.003",
                          "train.log_every=20"};
  ASSERT_EQ(train("run", options), engine::kOk) << err.str();
  const Arguments with{"--checkpoint", scratch / "run/checkpoints/best.h5"};
  const auto command = [&](Arguments first) { return joined(joined(joined(std::move(first), with), small()), options); };
  ASSERT_EQ(capstan(command({"evaluate", config, "evaluate.confusion=" + scratch / "confusion.tsv", "evaluate.per_class=yes"})),
            engine::kOk)
      << err.str();
  EXPECT_GE(metric("accuracy"), 0.6) << "chance is .333";
  EXPECT_NEAR((metric("recall/disc") + metric("recall/square") + metric("recall/triangle")) / 3, metric("accuracy"), 1e-6);
  EXPECT_THAT(out.str(), HasSubstr("test: 90 images of 3 classes"));
  std::ifstream file(scratch / "confusion.tsv");
  std::string header;
  std::getline(file, header);
  EXPECT_EQ(header, "true\\predicted\tdisc\tsquare\ttriangle\trecall");

  // A file on disk and the same image by its number give the same answer, here and in pictures.
  const data::ShapeImages shapes({.size = 16, .classes = 3, .noise = 4, .seed = 1});
  const data::Image image = shapes.get(600 + 24 + 5).image;  // after those of training and validation
  data::write_png(scratch / "five.png", image);
  ASSERT_EQ(capstan(command({"predict", config, "--input", "-", "--output", "-", "predict.pictures=" + scratch / "pictures",
                             "predict.picture_size=64"}),
                    scratch / "five.png" + "\n"),
            engine::kOk)
      << err.str();
  const std::string by_path = out.str();
  EXPECT_THAT(by_path, HasSubstr("five.png\t"));
  for (const char* name : {"disc", "square", "triangle"}) EXPECT_THAT(by_path, HasSubstr(name));
  ASSERT_EQ(capstan(command({"predict", config, "--input", "-", "--output", "-", "predict.input=indices"}), "5\n"), engine::kOk)
      << err.str();
  EXPECT_EQ(by_path.substr(by_path.find('\t')), out.str().substr(out.str().find('\t')));
  const data::Image heads = data::read_image(scratch / "pictures/0001-five-heads.png");
  EXPECT_EQ(heads.height, 2 * 32 + 4) << "two layers";
  EXPECT_EQ(heads.width, 2 * 32 + 4) << "two heads";
  const data::Image rollout = data::read_image(scratch / "pictures/0001-five-rollout.png");
  EXPECT_EQ(rollout.height, 64);
  EXPECT_EQ(rollout.width, 3 * 64 + 2 * 4);

  ASSERT_EQ(capstan(command({"predict", config, "--input", "-", "--output", "-", "predict.input=indices", "predict.top=1",
                             "predict.format=jsonl"}),
                    "0\n1\n"),
            engine::kOk)
      << err.str();
  EXPECT_THAT(out.str(),
              ::testing::MatchesRegex("\\{\"input\":\"0\",\"classes\":\\[\\{\"class\":\"[a-z]+\",\"probability\":[0-9.e-]+\\}\\]\\}\n"
                                      "\\{\"input\":\"1\",.*\n"));
  // What is no image costs its own answer.
  ASSERT_EQ(capstan(command({"predict", config, "--input", "-", "--output", "-", "predict.input=indices"}), "5\n90\n"), engine::kOk);
  EXPECT_EQ(out.str().substr(out.str().find('\t')),
            by_path.substr(by_path.find('\t')) + "90\t-\tline 2: expected the number of a test image, 0 .. 89, found '90'\n");
  ASSERT_EQ(capstan(command({"predict", config, "--input", "-", "--output", "-"}),
                    scratch.write("text.png", "hello") + "\n" + scratch / "five.png" + "\n" + scratch / "nothing.png" + "\n\n"),
            engine::kOk)
      << err.str();
  EXPECT_THAT(out.str(), HasSubstr("text.png\t-\tline 1: " + scratch / "text.png: not an image"));
  EXPECT_THAT(out.str(), HasSubstr("\n" + by_path)) << "the other image is answered as before";
  EXPECT_THAT(out.str(), HasSubstr("nothing.png\t-\tline 3: " + scratch / "nothing.png: open failed: "));
  EXPECT_THAT(out.str(), ::testing::EndsWith("\n\t-\tline 4: the line is empty, expected the path of an image\n"));

  // With evaluate.flip an image and its mirror image are answered alike: by the geometric mean of what each is taken for, normalised.
  data::Image mirrored = image;
  data::flip_horizontal(mirrored);
  data::write_png(scratch / "mirrored.png", mirrored);
  const auto probabilities = [&](const std::string& name, const Arguments& more) {
    EXPECT_EQ(capstan(joined(command({"predict", config, "--input", "-", "--output", "-"}), more), scratch / name + "\n"), engine::kOk);
    std::istringstream fields(out.str());
    std::string path, label;
    std::map<std::string, double> p;
    fields >> path;
    for (double value = 0; fields >> label >> value;) p[label] = value;
    return p;
  };
  const auto plain = probabilities("five.png", {}), other = probabilities("mirrored.png", {});
  const auto both = probabilities("five.png", {"evaluate.flip=yes"});
  ASSERT_EQ(both.size(), 3U);
  EXPECT_NE(plain, other);
  EXPECT_EQ(both, probabilities("mirrored.png", {"evaluate.flip=yes"}));
  double sum = 0;
  for (const auto& [label, p] : plain) sum += std::sqrt(p * other.at(label));
  for (const auto& [label, p] : both) EXPECT_NEAR(p, std::sqrt(plain.at(label) * other.at(label)) / sum, 1e-5) << label;
  ASSERT_EQ(capstan(command({"evaluate", config, "evaluate.flip=yes"})), engine::kOk) << err.str();
  EXPECT_THAT(out.str(), HasSubstr("crop_share 1, and its mirror image\n"));

  // The command that quickstart.cfg shows, as it stands but for the places of files.
  std::istringstream words(command_of("quickstart.cfg", "predict"));
  Arguments shown;
  for (std::string word; words >> word;) shown.push_back(word == "vit/quickstart" ? config : word.ends_with(".h5") ? with[1] : word);
  ASSERT_EQ(capstan(joined(joined(shown, small()), options), "1\n2\n"), engine::kOk) << err.str();
  EXPECT_THAT(out.str(), ::testing::MatchesRegex("1\t[a-z]+\t.*\n2\t[a-z]+\t.*\n"));
}

TEST_F(VitProgram, AnotherMetricStartsTheComparisonAnew) {
  ASSERT_EQ(train("run", {"train.epochs=2"}), engine::kOk) << err.str();
  ASSERT_EQ(train("run", {"train.epochs=3", "train.metric=accuracy", "--resume", "auto"}), engine::kOk) << err.str();
  EXPECT_THAT(content("run/log.txt"), ::testing::Not(HasSubstr("the comparison"))) << "it was the recipe's choice before";
  ASSERT_EQ(train("run", {"train.epochs=4", "train.metric=loss", "--resume", "auto"}), engine::kOk) << err.str();
  EXPECT_THAT(content("run/log.txt"), HasSubstr("the metric was accuracy, is loss: the comparison starts anew"));
  const engine::TrainState best = engine::Checkpoint(scratch / "run/checkpoints/best.h5").train_state();
  EXPECT_EQ(best.step, 20);
  EXPECT_EQ(best.best_step, 20);
  EXPECT_EQ(best.metric, "loss");
  // In a new place the state that a run goes on from is the first to be compared.
  ASSERT_EQ(train("other", {"train.epochs=4", "--resume", scratch / "run/checkpoints/step-000000020.h5"}), engine::kOk) << err.str();
  EXPECT_EQ(engine::Checkpoint(scratch / "other/checkpoints/best.h5").step(), 20);
  EXPECT_THAT(content("other/log.txt"), HasSubstr("the metric was loss, is accuracy: the comparison starts anew"));
}

TEST_F(VitProgram, PreparesAPageOfTrainingImages) {
  const std::string page = scratch / "page.png";
  ASSERT_EQ(capstan(joined({"prepare", config, "--preview", page}, small())), engine::kOk) << err.str();
  EXPECT_THAT(out.str(), HasSubstr("row 8: image "));
  EXPECT_EQ(data::read_image(page).height, 8 * (112 + 4) - 4 + 2 * 16);
  EXPECT_EQ(std::ranges::distance(fs::directory_iterator(scratch.path())), 1) << "and nothing else";
  for (const std::string& path : {scratch / "nowhere/x.png", scratch.path(), std::string("/dev/null")}) {
    EXPECT_EQ(capstan(joined({"prepare", config, "--preview", path}, small())), engine::kIo);
    EXPECT_THAT(err.str(), HasSubstr("prepare: --preview: " + path));
    EXPECT_EQ(out.str(), "");
  }
}

TEST_F(VitProgram, OutputsThatCannotBeWrittenAreRefusedBeforeTraining) {
  for (const std::string key : {"data.broken_list", "evaluate.confusion"})
    for (const std::string& path : {scratch / "nowhere/x.tsv", scratch.path()})
      for (const Arguments& more : {Arguments{"--check"}, Arguments{}}) {
        EXPECT_EQ(train("run", joined({key + "=" + path}, more)), engine::kIo);
        EXPECT_THAT(err.str(), HasSubstr(key + ": " + path));
      }
  EXPECT_FALSE(fs::exists(scratch / "run"));
  EXPECT_TRUE(fs::is_empty(scratch.path())) << "a trial leaves nothing";

  ASSERT_EQ(train("run", {"train.max_steps=1"}), engine::kOk) << err.str();
  EXPECT_EQ(capstan({"evaluate", "--checkpoint", checkpoint("run"), "evaluate.confusion=" + scratch / "nowhere/x.tsv"}), engine::kIo);
  EXPECT_EQ(out.str(), "");
  const char* const home = std::getenv("HOME");
  const std::string before = home != nullptr ? home : "";
  ::setenv("HOME", scratch.path().c_str(), 1);
  EXPECT_EQ(capstan({"evaluate", "--checkpoint", checkpoint("run"), "evaluate.confusion=~/confusion.tsv"}), engine::kOk) << err.str();
  EXPECT_EQ(capstan(joined({"prepare", config, "data.broken_list=$HOME/broken.txt"}, small())), engine::kOk) << err.str();
  ::setenv("HOME", before.c_str(), 1);
  EXPECT_TRUE(fs::exists(scratch / "confusion.tsv"));
  EXPECT_TRUE(fs::exists(scratch / "broken.txt"));
}

TEST_F(VitProgram, WhatIsHeldOutStaysHeldOut) {
  ASSERT_EQ(train("run", {"train.max_steps=2", "data.held_out=8"}), engine::kOk) << err.str();
  const Arguments validation{"evaluate", "--split", "validation", "--checkpoint", checkpoint("run"), "--json"};
  ASSERT_EQ(capstan(validation), engine::kOk) << err.str();
  const std::string expected = out.str();
  ASSERT_EQ(capstan(joined(validation, {"run.seed=77"})), engine::kOk) << err.str();
  EXPECT_EQ(out.str(), expected);
  EXPECT_EQ(capstan(joined(validation, {"data.split_seed=21"})), engine::kUsage);
  EXPECT_EQ(train("run", {"train.max_steps=3", "data.held_out=8", "data.split_seed=21", "--resume", "auto"}), engine::kBadCheckpoint);
  EXPECT_THAT(err.str(), HasSubstr("data.split_seed was 20, is 21"));
}

TEST_F(VitProgram, BrokenFilesAreRefusedOrSkippedByName) {
  if (!data::can_decode(data::ImageFormat::png)) GTEST_SKIP();
  write_folders(8);
  std::ofstream(scratch / "train/disc/0.png", std::ios::binary).close();
  scratch.write("val/square/broken.jpeg", "\xff\xd8\xff\xe0");
  EXPECT_EQ(train("strict", joined(on_folders(), {"train.epochs=1", "schedule.warmup_epochs=0"})), engine::kData);
  EXPECT_THAT(err.str(), HasSubstr("train/disc/0.png: the file is empty"));

  const Arguments lenient =
      joined(on_folders(), {"train.epochs=1", "schedule.warmup_epochs=0", "data.broken=skip", "data.broken_list=" + scratch / "list"});
  ASSERT_EQ(train("lenient", lenient), engine::kOk) << err.str();
  EXPECT_THAT(content("list"), HasSubstr("train/disc/0.png: the file is empty"));
  EXPECT_THAT(content("list"), HasSubstr("val/square/broken.jpeg: "));
  EXPECT_THAT(content("lenient/metrics.jsonl"), HasSubstr("\"skipped_images\":1"));

  ASSERT_EQ(capstan(joined({"prepare", config}, on_folders())), engine::kOk) << err.str();
  EXPECT_THAT(out.str(), HasSubstr("24 training, 25 validation and 25 test images of 3 classes"));
  EXPECT_THAT(out.str(), HasSubstr("which are the test images too; broken files: 2\n"));
  EXPECT_THAT(out.str(), HasSubstr("broken.jpeg"));

  // A file that cannot be read is like a broken one, a strip is an image like any other, and the list stays that of training.
  fs::create_symlink("nowhere.png", scratch / "val/disc/gone.png");
  data::write_png(scratch / "val/disc/strip.png", data::Image(1, 60000, 3));
  const std::string list = content("list");
  const Arguments evaluation =
      joined({"evaluate", config, "--checkpoint", checkpoint("lenient"), "data.broken=refuse"}, joined(small(), on_folders()));
  EXPECT_EQ(capstan(evaluation), engine::kIo);
  EXPECT_THAT(err.str(), HasSubstr("val/disc/gone.png: open failed: "));
  ASSERT_EQ(capstan(joined(evaluation, {"data.broken=skip", "data.broken_list=" + scratch / "list"})), engine::kOk) << err.str();
  EXPECT_EQ(metric("skipped_images"), 2);
  EXPECT_EQ(content("list"), list);
  ASSERT_EQ(capstan(joined({"prepare", config, "data.broken_list=" + scratch / "list"}, on_folders())), engine::kOk) << err.str();
  EXPECT_THAT(out.str(), HasSubstr("broken files: 3\n"));
  EXPECT_THAT(content("list"), HasSubstr("val/disc/gone.png: open failed: "));
}

TEST_F(VitProgram, LargeModelsEvaluateInSmallBatches) {
  for (const char* name : {"base.cfg", "hybrid.cfg"}) {
    ASSERT_EQ(capstan({"train", folder + "/" + name, "--print-config"}), engine::kOk) << err.str();
    for (const char* name_of_section : {"[evaluate]", "[predict]"}) {
      const std::size_t section = out.str().find(name_of_section);
      ASSERT_NE(section, std::string::npos);
      EXPECT_THAT(out.str().substr(section, out.str().find("\n[", section) - section), HasSubstr("\nbatch_size = 32 ")) << name;
    }
  }
}

TEST_F(VitProgram, BenchesWithoutData) {
  for (const char* name : {"fashion_mnist.cfg", "tiny.cfg"}) {
    ASSERT_EQ(capstan({"bench", folder + "/" + name, "--steps", "1", "--json", "train.batch_size=2", "model.layers=1", "run.threads=1"}),
              engine::kOk)
        << err.str();
    EXPECT_THAT(out.str(), HasSubstr("\"flops_per_step\""));
  }
}

TEST_F(VitProgram, SaysWhatIsWrong) {
  EXPECT_EQ(train("bad", {"model.classes=7"}), engine::kUsage);
  EXPECT_THAT(err.str(), HasSubstr("model.classes is 7, but there are 6 classes; 0 takes as many as there are"));
  EXPECT_EQ(train("bad", {"model.patch_size=5"}), engine::kUsage);
  EXPECT_THAT(err.str(), HasSubstr("model.patch_size must divide model.image_size: image_size 16, patch_size 5"));
  EXPECT_EQ(train("bad", {"data.image_size=30", "model.patch_size=4"}), engine::kUsage);
  EXPECT_THAT(err.str(), HasSubstr("model.patch_size must divide data.image_size: image_size 30, patch_size 4"));
  const Arguments hybrid{"model.stem=resnet", "model.stem_width=32", "model.stem_blocks=1"};
  EXPECT_EQ(train("bad", joined(hybrid, {"data.image_size=20", "model.patch_size=2"})), engine::kUsage);
  EXPECT_THAT(err.str(),
              HasSubstr("must divide the size of the stem's features of data.image_size: image_size 20, features 5, patch_size 2"));
  EXPECT_EQ(train("bad", joined(hybrid, {"model.image_size=2", "model.patch_size=1", "model.stem_form=torch_port"})), engine::kUsage);
  EXPECT_EQ(train("bad", joined(hybrid, {"model.stem_blocks=1, 1, 1, 1, 1, 1, 1, 1, 1"})), engine::kUsage);
  EXPECT_THAT(err.str(), HasSubstr("model.stem_blocks names 9 stages, at most 8 are possible"));
  EXPECT_EQ(train("bad", joined(convolutions(), {"model.stem_strides=1, 2, 2"})), engine::kUsage);
  EXPECT_THAT(err.str(), HasSubstr("model.stem_channels and model.stem_strides need one number for each convolution, got 2 and 3"));
  EXPECT_EQ(train("bad", joined(convolutions(), {"model.patch_size=3"})), engine::kUsage);
  EXPECT_THAT(err.str(),
              HasSubstr("must divide the size of the stem's features of model.image_size: image_size 16, features 8, patch_size 3"));
  const Arguments one_place{"model.stem_strides=4, 4", "model.patch_size=1", "augment.mixup=0", "--check"};
  EXPECT_EQ(train("bad", joined(convolutions(), joined(one_place, {"train.batch_size=79"}))), engine::kUsage);
  EXPECT_THAT(err.str(),
              HasSubstr("a batch of 1 image leaves batch normalisation one element a channel: 80 training images in batches of 79"));
  EXPECT_EQ(train("bad", joined(convolutions(), joined(one_place, {"train.batch_size=78"}))), engine::kOk) << err.str();
  EXPECT_EQ(train("bad", {"model.layers=0", "predict.pictures=pictures"}), engine::kUsage);
  EXPECT_THAT(err.str(), HasSubstr("predict.pictures shows the attention of layers, but model.layers is 0"));
  EXPECT_EQ(train("bad", {"data.mean=0.1, 0.2"}), engine::kUsage);
  EXPECT_THAT(err.str(), HasSubstr("one number or one for each of 3 channels, got 2 and 1"));
  EXPECT_EQ(train("bad", {"data.held_out=80"}), engine::kUsage);
  EXPECT_THAT(err.str(), HasSubstr("data.held_out: hold out: must be below the number of samples, got 80 of 80"));
  EXPECT_EQ(train("bad", {"data.held_out=1.5"}), engine::kUsage);
  EXPECT_THAT(err.str(), HasSubstr("data.held_out must be a share below 1 or a whole number of images, got 1.5"));
  EXPECT_EQ(train("bad", {"data.holdout=20"}), engine::kUsage);
  EXPECT_THAT(err.str(), HasSubstr("data.held_out"));
  EXPECT_EQ(train("bad", {"augment.min_area=0.9", "augment.max_area=0.5"}), engine::kUsage);
  EXPECT_EQ(train("bad", {"data.source=folder"}), engine::kUsage);
  EXPECT_THAT(err.str(), HasSubstr("data.path must name the folder"));
  EXPECT_EQ(train("bad", {"data.source=folder", "data.path=" + scratch.path()}), engine::kData);
  EXPECT_THAT(err.str(), HasSubstr("found no folder train/"));
  EXPECT_EQ(train("bad", {"data.source=idx", "data.path=" + scratch.path()}), engine::kData);
  EXPECT_THAT(err.str(), HasSubstr("found neither train-images-idx3-ubyte"));
  EXPECT_EQ(train("bad", {"augment.mixupp=1"}), engine::kUsage);
  EXPECT_THAT(err.str(), HasSubstr("augment.mixup"));
}

}  // namespace
}  // namespace capstan::vit
