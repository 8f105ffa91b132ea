// The self-test finds what it is there to find, says it, and leaves nothing behind. The whole of it is the test `selftest` of ctest.

#include "recipes/engine/selftest/selftest.h"

#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>

#include "autograd/ops/operators.h"
#include "recipes/engine/selftest/numeric_checks.h"
#include "recipes/engine/selftest/run_checks.h"
#include "tests/message_of.h"
#include "tests/recipes/engine/program.h"

namespace capstan::engine::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::StartsWith;

/// x^2 at one point, which goes wrong in one way.
enum class Fault { none, half_of_the_gradient, narrow_gradient, narrow_result, no_gradient };
NumericSample square(Fault fault) {
  return {"square", [fault](DType dtype, NumericSample::Size) {
            const Tensor x = make_leaf(Tensor::full({3}, 1.5, dtype));
            const auto value = [=] {
              const bool narrow = dtype != DType::f64;
              if (fault == Fault::half_of_the_gradient || (fault == Fault::narrow_gradient && narrow)) return x * x.detach();
              if (fault == Fault::narrow_result && narrow) return x * x + .01;
              return x * x;
            };
            Differentiable made{{x}, {"x"}, value};
            if (fault == Fault::no_gradient) {
              made.variables.push_back(make_leaf(Tensor::full({1}, 1, dtype)));
              made.names.emplace_back("y");
            }
            return made;
          }};
}

TEST(NumericChecks, FindWrongGradientsAndResults) {
  EXPECT_NO_THROW(check_numerically(square(Fault::none)));
  const auto message = [](Fault fault) { return message_of<CheckFailed>([&] { check_numerically(square(fault)); }); };
  EXPECT_THAT(message(Fault::half_of_the_gradient), StartsWith("gradient of x in f64, against differences, number 0 of 3: expected "));
  EXPECT_THAT(message(Fault::narrow_gradient), StartsWith("gradient of x in f32, against f64, number 0 of 3: expected "));
  EXPECT_THAT(message(Fault::narrow_result), MatchesRegex("result in f32, against f64, number 0 of 3: expected 2.25 within .*, got 2.26"));
  EXPECT_EQ(message(Fault::no_gradient), "expected a gradient of y, got none");
}

TEST(NumericChecks, CoverWhatRecipesAreMadeOf) {
  for (const SelfCheck& check : numeric_checks()) EXPECT_NO_THROW(check.run()) << check.name;
}

TEST(RunAll, SaysWhatFailedAndGoesOn) {
  std::ostringstream out;
  const std::vector<SelfCheck> checks{{"good", [] {}},
                                      {"bad", [] { throw CheckFailed("expected 1,\ngot 2"); }},
                                      {"worse", [] { throw std::runtime_error("unforeseen"); }},
                                      {"also good", [] {}}};
  EXPECT_EQ(run_all(checks, out), 2);
  EXPECT_THAT(out.str(),
              testing::ContainsRegex("^ok      good  \\([0-9.]+ s\\)\nFAILED  bad  \\([0-9.]+ s\\)\n        expected 1,\n        got 2\n"
                                     "FAILED  worse  .*\n        unforeseen\nok      also good"));
  // A full disk is not a fault of the program.
  EXPECT_THROW(run_all(std::vector<SelfCheck>{{"writes", [] { throw IoError("full"); }}}, out), IoError);
}

struct SelftestTest : ProgramTest {
  /// A program that is no `capstan`.
  std::string script(const std::string& text) {
    std::string path = scratch.write("script", "#!/bin/sh\n" + text);
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    return path;
  }
  std::string message_of_training(const std::string& text) {
    const std::vector<SelfCheck> checks = run_checks({.program = script(text), .config = "a/quickstart", .directory = scratch.path()});
    return message_of<CheckFailed>([&] { checks.at(0).run(); });
  }
};

TEST_F(SelftestTest, SaysWhatARunSaidThatFailed) {
  EXPECT_EQ(message_of_training("echo one; echo two >&2; exit 3"),
            "expected capstan train to end with 0, got 3; its last lines:\n  one\n  two");
  EXPECT_EQ(message_of_training("kill -SEGV $$"), "expected capstan train to end with 0, got 139; it said nothing");
  EXPECT_THROW(message_of_training("exit 4"), IoError);
  const std::string rows =
      "for a in \"$@\"; do case $a in run.dir=*) d=${a#run.dir=};; esac; done; mkdir -p $d; for i in $(seq 20); do echo "
      "\"{\\\"split\\\":\\\"train\\\",\\\"loss\\\":$i}\"; done >$d/metrics.jsonl";
  EXPECT_EQ(message_of_training(rows), "expected the loss to fall, got a mean of 3 over the first 5 steps and of 18 over the last 5");
}

TEST_F(SelftestTest, ComparesCheckpointsBitByBit) {
  ASSERT_EQ(train("linear", {"train.max_steps=2", "checkpoint.every=1"}), kOk) << err.str();
  EXPECT_NO_THROW(require_same_tensors(checkpoint(2), checkpoint(2)));
  EXPECT_THAT(message_of<CheckFailed>([&] { require_same_tensors(checkpoint(1), checkpoint(2)); }),
              AllOf(HasSubstr(", number 0 of "), HasSubstr(" as in the run that was left alone, got ")));
}

TEST_F(SelftestTest, TheTemporaryDirectoryIsTmpdirsAndGoes) {
  const char* const before = std::getenv("TMPDIR");
  const std::string kept = before != nullptr ? before : "";
  const auto in = [](const std::string& parent) { ::setenv("TMPDIR", parent.c_str(), 1); };
  in(scratch.path());
  std::string path;
  {
    const TemporaryDirectory directory(1);
    path = directory.path();
    EXPECT_THAT(path, StartsWith(scratch.path() + "/capstan-selftest-"));
    scratch.write(std::filesystem::path(path).filename().string() + "/file", "content");
  }
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_THAT(message_of<IoError>([] { TemporaryDirectory(1e18); }), HasSubstr("are free, 1000"));
  in(scratch / "none");
  EXPECT_EQ(message_of<IoError>([] { TemporaryDirectory(1); }),
            "no temporary directory in " + scratch / "none" + " (TMPDIR): No such file or directory");
  // What the system refuses is said, not what it refused before.
  const std::string file = scratch.write("file", "");
  in(file);
  errno = EROFS;
  EXPECT_EQ(message_of<IoError>([] { TemporaryDirectory(1); }), "no temporary directory in " + file + " (TMPDIR): Not a directory");
  before != nullptr ? in(kept) : static_cast<void>(::unsetenv("TMPDIR"));
}

TEST_F(SelftestTest, TakesNoArgumentsAndNeedsAQuickstart) {
  EXPECT_EQ(capstan({"selftest", "now"}), kUsage);
  EXPECT_THAT(err.str(), HasSubstr("selftest: takes no arguments, got 'now'"));
  EXPECT_EQ(capstan({"selftest"}), kIo);
  EXPECT_THAT(err.str(), HasSubstr("no configuration named quickstart in "));
}

}  // namespace
}  // namespace capstan::engine::test
