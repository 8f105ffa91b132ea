// The task with a network that is no vision transformer: batches as functions of their place, mixing, evaluation.

#include "recipes/tasks/image_classification/task.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "autograd/core/error.h"
#include "autograd/core/rng.h"
#include "data/sampler.h"
#include "recipes/engine/erased_recipe.h"
#include "recipes/engine/train/batch_stream.h"
#include "tests/data/scratch.h"
#include "tests/message_of.h"
#include "tests/recipes/tasks/image_classification/fixtures.h"

namespace capstan::image_classification {
namespace {

using engine::Split;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// All of a split.
std::vector<std::int64_t> places(const Task& task, Split split) {
  std::vector<std::int64_t> all(static_cast<std::size_t>(task.size(split)));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

/// What a batch holds, image by image.
struct Images {
  explicit Images(const Batch& batch) : samples(batch.samples.to_vector()) {
    const std::vector<double> all = batch.images.to_vector();
    const auto n = static_cast<std::ptrdiff_t>(all.size() / samples.size());
    for (auto at = all.begin(); at != all.end(); at += n) pixels.emplace_back(at, at + n);
  }
  std::vector<double> samples;
  std::vector<std::vector<double>> pixels;
};

TEST(ImageClassification, BatchesAreFunctionsOfTheirPlace) {
  Options c = shapes();
  c.augment = {.crop = data::TrainingCrop::resized_area,
               .flip = 0.5,
               .rand_layers = 2,
               .erase = 0.5,
               .mixup = 0.8,
               .cutmix = 1,
               .label_smoothing = 0.1};
  const auto make = [&] { return engine::ErasedRecipe<LinearTask>(c, {.seed = 3, .batch_size = 16}); };
  const auto mixing = make();
  engine::EpochOrder order(mixing);
  const auto batch = [&](std::int64_t epoch, std::int64_t number) {
    return engine::training_batch(mixing, order, epoch, number).as<Batch>();
  };
  const Batch first = batch(2, 1);
  batch(0, 0);  // another epoch's order in between
  const Batch again = batch(2, 1);
  EXPECT_EQ(first.images.to_vector(), again.images.to_vector());
  EXPECT_EQ(first.targets.to_vector(), again.targets.to_vector());
  EXPECT_NE(first.images.to_vector(), batch(2, 0).images.to_vector());
  EXPECT_NE(first.images.to_vector(), batch(3, 1).images.to_vector());
  EXPECT_EQ(batch(2, 3).size(), 2) << "50 images are three batches of 16 and one of 2";

  std::multiset<std::int64_t> seen;
  for (std::int64_t n = 0; n < 4; ++n)
    for (const double s : batch(5, n).samples.to_vector()) seen.insert(static_cast<std::int64_t>(s));
  EXPECT_EQ(seen.size(), 50u);
  EXPECT_EQ(std::set<std::int64_t>(seen.begin(), seen.end()).size(), 50u) << "an epoch shows every image once";
  for (std::int64_t i = 0; i < 16; ++i) {
    double sum = 0;
    for (std::int64_t k = 0; k < 6; ++k) sum += static_cast<double>(first.targets.span<const float>()[static_cast<std::size_t>(6 * i + k)]);
    EXPECT_NEAR(sum, 1, 1e-5);
  }
  c.augment.mixup = c.augment.cutmix = 0;
  const auto plain = make();
  engine::EpochOrder same(plain);
  EXPECT_FALSE(engine::training_batch(plain, same, 0, 0).as<Batch>().targets.defined());
}

TEST(ImageClassification, ABatchIsMixedByItsPlaceInTheEpoch) {
  Options c = shapes();
  c.augment.mixup = 1;
  nn::ParameterStore store;
  const LinearTask task(c, {.seed = 3, .batch_size = 4}, store.root());
  const std::vector<std::int64_t> images{7, 1, 8, 2};
  const auto targets = [&](std::int64_t first) {
    return task.batch({.split = Split::train, .epoch = 1, .first = first, .indices = images}).targets.to_vector();
  };
  EXPECT_EQ(targets(4), targets(4));
  EXPECT_NE(targets(4), targets(8));
}

TEST(ImageClassification, RepeatsShowAnImageSeveralTimesInARow) {
  Options c = shapes();
  c.augment = {.crop = data::TrainingCrop::resized_area, .flip = 0.5, .repeats = 3};
  const engine::ErasedRecipe<LinearTask> recipe(c, {.seed = 3, .batch_size = 16});
  engine::EpochOrder order(recipe);
  std::vector<double> numbers;  // images of an epoch, and of each repeat its own
  std::set<std::vector<double>> pixels;
  for (std::int64_t n = 0; n < recipe.batches_per_epoch(); ++n) {
    const Images batch(engine::training_batch(recipe, order, 2, n).as<Batch>());
    numbers.insert(numbers.end(), batch.samples.begin(), batch.samples.end());
    pixels.insert(batch.pixels.begin(), batch.pixels.end());
  }
  ASSERT_EQ(numbers.size(), 50u) << "an epoch keeps its length";
  EXPECT_EQ(pixels.size(), 50u) << "each time drawn anew";
  EXPECT_EQ(std::set<double>(numbers.begin(), numbers.end()).size(), 50u) << "dropout differs between repeats";
  const std::vector<std::int64_t> permuted = data::shuffled(50, 3, 2);
  for (std::size_t i = 0; i < 50; ++i) EXPECT_EQ(static_cast<std::int64_t>(numbers[i]) % 50, permuted[i / 3]) << i;
}

TEST(ImageClassification, RepeatsDependOnTheirPlaceAlone) {
  Options c = shapes();
  c.augment = {.crop = data::TrainingCrop::padded, .flip = 0.5, .mixup = 0.5, .repeats = 2};
  engine::ErasedRecipe<LinearTask> recipe(c, {.seed = 3, .batch_size = 15});
  engine::EngineOptions options;
  options.train.epochs = 3;
  const auto run = [&](std::int64_t workers, std::int64_t position) {  // of the second epoch
    options.loader.workers = workers;
    engine::BatchStream stream(recipe, 1, position, options);
    std::vector<std::vector<double>> batches;
    for (std::int64_t at = position; at < recipe.batches_per_epoch(); ++at)
      for (const engine::StepWork work = stream.next(1, at); const engine::Piece& piece : work.pieces)
        batches.push_back(piece.batch.as<Batch>().images.to_vector());
    return batches;
  };
  const auto whole = run(0, 0);
  ASSERT_EQ(whole.size(), 4u);
  EXPECT_EQ(run(3, 0), whole);
  const auto rest = run(2, 1);  // an image whose repeats lie on both sides of the border
  EXPECT_EQ(rest, std::vector(whole.begin() + 1, whole.end()));
}

TEST(ImageClassification, WithoutRepeatsAnImageIsDrawnOfSeedEpochAndIndex) {
  Options c = shapes();
  c.augment = {.crop = data::TrainingCrop::resized_area, .rand_layers = 2, .erase = 0.5};
  nn::ParameterStore store;
  const LinearTask task(c, {.seed = 3, .batch_size = 4}, store.root());
  const std::vector<std::int64_t> images{7, 1, 8, 2};
  const Batch batch = task.batch({.split = Split::train, .epoch = 5, .first = 8, .indices = images});
  const Dataset data(c.data, c.shapes, {});
  const data::ImagePipeline pipeline(c.pipeline(kForm));
  std::vector<float> all(4 * 3 * 256);
  for (std::size_t i = 0; i < 4; ++i)
    pipeline.for_training(data.read(Split::train, images[i]).view, random_key(3, "augment", {5, static_cast<std::uint64_t>(images[i])}),
                          std::span(all).subspan(i * 768, 768));
  EXPECT_EQ(batch.images.to_vector(), std::vector<double>(all.begin(), all.end()));
  EXPECT_THAT(batch.samples.to_vector(), ElementsAre(7, 1, 8, 2));
}

TEST(ImageClassification, OneImageOfABatchIsWhatTheBatchHolds) {
  for (const auto mode : {data::MixMode::batch, data::MixMode::image}) {
    Options c = shapes();
    c.augment = {
        .crop = data::TrainingCrop::resized_area, .flip = 0.5, .erase = 0.3, .mixup = 0.8, .cutmix = 1, .mix_mode = mode, .repeats = 2};
    const engine::Setup setup{.seed = 3, .batch_size = 5};
    const Dataset data(c.data, c.shapes, setup);
    const data::ImagePipeline pipeline(c.pipeline(kForm));
    const TrainingSource from{.data = data, .pipeline = pipeline, .augment = c.augment, .setup = setup};
    const std::vector<std::int64_t> images{7, 1, 1, 8, 8};
    for (std::int64_t epoch = 0; epoch < 6; ++epoch) {
      const engine::Samples samples{.split = Split::train, .epoch = epoch, .first = 5, .indices = images};
      const std::vector<double> whole = training_batch(from, samples).images.to_vector();
      for (std::int64_t i = 0; i < 5; ++i)
        EXPECT_EQ(training_image(from, samples, i).to_vector(), std::vector(whole.begin() + 768 * i, whole.begin() + 768 * (i + 1)));
    }
  }
}

TEST(ImageClassification, CountsWhatIsRecognised) {
  Options options = shapes();
  options.evaluate.per_class = true;
  nn::ParameterStore store;
  std::int64_t next = 0;
  const Task task(options, kForm, {.seed = 1, .batch_size = 5}, store.root(), [&](const nn::Scope&, std::int64_t classes) -> Network {
    EXPECT_EQ(classes, 6);
    // Test images: classes 2, 3, 4, 5, 0, 1, ... (62 images before them). Right for even classes; odd ones are taken for 0, the truth
    // comes second in the list.
    return {.logits = [&](const Tensor& images, const nn::Run&) {
      const Tensor logits = Tensor::zeros(Shape{images.size(0), 6});
      for (std::int64_t i = 0; i < images.size(0); ++i, ++next) {
        const std::int64_t truth = (62 + next) % 6;
        logits.span<float>()[static_cast<std::size_t>(6 * i + truth)] = 1;
        if (truth % 2 == 1) logits.span<float>()[static_cast<std::size_t>(6 * i)] = 2;
      }
      return logits;
    }};
  });
  Evaluation e = task.evaluation(Split::test);
  const auto all = places(task, Split::test);
  for (auto rest = std::span(all); !rest.empty(); rest = rest.subspan(std::min<std::size_t>(5, rest.size())))
    task.evaluate(task.batch({.split = Split::test, .indices = rest.first(std::min<std::size_t>(5, rest.size()))}), e, {});
  EXPECT_EQ(next, 18);
  const engine::Metrics metrics = engine::reported(e.accumulators());
  EXPECT_DOUBLE_EQ(engine::value_of(metrics, "accuracy"), 0.5);
  EXPECT_DOUBLE_EQ(engine::value_of(metrics, "top5_accuracy"), 1);
  const double even = std::log(std::exp(1) + 5) - 1, odd = std::log(std::exp(2) + std::exp(1) + 4) - 1;
  EXPECT_NEAR(engine::value_of(metrics, "loss"), (even + odd) / 2, 1e-6);
  EXPECT_DOUBLE_EQ(engine::value_of(metrics, "recall/cross"), 0);
  EXPECT_DOUBLE_EQ(engine::value_of(metrics, "recall/ring"), 1);
  EXPECT_EQ(e.confusion.count(3, 0), 3);
  EXPECT_DOUBLE_EQ(e.confusion.precision(0), 0.25);
}

TEST(ImageClassification, DeclaresWhatItCanCount) {
  const auto declared = [](std::int64_t classes, data::Broken broken) {
    Options o = shapes();
    o.shapes.classes = classes;
    o.data.broken = broken;
    nn::ParameterStore store;
    const LinearTask task(o, {.batch_size = 1}, store.root());
    Evaluation e = task.evaluation(Split::test);
    std::vector<std::string> names;
    for (const engine::MetricInfo& m : engine::declared(e.accumulators())) names.push_back(m.name);
    return names;
  };
  EXPECT_THAT(declared(6, data::Broken::refuse), ElementsAre("accuracy", "top5_accuracy", "loss"));
  EXPECT_THAT(declared(5, data::Broken::skip), ElementsAre("accuracy", "loss", "skipped_images"));
}

TEST(ImageClassification, ImagesThatStandInForBrokenOnesDoNotCount) {
  Options o = shapes();
  o.data.broken = data::Broken::skip;
  nn::ParameterStore store;
  const LinearTask task(o, {.batch_size = 3}, store.root());
  Evaluation e = task.evaluation(Split::test);
  const std::vector<std::int64_t> three{0, 1, 2};
  Batch batch = task.batch({.split = Split::test, .indices = three});
  EXPECT_THAT(message_of<DataError>([&] { task.evaluated(Split::test, e); }), HasSubstr("no image of the test part could be read"));
  batch.substitutes = {1, 0, 1};
  task.evaluate(batch, e, {});
  EXPECT_EQ(e.confusion.total(), 1);
  EXPECT_EQ(engine::value_of(engine::reported(e.accumulators()), "skipped_images"), 2);
  EXPECT_NO_THROW(task.evaluated(Split::test, e));
}

TEST(ImageClassification, WarnsOfAMeanOfBytes) {
  const auto warnings = [](double mean, double deviation) {
    Options o = shapes();
    o.data.mean = {mean};
    o.data.deviation = {deviation};
    nn::ParameterStore store;
    return LinearTask(o, {.batch_size = 1}, store.root()).data_report().warnings;
  };
  EXPECT_THAT(warnings(0.5, 1), testing::IsEmpty());
  EXPECT_THAT(warnings(123.7, 0.5), ElementsAre(HasSubstr("data.mean and data.deviation are for pixels in 0 .. 1")));
  EXPECT_THAT(warnings(0.5, 58), testing::SizeIs(1));
}

TEST(ImageClassification, PicturesNeedAttention) {
  const data::Scratch scratch;
  Options o = shapes();
  o.predict.pictures = scratch / "pictures";
  nn::ParameterStore store;
  EXPECT_THAT(message_of<ConfigError>([&] { LinearTask(o, {.batch_size = 1}, store.root()); }),
              HasSubstr("predict.pictures shows attention, which this model does not have"));
}

TEST(ImageClassification, ConfusionMatrixAsText) {
  engine::ConfusionMatrix a({"x", "y"}), b({"x", "y"});
  a.add(0, 0, 3);
  a.add(0, 1);
  b.add(1, 1, 4);
  a.merge(b);
  EXPECT_EQ(a.to_tsv(), "true\\predicted\tx\ty\trecall\nx\t3\t1\t0.75\ny\t0\t4\t1\nprecision\t1\t0.8\t0.875\n");
  EXPECT_TRUE(std::isnan(engine::ConfusionMatrix({"x", "y"}).accuracy()));
}

}  // namespace
}  // namespace capstan::image_classification
