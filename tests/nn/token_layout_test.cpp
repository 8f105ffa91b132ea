#include "nn/token_layout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "autograd/core/error.h"

namespace capstan::nn {
namespace {

using Values = std::vector<double>;

TEST(TokenLayout, PackedHoldsRealTokensOnly) {
  const std::vector<std::int64_t> lengths{2, 1, 3};
  const TokenLayout left = token_layout(lengths, 4, true, Align::left), right = token_layout(lengths, 4, true, Align::right);
  EXPECT_EQ(left.tokens(), 6);
  EXPECT_EQ(left.real_tokens(), 6);
  EXPECT_EQ(left.offsets.to_vector(), (Values{0, 2, 3, 6}));
  EXPECT_EQ(left.positions.to_vector(), (Values{0, 1, 0, 0, 1, 2}));
  EXPECT_EQ(left.keys.to_vector(), (Values{0, 1, 4, 8, 9, 10}));
  EXPECT_EQ(right.positions.to_vector(), (Values{2, 3, 3, 1, 2, 3}));
  EXPECT_EQ(right.keys.to_vector(), (Values{2, 3, 7, 9, 10, 11}));
  EXPECT_EQ(right.first.to_vector(), (Values{0, 2, 3}));
  EXPECT_EQ(right.last.to_vector(), (Values{1, 2, 5}));
}

TEST(TokenLayout, PaddedHasTheSamePositionsAndKeys) {
  const std::vector<std::int64_t> lengths{2, 1, 3};
  for (const Align align : {Align::left, Align::right}) {
    const TokenLayout packed = token_layout(lengths, 4, true, align), padded = token_layout(lengths, 4, false, align);
    EXPECT_EQ(padded.tokens(), 12);
    EXPECT_EQ(padded.real_tokens(), 6);
    EXPECT_EQ(padded.padding.to_vector(),
              align == Align::left ? (Values{1, 1, 0, 0, 1, 0, 0, 0, 1, 1, 1, 0}) : (Values{0, 0, 1, 1, 0, 0, 0, 1, 0, 1, 1, 1}));
    const Values real = padded.real.to_vector(), positions = padded.positions.to_vector(), keys = padded.keys.to_vector();
    for (std::size_t i = 0; i < real.size(); ++i) {
      EXPECT_EQ(positions[static_cast<std::size_t>(real[i])], packed.positions.to_vector()[i]);
      EXPECT_EQ(keys[static_cast<std::size_t>(real[i])], packed.keys.to_vector()[i]);
    }
    for (std::size_t b = 0; b < 3; ++b) {
      EXPECT_EQ(positions[static_cast<std::size_t>(padded.first.to_vector()[b])],
                align == Align::left ? 0 : 4 - static_cast<double>(lengths[b]));
      EXPECT_EQ(padded.last.to_vector()[b] - padded.first.to_vector()[b] + 1, static_cast<double>(lengths[b]));
    }
  }
}

TEST(TokenLayout, APartHasTheKeysOfItsBatch) {
  const std::vector<std::int64_t> lengths{2, 4, 1, 3}, behind{1, 3};
  const auto tail = [](const Values& all, std::size_t count) { return Values(all.end() - static_cast<std::ptrdiff_t>(count), all.end()); };
  for (const Align align : {Align::left, Align::right})
    for (const bool packed : {true, false}) {
      const TokenLayout part = token_layout(behind, 4, packed, align, {.first = 2});
      const Values keys = part.keys.to_vector();
      EXPECT_EQ(keys, tail(token_layout(lengths, 4, packed, align).keys.to_vector(), keys.size()));
    }
  EXPECT_EQ(token_layout(behind, 3, true, Align::left, {.first = 2, .length = 4}).keys.to_vector(), (Values{8, 12, 13, 14}))
      << "of a batch with longer sequences";
}

TEST(TokenLayout, RefusesLengthsThatDoNotFit) {
  EXPECT_THROW(token_layout(std::vector<std::int64_t>{1}, 4, true, Align::left, {.length = 3}), ShapeError);
  EXPECT_THROW(token_layout(std::vector<std::int64_t>{5}, 4, true, Align::left), ShapeError);
  EXPECT_THROW(token_layout(std::vector<std::int64_t>{0}, 4, true, Align::left), ShapeError);
}

}  // namespace
}  // namespace capstan::nn
