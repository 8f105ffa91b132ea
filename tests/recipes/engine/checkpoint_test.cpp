// Checkpoints: what is in them, what is refused, and that a whole one survives every fault.
#include "recipes/engine/checkpoint/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "autograd/core/rng.h"
#include "data/file.h"
#include "optim/adam.h"
#include "optim/sgd.h"
#include "recipes/engine/checkpoint/checkpoint_directory.h"
#include "tests/data/scratch.h"
#include "tests/recipes/engine/linear_recipe.h"

namespace capstan::engine {
namespace {

using data::Scratch;
using testing::ElementsAre;
using testing::HasSubstr;

nn::ParameterStore make_store(const std::vector<std::pair<std::string, Shape>>& shapes, std::uint64_t seed = 1) {
  nn::ParameterStore store(seed);
  for (const auto& [name, shape] : shapes)
    store.root().parameter(name, shape, [](const Tensor& t, std::uint64_t key) {
      Rng rng(key);
      for (float& v : t.span<float>()) v = static_cast<float>(rng.normal());
    });
  return store;
}
nn::ParameterStore usual_store(std::uint64_t seed = 1) { return make_store({{"encoder/0/weight", {3, 4}}, {"encoder/0/bias", {4}}}, seed); }

struct CheckpointTest : testing::Test {
  Scratch scratch;
  nn::ParameterStore store = usual_store();
  optim::Adam adam{store.parameters()};
  CheckpointMeta meta{.recipe = "linear", .config = "recipe = linear\n", .data_digest = "d", .threads = 2, .precision = "f32"};
  TrainState state;

