// The loss by what was read, of a network whose logits are the place in the window.

#include "recipes/tasks/language_modelling/findings.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "nn/init.h"
#include "nn/parameter_store.h"

namespace capstan::language_modelling {
namespace {

TEST(LanguageFindings, LossFallsWithWhatWasRead) {
  nn::ParameterStore store;
  const Parameter output = store.root().parameter("output", {2, 1}, nn::zeros());
  output.write().span<float>()[1] = 1;  // logits of a token at place p: 0, p
  const Network network{.hidden =
                            [](const Batch& batch, const nn::Run&) {
                              Tensor h(Shape{batch.ids.numel(), 1});
                              for (std::int64_t i = 0; i < h.size(0); ++i)
                                h.span<float>()[static_cast<std::size_t>(i)] = static_cast<float>(i % batch.ids.size(1));
                              return h;
                            },
                        .output_weight = output};
  const std::vector<std::int32_t> text(50, 1);
  const auto loss = [](int place) { return std::log(1 + std::exp(-place)); };
  const auto points = loss_by_position(network, text, 8);
  // Groups of places: 0, 1, 2, 3, 4, 5, then 6 and 7. Their middles are counted from one token read.
  ASSERT_EQ(points.size(), 7U);
  for (int p = 0; p < 6; ++p) {
    EXPECT_EQ(points[static_cast<std::size_t>(p)].first, p + 1);
    EXPECT_NEAR(points[static_cast<std::size_t>(p)].second, loss(p), 1e-6);
  }
  EXPECT_EQ(points.back().first, 7.5);
  EXPECT_NEAR(points.back().second, (loss(6) + loss(7)) / 2, 1e-6);
  EXPECT_TRUE(loss_by_position(network, text, 50).empty()) << "no window has a token behind it";
  EXPECT_EQ(findings_of({{"once", "upon a time"}}, points).size(), 2U);
  EXPECT_TRUE(findings_of({}, {}).empty());
}

}  // namespace
}  // namespace capstan::language_modelling
