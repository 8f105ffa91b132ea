// The SASRec network in each of its forms. Its numbers: tests/recipes/tasks/next_item, tests/recipes/formats.
#include "nn/models/sasrec.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/nn/gradient_check.h"

namespace capstan::nn {
namespace {

// Numbers for which no input of a relu is within the steps of the check from its kink.
TEST(Sasrec, HasRightGradientsInEveryForm) {
  for (const SasrecNorm form : {SasrecNorm::query, SasrecNorm::post, SasrecNorm::pre})
    for (const bool projection : {false, true}) {
      const auto build = [&](const Scope& scope) -> LayerFunction {
        const SasrecOptions o{
            .max_length = 3, .hidden_size = 6, .blocks = 2, .heads = 2, .norm = form, .output_projection = projection, .dropout = .2};
        return [m = Sasrec(scope, 4, o)](Inputs) {
          const TokenLayout layout = token_layout(std::vector<std::int64_t>{3, 2}, 3, /*packed=*/true, Align::right);
          return m.hidden(Tensor::from<std::int64_t>({1, 4, 2, 3, 1}, {5}), layout,
                          {.training = true, .seed = 3, .token_ids = layout.keys});
        };
      };
      EXPECT_EQ(gradient_errors(build, {}), "") << static_cast<int>(form) << projection;
    }
}

TEST(Sasrec, AProjectionIsAParameterOfEachBlock) {
  ParameterStore store;
  const Sasrec model(store.root(), 4, {.hidden_size = 4, .blocks = 1, .output_projection = true});
  EXPECT_EQ(store.find("blocks/0/output/weight").shape(), (Shape{4, 4}));
}

}  // namespace
}  // namespace capstan::nn
