// `capstan verify`: what is whole is said to be, what is not is named with its reason and exit code.
#include "recipes/engine/command/verify.h"

#include <unistd.h>

#include "data/npz.h"
#include "data/safetensors.h"
#include "recipes/engine/checkpoint/checkpoint_directory.h"
#include "tests/recipes/engine/program.h"

namespace capstan::engine::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

struct VerifyTest : ProgramTest {
  /// A run with checkpoints of steps 5, 8 and 10.
  void trained() { ASSERT_EQ(train("linear", {"train.max_steps=10", "checkpoint.every=4", "checkpoint.keep_last=3"}), kOk) << err.str(); }
  int verify(const std::string& path) { return capstan({"verify", path}); }
  void flip(const std::string& path, std::size_t at) const {
    auto bytes = data::read_file(path);
    bytes.at(at) ^= std::byte{4};
    data::write_file_durably(path, bytes);
  }
  void append(const std::string& path, const std::string& text) const { std::ofstream(path, std::ios::app) << text; }
};

TEST_F(VerifyTest, ARunThatIsWhole) {
  trained();
  EXPECT_EQ(verify(run), kOk) << out.str() << err.str();
  EXPECT_THAT(out.str(), AllOf(HasSubstr("ok   " + run + "/config.cfg: configuration of linear"),
                               HasSubstr("ok   " + checkpoint(10) + ": checkpoint of linear, step 10"),
                               HasSubstr("best.h5: another name of step-"), HasSubstr("LATEST.json: names step-000000010.h5"),
                               HasSubstr("metrics.jsonl: "), HasSubstr(" ok, 0 BAD\n"), Not(HasSubstr("BAD  "))));
  EXPECT_EQ(verify(run + "/checkpoints"), kOk) << out.str();
  EXPECT_EQ(verify(checkpoint(5)), kOk) << out.str();
  EXPECT_THAT(out.str(), HasSubstr("\n1 file: 1 ok, 0 BAD\n"));
}

TEST_F(VerifyTest, StatesThatAKilledRunLeavesAreNoFault) {
  trained();
  scratch.write("run/checkpoints/step-000000012.h5.unverified.tmp.77", "x");
  scratch.write("run/config.cfg.tmp.77", "x");
  std::filesystem::remove(checkpoint(10));  // as if the kill had come before LATEST.json named another
  std::filesystem::copy_file(checkpoint(8), checkpoint(10) + ".superseded");
  {
    const RunLock lock(run);
    EXPECT_EQ(verify(run), kBadCheckpoint) << "a superseded file under the name of another step";
    EXPECT_THAT(out.str(), AllOf(HasSubstr("run.lock: process " + std::to_string(::getpid()) + " is at work here"),
                                 HasSubstr("step-000000012.h5.unverified.tmp.77: an unfinished file, 1 B: being written, or left"),
                                 HasSubstr("BAD  " + checkpoint(10) + ".superseded: is of step 8")));
  }
  std::filesystem::rename(checkpoint(10) + ".superseded", checkpoint(8) + ".superseded");
  EXPECT_EQ(verify(run), kBadCheckpoint);
  EXPECT_THAT(out.str(), HasSubstr("BAD  " + run + "/checkpoints/LATEST.json: names step-000000010.h5, which is not there"));
  ASSERT_EQ(train("linear", {"train.max_steps=10", "--resume", "auto"}), kOk) << err.str();
  EXPECT_EQ(verify(run), kOk) << out.str();
  EXPECT_THAT(out.str(), Not(HasSubstr("unfinished"))) << "the next run removes them, in the run's own folder too";
}

TEST_F(VerifyTest, NamesWhatIsBad) {
  trained();
  const std::string file = checkpoint(8), latest = run + "/checkpoints/LATEST.json", rows = run + "/metrics.jsonl";
  const auto good = data::read_file(file);
  flip(file, good.size() / 2);
  EXPECT_EQ(verify(run), kBadCheckpoint);
  EXPECT_THAT(out.str(), AllOf(HasSubstr("BAD  " + file + ": "), HasSubstr("ok   " + checkpoint(5)), HasSubstr(" 1 BAD\n")));
  std::filesystem::copy_file(file, scratch / "moved.h5");
  EXPECT_EQ(verify(scratch / "moved.h5"), kBadCheckpoint) << "a checkpoint under any name";
  data::write_file_durably(file, std::span(good).first(good.size() / 3));
  EXPECT_EQ(verify(file), kBadCheckpoint);
  EXPECT_THAT(out.str(), HasSubstr("cut short"));
  data::write_file_durably(file, good);

  scratch.write("run/checkpoints/LATEST.json", R"({"file":"step-000000008.h5","bytes":5,"digest":"x","step":8})");
  EXPECT_EQ(verify(run), kBadCheckpoint);
  EXPECT_THAT(out.str(), HasSubstr("BAD  " + latest + ": says that step-000000008.h5 has 5 bytes"));
  scratch.write("run/checkpoints/LATEST.json", R"({"file":"step-000000010.h5","bytes":5,"digest":"x","step":10})");
  EXPECT_EQ(verify(run), kOk);
  EXPECT_THAT(out.str(), HasSubstr("of an earlier save of step-000000010.h5: the run ended within a save"));
  scratch.write("run/checkpoints/LATEST.json", "{");
  EXPECT_EQ(verify(run), kData);
  std::filesystem::remove(latest);

  append(rows, R"({"step":11,"loss":)");
  EXPECT_EQ(verify(run), kData);
  EXPECT_THAT(out.str(), HasSubstr("BAD  " + rows));
  ASSERT_EQ(train("linear", {"train.max_steps=10", "checkpoint.every=4", "--resume", "auto"}), kOk) << err.str();
  append(run + "/config.cfg", "nonsense = 1\n");
  EXPECT_EQ(verify(run), kData);
  EXPECT_THAT(out.str(), HasSubstr("BAD  " + run + "/config.cfg: "));
}