  CheckpointTest() {
    std::vector<Gradient> gradients;
    for (const Parameter& p : store.parameters()) gradients.emplace_back(Tensor::full(p.value().shape(), 0.5));
    adam.step(gradients, 0.1);
    state.step = 7;
    state.epoch = 1;
    state.position = 3;
    state.best_step = 5;
    state.best_metric = 0.25;
    state.bad_validations = 2;
    state.items = 224;
    state.window = {1, 2, 3};
    state.kept = {{5, 0.25}, {7, std::nan("")}};
    state.guard = {
        .losses = {3, 2.5}, .norms = {1, 0.5}, .rewind_step = 6, .rewind_best = 5, .rewinds = 1, .left_out = {{0, 2, 0, 4}, {0, 9, 1, 3}}};
    state.recipe = {{"hidden", Tensor::full({2, 2}, 0.5)}, {"cursor", Tensor::from<std::int64_t>({9}, {1})}};
  }
  std::vector<std::byte> image() { return checkpoint_image(meta, store, &adam, state, {{"vocabulary", text_tensor("a b")}}); }
  std::string file(const std::string& name = "c.h5") {
    data::write_file_durably(scratch / name, image());
    return scratch / name;
  }
  template <class E = CheckpointError, class F>
  static std::string message(F f) {
    try {
      f();
    } catch (const E& e) {
      return e.what();
    }
    return "accepted";
  }
};

TEST_F(CheckpointTest, AFileOfAVersionWithoutGuardsIsRead) {
  const data::Hdf5Reader reader(file());
  data::Hdf5Writer out(1 << 20);
  const auto is_guard = [](const std::string& name) { return name.starts_with("/train/guard"); };
  for (const std::string& group : reader.groups()) {
    if (is_guard(group) || group == "/") continue;
    out.group(group);
    for (const auto& [name, value] : reader.attributes(group)) out.set(group, name, value);
  }
  for (const auto& e : reader.entries()) {
    if (is_guard(e.name)) continue;
    if (e.is_text) {
      out.write_text(e.name, reader.read_text(e.name));
    } else {
      out.write(e.name, reader.read(e.name));
    }
  }
  data::write_file_durably(scratch / "old.h5", out.finish());
  const TrainState s = Checkpoint(scratch / "old.h5").train_state();
  EXPECT_EQ(s.step, 7);
  EXPECT_THAT(s.guard.losses, ElementsAre());
  EXPECT_EQ(s.guard.rewind_step, -1);
}

TEST_F(CheckpointTest, EverythingComesBack) {
  const Checkpoint c(file());
  c.verify();
  EXPECT_EQ(c.meta().recipe, "linear");
  EXPECT_EQ(c.meta().config, "recipe = linear\n");
  EXPECT_EQ(c.meta().threads, 2);
  EXPECT_EQ(c.step(), 7);
  const TrainState s = c.train_state();
  EXPECT_EQ(s.epoch, 1);
  EXPECT_EQ(s.position, 3);
  EXPECT_EQ(s.bad_validations, 2);
  EXPECT_EQ(s.best_step, 5);
  EXPECT_EQ(s.best_metric, 0.25);
  EXPECT_EQ(s.items, 224);
  EXPECT_THAT(s.window, ElementsAre(1, 2, 3));
  ASSERT_EQ(s.kept.size(), 2u);
  EXPECT_EQ(s.kept[0].metric, 0.25);
  EXPECT_TRUE(std::isnan(s.kept[1].metric));
  EXPECT_THAT(s.guard.losses, ElementsAre(3, 2.5));
  EXPECT_THAT(s.guard.norms, ElementsAre(1, 0.5));
  EXPECT_THAT((std::vector{s.guard.rewind_step, s.guard.rewind_best, s.guard.rewinds}), ElementsAre(6, 5, 1));
  EXPECT_EQ(s.guard.left_out, state.guard.left_out);
  EXPECT_EQ(s.recipe.at("hidden").to_vector(), state.recipe.at("hidden").to_vector());
  EXPECT_EQ(s.recipe.at("cursor").dtype(), DType::i64);
  EXPECT_EQ(tensor_text(c.artifacts().at("vocabulary")), "a b");

  nn::ParameterStore other = usual_store(2);
  optim::Adam fresh(other.parameters());
  c.load(other, fresh);
  for (std::size_t i = 0; i < 2; ++i) EXPECT_EQ(other.parameters()[i].value().to_vector(), store.parameters()[i].value().to_vector());
  EXPECT_EQ(fresh.step_count(), 1);
  const auto mine = adam.state(), theirs = fresh.state();
  ASSERT_EQ(mine.size(), theirs.size());
  for (std::size_t i = 0; i < mine.size(); ++i) EXPECT_EQ(mine[i].value.to_vector(), theirs[i].value.to_vector()) << mine[i].slot;
}

TEST_F(CheckpointTest, NamesMayBeShort) {
  nn::ParameterStore small = make_store({{"w", {3}}, {"b", {1}}});
  optim::Adam optimizer(small.parameters());
  data::write_file_durably(scratch / "small.h5", checkpoint_image(meta, small, &optimizer, state, {}));
  nn::ParameterStore other = make_store({{"w", {3}}, {"b", {1}}}, 2);
  optim::Adam fresh(other.parameters());
  EXPECT_EQ(message([&] { Checkpoint(scratch / "small.h5").load(other, fresh); }), "accepted");
  EXPECT_EQ(other.find("w").value().to_vector(), small.find("w").value().to_vector());
}

TEST_F(CheckpointTest, HoldsAveragesAsTheModelAndTheWeightsBeside) {
  optim::WeightAverage average(store.parameters(), 0.9);
  store.parameters()[0].value().span<float>()[0] = 42;
  data::write_file_durably(scratch / "a.h5", checkpoint_image(meta, store, &adam, state, {}, &average));
  const Checkpoint c(scratch / "a.h5");
  const auto averaged = average.averages()[0].to_vector(), trained = store.parameters()[0].value().to_vector();

  nn::ParameterStore used = usual_store(2);
  c.load(used);
  EXPECT_EQ(used.parameters()[0].value().to_vector(), averaged) << "what evaluate and predict load";

  nn::ParameterStore resumed = usual_store(3);
  optim::Adam fresh(resumed.parameters());
  optim::WeightAverage restored(resumed.parameters(), 0.9);
  c.load(resumed, fresh, &restored);
  EXPECT_EQ(resumed.parameters()[0].value().to_vector(), trained);
  EXPECT_EQ(restored.averages()[0].to_vector(), averaged);

  c.load(used, fresh);  // a run that no longer averages
  EXPECT_EQ(used.parameters()[0].value().to_vector(), trained);
  Checkpoint(file("plain.h5")).load(resumed, fresh, &restored);  // one that begins to
  EXPECT_EQ(restored.averages()[0].to_vector(), trained);
}

TEST_F(CheckpointTest, OfBeforeFreezingLoadsAfterwards) {
  const Checkpoint c(file());
  const auto go_on = [](const nn::ParameterStore& parameters, optim::Adam& optimizer) {
    std::vector<Gradient> gradients;
    for (const Parameter& p : parameters.parameters()) gradients.emplace_back(Tensor::full(p.shape(), -0.25));
    optimizer.step(gradients, 0.1);
  };
  for (const bool frozen_first : {false, true}) {
    nn::ParameterStore resumed = usual_store(2);
    if (frozen_first) resumed.freeze("encoder/0/weight");
    optim::Adam fresh(resumed.parameters());
    if (!frozen_first) resumed.freeze("encoder/0/weight");
    c.load(resumed, fresh);
    const Parameter &weight = resumed.find("encoder/0/weight"), &bias = resumed.find("encoder/0/bias");
    const auto loaded = weight.value().to_vector(), bias_loaded = bias.value().to_vector();
    EXPECT_EQ(loaded, store.find("encoder/0/weight").value().to_vector());
    go_on(resumed, fresh);
    EXPECT_EQ(weight.value().to_vector(), loaded);
    EXPECT_NE(bias.value().to_vector(), bias_loaded);
    c.load(resumed, fresh);
    resumed.unfreeze("encoder");
    const auto expected = adam.state(), actual = fresh.state();
    ASSERT_EQ(actual.size(), expected.size()) << "what was saved of the weight has waited";
    for (std::size_t i = 0; i < expected.size(); ++i) {
      EXPECT_EQ(actual[i].slot + actual[i].parameter, expected[i].slot + expected[i].parameter);
      EXPECT_EQ(actual[i].value.to_vector(), expected[i].value.to_vector()) << actual[i].slot << " of " << actual[i].parameter;
    }
  }
  nn::ParameterStore frozen = usual_store(2);
  frozen.freeze("");
  optim::Sgd sgd(frozen.parameters());
  EXPECT_THAT(message([&] { c.load(frozen, sgd); }), HasSubstr("has the state of the optimiser adam"));
}

TEST_F(CheckpointTest, LoadingRefreshesNarrowCopiesInTheirMemory) {
  const Checkpoint c(file());
  nn::ParameterStore other = usual_store(2);
  optim::Adam fresh(other.parameters());
  const Parameter& weight = other.parameters()[0];
  const Tensor copy = weight.bf16().detach();
  const auto rounded = [](const Parameter& p) {
    std::vector<double> values = p.value().to_vector();
    for (double& v : values) v = static_cast<double>(static_cast<float>(bfloat16(static_cast<float>(v))));
    return values;
  };
  for (const bool with_state : {false, true}) {
    for (float& v : weight.write().span<float>()) v = 3;
    EXPECT_EQ(weight.bf16().to_vector(), rounded(weight));
    with_state ? c.load(other, fresh) : c.load(other);
    EXPECT_EQ(weight.bf16().to_vector(), rounded(store.parameters()[0]));
    EXPECT_TRUE(weight.bf16().storage().same_as(copy.storage()));
  }
}

TEST_F(CheckpointTest, LoadingListsEverythingThatDoesNotFitAndChangesNothing) {
  const Checkpoint c(file());
  nn::ParameterStore other = make_store({{"encoder/0/weight", {3, 5}}, {"decoder/bias", {4}}});
  optim::Adam fresh(other.parameters());
  const auto before = other.parameters()[0].value().to_vector();
  const std::string m = message([&] { c.load(other, fresh); });
  EXPECT_THAT(m, HasSubstr(c.path()));
  EXPECT_THAT(m, HasSubstr("missing: /model/decoder/bias f32[4]"));
  EXPECT_THAT(m, HasSubstr("unexpected: /model/encoder/0/bias f32[4]"));
  EXPECT_THAT(m, HasSubstr("of another shape or type: /model/encoder/0/weight: the model has f32[3, 5], the file f32[3, 4]"));
  EXPECT_THAT(m, HasSubstr("missing: /optimizer/"));
  EXPECT_EQ(other.parameters()[0].value().to_vector(), before);
}

TEST_F(CheckpointTest, AnotherOptimiserOrRecipeIsRefused) {
  const Checkpoint c(file());
  optim::Sgd sgd(store.parameters());
  EXPECT_THAT(message([&] { c.load(store, sgd); }), HasSubstr("unexpected: /optimizer/"));
  EXPECT_THAT(message([&] { c.require_recipe("sasrec"); }), HasSubstr("belongs to the recipe linear, not to sasrec"));
  data::Hdf5Writer w;
  w.write("/values", Tensor::zeros({2}));
  data::write_file_durably(scratch / "data.h5", w.finish());
  EXPECT_THAT(message([&] { Checkpoint x(scratch / "data.h5"); }), HasSubstr("is no checkpoint"));
  EXPECT_THROW(Checkpoint(scratch / "missing.h5"), IoError);
}

TEST_F(CheckpointTest, WeightsAloneDoNotResume) {
  data::write_file_durably(scratch / "w.h5", checkpoint_image(meta, store, nullptr, state, {}));
  const Checkpoint c(scratch / "w.h5");
  nn::ParameterStore other = usual_store(2);
  c.load(other);
  EXPECT_EQ(other.parameters()[0].value().to_vector(), store.parameters()[0].value().to_vector());
  EXPECT_THAT(message([&] { c.train_state(); }), HasSubstr("weights only"));
}

/// A line of /proc/self/status in bytes: VmRSS is what the process holds in memory, VmHWM the most it did.
std::int64_t resident_bytes(std::string_view which) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(which)) return std::stoll(line.substr(which.size() + 1)) * 1024;
  return 0;
}

