// Samples of rotary positions, and what they are for; see op_table.h.

#include "autograd/ops/rotary.h"

#include <gtest/gtest.h>

#include <cmath>

#include "autograd/ops/operators.h"
#include "autograd/ops/reduce.h"
#include "tests/autograd/ops/op_table.h"

namespace capstan::testing {

template <>
struct Samples<ops::Rotary> {
  static std::vector<Sample<ops::Rotary>> good() {
    return {{.name = "a batch", .args = {}, .inputs = {uniform({2, 5, 3, 8})}},
            {.name = "one sequence, from a place", .args = {.base = 100, .first = 3}, .inputs = {uniform({4, 1, 6})}},
            {.name = "a pair", .args = {.base = 2, .first = 70}, .inputs = {uniform({2, 1, 2})}},
            {.name = "more axes", .args = {}, .inputs = {uniform({2, 1, 3, 2, 4})}},
            {.name = "no tokens", .args = {}, .inputs = {uniform({2, 0, 3, 4})}}};
  }
  static Sample<ops::Rotary> large() { return {.name = "large", .args = {.first = 5}, .inputs = {uniform({3, 150, 4, 64})}}; }
  static std::vector<BadSample<ops::Rotary>> bad() {
    return {{.name = "odd", .args = {}, .inputs = {uniform({2, 3, 5})}, .message = "with an even width: x f64[2, 3, 5]"},
            {.name = "rank", .args = {}, .inputs = {uniform({3, 4})}, .message = "x must be [..., tokens, heads, width]"},
            {.name = "base", .args = {.base = 0}, .inputs = {uniform({2, 3, 4})}, .message = "base 0"},
            {.name = "place", .args = {.first = -1}, .inputs = {uniform({2, 3, 4})}, .message = "first place -1"}};
  }
};

namespace {
[[maybe_unused]] const bool registered = register_family<ops::RotaryOps>();

TEST(Rotary, TurnsTheHalvesByTheFormula) {
  const Tensor x = Tensor::from({1.0, 2.0, 3.0, 4.0}, {1, 1, 4});
  const std::vector<double> y = rotary(x, 100, 3).to_vector();  // angles 3 and 3 / 10
  EXPECT_NEAR(y[0], std::cos(3) - 3 * std::sin(3), 1e-15);
  EXPECT_NEAR(y[2], 3 * std::cos(3) + std::sin(3), 1e-15);
  EXPECT_NEAR(y[1], 2 * std::cos(.3) - 4 * std::sin(.3), 1e-15);
  EXPECT_NEAR(y[3], 4 * std::cos(.3) + 2 * std::sin(.3), 1e-15);
}

TEST(Rotary, ProductsDependOnDistancesAlone) {
  const Tensor q = uniform({1, 1, 16}, -1, 1, 1), k = uniform({1, 1, 16}, -1, 1, 2);
  const auto score = [&](std::int64_t query, std::int64_t key) { return sum(rotary(q, 1e4, query) * rotary(k, 1e4, key)).item(); };
  EXPECT_NEAR(score(7, 2), score(905, 900), 1e-10);
  EXPECT_GT(std::abs(score(7, 2) - score(7, 3)), 1e-3);
}

}  // namespace
}  // namespace capstan::testing