TEST_F(VerifyTest, OtherFilesByTheirKinds) {
  data::write_npz(scratch / "a.npz", std::vector<data::NamedTensor>{{"x", Tensor::from({1.f, 2.f}, {2})}});
  data::write_safetensors(scratch / "a.safetensors", std::vector<data::NamedTensor>{{"x", Tensor::from({1.f, 2.f}, {2})}});
  data::write_npy(scratch / "a.npy", Tensor::from({1.f, 2.f}, {2}));
  data::Hdf5Writer writer;
  writer.write("/x", Tensor::from({1.f, 2.f, 3.f}, {3}));
  data::write_file_durably(scratch / "a.h5", writer.finish());
  scratch.write("a.json", "[1]");
  scratch.write("notes.txt", "of no known kind");
  EXPECT_EQ(verify(scratch.path()), kOk) << out.str();
  EXPECT_THAT(out.str(), AllOf(HasSubstr("a.npz: 1 array"), HasSubstr("a.safetensors: 1 tensor, "), HasSubstr("a.npy: array"),
                               HasSubstr("a.h5: data, 1 dataset"), HasSubstr("a.json: JSON"), HasSubstr("5 files: 5 ok, 0 BAD")));
  for (const char* name : {"a.npz", "a.safetensors", "a.npy", "a.h5"}) {
    const std::string path = scratch / name;
    const auto good = data::read_file(path);
    data::write_file_durably(path, std::span(good).first(good.size() - 3));
    EXPECT_EQ(verify(path), kData) << name;
    EXPECT_THAT(out.str(), HasSubstr("BAD  " + path + ": "));
    data::write_file_durably(path, good);
  }
  flip(scratch / "a.npz", 150);
  EXPECT_EQ(verify(scratch / "a.npz"), kData) << out.str();
  EXPECT_EQ(verify(scratch / "none.h5"), kIo);
  EXPECT_THAT(out.str(), HasSubstr("BAD  " + (scratch / "none.h5") + ": there is no such file"));
  EXPECT_EQ(verify(scratch / "notes.txt"), kUsage);
  EXPECT_THAT(err.str(), HasSubstr("is no file of a known kind"));
  std::filesystem::create_directories(scratch / "empty");
  EXPECT_EQ(verify(scratch / "empty"), kUsage);
  EXPECT_EQ(capstan({"verify"}), kUsage);
  EXPECT_EQ(capstan({"verify", "--json"}), kUsage);
}

TEST_F(VerifyTest, AModelDirectory) {
  const std::string golden = CAPSTAN_SOURCE_DIR "/tests/goldens/foreign/bert_classification", model = scratch / "model";
  std::filesystem::copy(golden, model);
  EXPECT_EQ(verify(model), kOk) << out.str();
  EXPECT_THAT(out.str(), AllOf(HasSubstr("config.json: JSON"), HasSubstr("model.safetensors: "), HasSubstr("vocab.txt: vocabulary of ")));
  const auto weights = data::read_file(model + "/model.safetensors");
  data::write_file_durably(model + "/model.safetensors", std::span(weights).first(weights.size() - 1));
  scratch.write("model/vocab.txt", "");
  EXPECT_EQ(verify(model), kData);
  EXPECT_THAT(out.str(), AllOf(HasSubstr("BAD  " + model + "/model.safetensors"), HasSubstr("BAD  " + model + "/vocab.txt")));
  scratch.write("model/config.json", "{");
  EXPECT_EQ(verify(model), kData);
  EXPECT_THAT(out.str(), HasSubstr("BAD  " + model + "/config.json"));
}

}  // namespace
}  // namespace capstan::engine::test