TEST_F(CheckpointTest, UseTakesTheMemoryOfTheParametersAlone) {
  constexpr std::int64_t kMiB = 1 << 20;
  const std::string path = scratch / "large.h5";
  nn::ParameterStore large = make_store({{"a", {kMiB}}, {"b", {kMiB}}});
  {
    optim::Adam optimizer(large.parameters());
    data::write_file_durably(path, checkpoint_image(meta, large, &optimizer, state, {}));
  }
  ASSERT_GT(std::filesystem::file_size(path), 24 * kMiB) << "two moments stand beside the model";
  const auto expected = large.parameters()[1].value().to_vector();
  nn::ParameterStore used = make_store({{"a", {kMiB}}, {"b", {kMiB}}}, 2);
  release_unused_memory();
  std::ofstream reset("/proc/self/clear_refs");
  if (!(reset << "5" << std::flush)) GTEST_SKIP() << "the peak cannot be reset";
  [[maybe_unused]] const std::int64_t before = resident_bytes("VmRSS:");
  Checkpoint(path, Checkpoint::Reading::in_parts).load(used);
#ifndef __SANITIZE_THREAD__  // whose notes on each byte count, too
  EXPECT_LT(resident_bytes("VmHWM:") - before, 14 * kMiB);
#endif
  EXPECT_EQ(used.parameters()[1].value().to_vector(), expected);
}

