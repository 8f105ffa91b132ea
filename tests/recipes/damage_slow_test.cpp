// One damaged byte, or an end that is missing, in any file that a run leaves or reads: what uses it refuses it with the exit code for bad
// files, or gives the very same answers. Never other numbers, never a crash.
//
// A sample; CAPSTAN_DAMAGE=2000 damages each file that often (and cuts it a tenth as often).

#include <cstdlib>
#include <filesystem>

#include "autograd/core/rng.h"
#include "data/file.h"
#include "tests/recipes/bert/fixtures.h"

namespace capstan::bert {
namespace {

namespace fs = std::filesystem;
using Bytes = std::vector<std::byte>;

struct Damage : BertProgram {
  int rejected = 0, identical = 0;

  static std::uint64_t flips() {
    const char* const asked = std::getenv("CAPSTAN_DAMAGE");
    return asked != nullptr ? std::strtoull(asked, nullptr, 10) : 20;
  }

  /// The file with a byte changed (three quarters: a bit), or cut.
  static Bytes damaged(const Bytes& good, Rng& rng, bool cut) {
    Bytes bytes = good;
    if (cut) {
      bytes.resize(rng.below(bytes.size()));
    } else {
      const auto change = static_cast<std::byte>(rng.below(4) < 3 ? 1u << rng.below(8) : 1 + rng.below(255));
      bytes[rng.below(bytes.size())] ^= change;
    }
    return bytes;
  }

  /// `use` returns an exit code, and the answers in `answers`.
  void damage(const std::string& file, const std::vector<int>& codes, const std::function<int(std::string& answers)>& use) {
    const Bytes good = data::read_file(file);
    std::string expected;
    ASSERT_EQ(use(expected), engine::kOk) << err.str();
    Rng rng(random_key(11, "damage"));
    const std::uint64_t count = flips();
    for (std::uint64_t i = 0; i < count + count / 10; ++i) {
      data::write_file_durably(file, damaged(good, rng, i >= count));
      std::string answers;
      const int code = use(answers);
      if (code == engine::kOk) {
        EXPECT_EQ(answers, expected) << file << ", damage " << i << ": other numbers";
        ++identical;
      } else {
        EXPECT_THAT(codes, testing::Contains(code)) << file << ", damage " << i << ": " << err.str();
        ++rejected;
      }
    }
    data::write_file_durably(file, good);
    RecordProperty(fs::path(file).filename().string(), join_text(rejected, " rejected, ", identical, " identical"));
    std::cout << fs::path(file).filename().string() << ": " << rejected << " rejected, " << identical << " identical\n";
    rejected = identical = 0;
  }
};

TEST_F(Damage, OfACheckpoint) {
  ASSERT_EQ(train("run", {"train.max_steps=2"}), engine::kOk) << err.str();
  const std::string file = checkpoint("run");
  damage(file, {engine::kBadCheckpoint}, [&](std::string& answers) {
    const int code = capstan(
        {"predict", "--checkpoint", file, "--input", "-", "--output", "-", "predict.task=features", "predict.layers=-1"}, "the cat sat\n");
    answers = out.str();
    return code;
  });
}

TEST_F(Damage, OfAnExportedModel) {
  ASSERT_EQ(train("run", {"train.max_steps=2"}), engine::kOk) << err.str();
  const std::string file = scratch / "weights.safetensors";
  ASSERT_EQ(capstan({"export", checkpoint("run"), file}), engine::kOk) << err.str();
  damage(file, {engine::kData, engine::kBadCheckpoint}, [&](std::string& answers) {
    fs::remove_all(scratch / "next");
    const int code = train("next", {"train.max_steps=1", "init.from=" + file});
    if (code == engine::kOk)
      for (const auto& [name, values] : tensors(checkpoint("next"))) answers += join_text(name, " ", testing::PrintToString(values), "\n");
    return code;
  });
}

TEST_F(Damage, OfPreparedData) {
  ASSERT_EQ(train("run", {"train.max_steps=1"}), engine::kOk) << err.str();
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(scratch / "prepared"))
    if (entry.is_regular_file()) files.push_back(entry.path().string());
  ASSERT_GT(files.size(), 1u);
  for (const std::string& file : files) {
    damage(file, {engine::kData}, [&](std::string& answers) {
      fs::remove_all(scratch / "next");
      const int code = train("next", {"train.max_steps=1"});
      if (code == engine::kOk)
        for (const auto& [name, values] : tensors(checkpoint("next")))
          answers += join_text(name, " ", testing::PrintToString(values), "\n");
      return code;
    });
  }
}

}  // namespace
}  // namespace capstan::bert
