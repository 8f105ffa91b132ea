// Kernel regression through the command line: the published settings, resume to the bit, pictures, both forms.
#include "recipes/kernel_regression/recipe.h"

#include <string>

#include "data/synthetic/noisy_curve.h"
#include "tests/recipes/recipe_program.h"

namespace capstan::kernel_regression {
namespace {

using engine::test::text_of;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

struct KernelRegressionProgram : engine::test::RecipeProgram {
  KernelRegressionProgram() : RecipeProgram(kernel_regression::recipe(), CAPSTAN_SOURCE_DIR "/recipes/kernel_regression/d2l.cfg") {}
};

TEST_F(KernelRegressionProgram, KeepsThePromisesOfTheEngine) {
  prove({.settings = {"run.threads=1", "train.batch_size=10"}, .steps = 20, .stops = {3, 5}, .input = "1.5\n0\n"});
}

// The parametric form is nearer to the curve than the mean and than a kernel of width 1; the other form is that kernel.
TEST_F(KernelRegressionProgram, BothFormsAreMeasuredAndDrawn) {
  ASSERT_EQ(train_quickstart("run", {"run.threads=1"}), engine::kOk) << err.str();
  const std::string file = checkpoint("run"), curve = scratch / "curve.svg", attention = scratch / "attention.svg";
  ASSERT_EQ(capstan({"evaluate", "--checkpoint", file, "evaluate.curve=" + curve, "evaluate.attention=" + attention}), engine::kOk)
      << err.str();
  const double learned = metric("loss"), plain = metric("nonparametric/loss"), mean = metric("mean/loss");
  EXPECT_LT(learned, plain);
  EXPECT_LT(plain, mean);
  EXPECT_THAT(text_of(curve), AllOf(StartsWith("<svg"), HasSubstr("kernel regression, parametric"), HasSubstr(">known points</text>")));
  EXPECT_THAT(text_of(attention), AllOf(StartsWith("<svg"), HasSubstr(">x that is predicted</text>")));

  ASSERT_EQ(capstan({"evaluate", "--checkpoint", file, "model.form=nonparametric", "evaluate.curve=" + curve}), engine::kOk) << err.str();
  EXPECT_NEAR(metric("loss"), plain, 1e-6);
  EXPECT_THAT(text_of(curve), HasSubstr("kernel regression, non-parametric"));
}

TEST_F(KernelRegressionProgram, AnswersNumbersAndRefusesWhatIsNone) {
  ASSERT_EQ(train_quickstart("run", {"run.threads=1"}), engine::kOk) << err.str();
  ASSERT_EQ(capstan({"predict", "--checkpoint", checkpoint("run"), "--input", "-", "--output", "-"}, "1.5\nabout two\n"), engine::kOk);
  EXPECT_THAT(out.str(), HasSubstr("expected a number, found 'about two'"));
  EXPECT_NEAR(std::stod(out.str()), data::NoisyCurve::truth(1.5), 1);
  EXPECT_EQ(train_quickstart("other", {"model.form=nonparametric"}), engine::kUsage);
  EXPECT_THAT(err.str(), HasSubstr("there is nothing to train"));
}

TEST(NoisyCurve, IsDrawnFromItsSeed) {
  const auto curve = data::NoisyCurve::make({.points = 2000, .noise = .5, .seed = 3});
  EXPECT_EQ(curve.x, data::NoisyCurve::make({.points = 2000, .noise = 0, .seed = 3}).x);
  EXPECT_NE(curve.x, data::NoisyCurve::make({.points = 2000, .noise = .5, .seed = 4}).x);
  EXPECT_TRUE(std::ranges::is_sorted(curve.x));
  double mean = 0, square = 0;
  for (std::size_t i = 0; i < curve.x.size(); ++i) {
    const double noise = curve.y[i] - data::NoisyCurve::truth(curve.x[i]);
    mean += noise / 2000, square += noise * noise / 2000;
  }
  EXPECT_NEAR(mean, 0, .05);
  EXPECT_NEAR(square, .25, .03);
  EXPECT_GE(curve.x.front(), 0);
  EXPECT_LT(curve.x.back(), data::NoisyCurve::kEnd);
}

}  // namespace
}  // namespace capstan::kernel_regression