TEST_F(CheckpointTest, AFlippedByteNamesFileAndTensor) {
  auto bytes = image();
  const auto weight = store.parameters()[0].value().span<float>();
  const auto at = std::search(bytes.begin(), bytes.end(), reinterpret_cast<const std::byte*>(weight.data()),
                              reinterpret_cast<const std::byte*>(weight.data() + weight.size()));
  ASSERT_NE(at, bytes.end());
  *(at + 5) ^= std::byte{1};
  data::write_file_durably(scratch / "flipped.h5", bytes);
  EXPECT_THAT(message([&] { Checkpoint c(scratch / "flipped.h5"); }),
              testing::AllOf(HasSubstr(scratch / "flipped.h5"), HasSubstr("damaged: /model/encoder/0/weight")));
}

TEST_F(CheckpointTest, TruncationsAndFlipsAreAlwaysRefused) {
  const auto good = image();
  Rng rng(random_key(3, "damage"));
  for (int i = 0; i < 24; ++i) {
    auto bytes = good;
    if (i % 2 == 0) {
      bytes.resize(rng.below(bytes.size()));
    } else {
      bytes[rng.below(bytes.size())] ^= static_cast<std::byte>(1u << rng.below(8));
    }
    data::write_file_durably(scratch / "damaged.h5", bytes);
    EXPECT_THAT(message([&] { Checkpoint c(scratch / "damaged.h5"); }), HasSubstr("damaged.h5")) << i;
  }
}

struct DirectoryTest : CheckpointTest {
  std::string path = scratch / "checkpoints";
  CheckpointOptions options{.every = 0, .every_minutes = 0, .keep_last = 2, .keep_best = 1};
  static void accept(const Checkpoint&) {}

  SaveReport save(CheckpointDirectory& d, std::int64_t step, double metric = std::nan(""), bool best = false) {
    state.step = step;
    state.kept = d.kept_with(step, metric);
    d.save({.image = image()}, step, metric, best);
    return d.collect(true).value();
  }
};

TEST_F(DirectoryTest, KeepsTheNewestAndTheBest) {
  CheckpointDirectory d(path, options, Goal::maximize);
  EXPECT_EQ(save(d, 1, 0.1, true).error, "");
  save(d, 2, 0.9, true);
  save(d, 3, 0.5);
  save(d, 4);
  save(d, 5, 0.2);
  EXPECT_THAT(d.steps(), ElementsAre(5, 4, 2));
  EXPECT_EQ(Checkpoint(d.best_file()).step(), 2);
  const auto bytes = data::read_file(path + "/LATEST.json");
  const std::string latest(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  EXPECT_THAT(latest, HasSubstr("\"file\":\"step-000000005.h5\""));
  EXPECT_THAT(latest, HasSubstr("\"step\":5,\"metric\":0.2"));
  EXPECT_THAT(latest, HasSubstr(to_text(data::digest_file(d.file_of(5)))));
  for (const auto& e : std::filesystem::directory_iterator(path)) EXPECT_EQ(e.path().string().find("unverified"), std::string::npos);

  std::vector<CheckpointDirectory::Rejected> rejected;
  CheckpointDirectory again(path, options, Goal::maximize);
  const auto newest = again.find_newest(accept, rejected);
  ASSERT_TRUE(newest);
  EXPECT_EQ(newest->step(), 5);
  again.resume_at(newest->train_state());
  std::vector<std::int64_t> kept;
  for (const KeptCheckpoint& k : again.kept_with(6, 0.3)) kept.push_back(k.step);
  EXPECT_THAT(kept, ElementsAre(2, 4, 5, 6)) << "files that are gone do not count";
  save(again, 6, 0.3);
  EXPECT_THAT(again.steps(), ElementsAre(6, 5, 2)) << "the best of before the resume is still known";
}

TEST_F(DirectoryTest, ResumeSetsLaterFilesAside) {
  CheckpointDirectory d(path, options, Goal::maximize);
  save(d, 1, 0.5, true);
  save(d, 2, 0.4);
  const TrainState at_one = Checkpoint(d.file_of(1)).train_state();
  CheckpointDirectory again(path, options, Goal::maximize);
  again.resume_at(at_one);
  EXPECT_THAT(again.steps(), ElementsAre(1));
  EXPECT_TRUE(std::filesystem::exists(d.file_of(2) + ".superseded"));
  const auto latest = [&] { return data::content(path + "/LATEST.json"); };
  EXPECT_THAT(latest(), testing::AllOf(HasSubstr("step-000000001.h5"), HasSubstr("\"metric\":0.5")));
  // A power cut between a second save of a step and LATEST.json leaves it with the digest of the first.
  const std::string right = latest();
  scratch.write("checkpoints/LATEST.json", "{\"file\":\"step-000000001.h5\",\"digest\":\"of an earlier save\"}");
  again.resume_at(at_one);
  EXPECT_EQ(latest(), right);
}

TEST_F(DirectoryTest, FindsTheNewestGoodOneAndTellsWhyOthersAreNot) {
  CheckpointDirectory d(path, options, Goal::maximize);
  save(d, 1);
  save(d, 2);
  std::filesystem::resize_file(d.file_of(2), 1000);
  std::vector<CheckpointDirectory::Rejected> rejected;
  const auto found = d.find_newest(accept, rejected);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->step(), 1);
  ASSERT_EQ(rejected.size(), 1u);
  EXPECT_EQ(rejected[0].path, d.file_of(2));
  EXPECT_THAT(rejected[0].reason, HasSubstr("cut short"));

  rejected.clear();
  EXPECT_THAT(message([&] { d.find_newest([](const Checkpoint& c) { c.require_recipe("other"); }, rejected); }),
              testing::AllOf(HasSubstr("no file can be resumed from"), HasSubstr("belongs to the recipe linear"), HasSubstr("cut short")));
  rejected.clear();
  EXPECT_FALSE(CheckpointDirectory(scratch / "empty", options, Goal::maximize).find_newest(accept, rejected));
}

TEST_F(DirectoryTest, LeftoversOfKilledSavesGo) {
  CheckpointDirectory d(path, options, Goal::maximize);
  save(d, 1);
  scratch.write("checkpoints/step-000000002.h5.unverified", "x");
  scratch.write("checkpoints/LATEST.json.tmp.123", "x");
  CheckpointDirectory again(path, options, Goal::maximize);
  EXPECT_FALSE(std::filesystem::exists(path + "/step-000000002.h5.unverified"));
  EXPECT_FALSE(std::filesystem::exists(path + "/LATEST.json.tmp.123"));
  EXPECT_THAT(again.steps(), ElementsAre(1));
}

TEST_F(DirectoryTest, AFullDiskLeavesOldFilesAndStopsAtTheThirdFailure) {
  CheckpointDirectory d(path, options, Goal::maximize);
  ASSERT_EQ(save(d, 1).error, "");
  const auto before = data::read_file(d.file_of(1));

  struct sigaction ignore {
  }, old{};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGXFSZ, &ignore, &old);
  rlimit limit{};
  ::getrlimit(RLIMIT_FSIZE, &limit);
  const rlimit small{.rlim_cur = 2000, .rlim_max = limit.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &small);
  const SaveReport first = save(d, 2), second = save(d, 3);
  std::string third;
  try {
    save(d, 4);
  } catch (const IoError& e) {
    third = e.what();
  }
  ::setrlimit(RLIMIT_FSIZE, &limit);
  ::sigaction(SIGXFSZ, &old, nullptr);

  EXPECT_THAT(first.error, HasSubstr("File too large"));
  EXPECT_FALSE(second.error.empty());
  EXPECT_THAT(third, HasSubstr("3 saves in a row have failed"));
  EXPECT_THAT(d.steps(), ElementsAre(1));
  EXPECT_EQ(data::read_file(d.file_of(1)), before);
  for (const auto& e : std::filesystem::directory_iterator(path)) EXPECT_EQ(e.path().string().find("unverified"), std::string::npos);
}

TEST_F(DirectoryTest, ASuccessBetweenFailuresStartsTheCountAgain) {
  CheckpointDirectory d(path, options, Goal::maximize);
  const std::string aside = path + ".aside";
  const auto fail = [&](std::int64_t step) {
    std::filesystem::rename(path, aside);
    const SaveReport r = save(d, step);
    std::filesystem::rename(aside, path);
    EXPECT_FALSE(r.error.empty());
  };
  fail(1);
  fail(2);
  EXPECT_EQ(save(d, 3).error, "");
  fail(4);
  fail(5);
  EXPECT_EQ(save(d, 6).error, "");
  EXPECT_THAT(d.steps(), ElementsAre(6, 3));
}

TEST_F(DirectoryTest, KillingASaveLeavesALoadableCheckpoint) {
  ASSERT_EQ(save(*std::make_unique<CheckpointDirectory>(path, options, Goal::maximize), 1).error, "");
  Rng rng(random_key(4, "kill"));
  for (int round = 0; round < 12; ++round) {
    const pid_t child = ::fork();
    if (child == 0) {
      try {
        CheckpointDirectory d(path, options, Goal::maximize);
        for (std::int64_t s = 2 + 1000 * round;; ++s) save(d, s);
      } catch (...) {
        ::_exit(1);
      }
    }
    ::usleep(static_cast<useconds_t>(2000 + rng.below(20000)));
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child must have been saving until it was killed";
    std::vector<CheckpointDirectory::Rejected> rejected;
    const auto found = CheckpointDirectory(path, options, Goal::maximize).find_newest(accept, rejected);
    EXPECT_TRUE(found);
    EXPECT_TRUE(rejected.empty());
  }
}

TEST_F(DirectoryTest, ARunDirectoryServesOneProcess) {
  const auto lock = std::make_unique<RunLock>(scratch.path());
  EXPECT_THAT(message<ConfigError>([&] { RunLock second(scratch.path()); }), HasSubstr("in use by process " + std::to_string(::getpid())));
}

TEST_F(DirectoryTest, AReadOnlyPlaceIsAnIoError) {
  scratch.write("file", "");
  EXPECT_THROW(CheckpointDirectory(scratch / "file/checkpoints", options, Goal::maximize), IoError);
}

}  // namespace
}  // namespace capstan::engine
