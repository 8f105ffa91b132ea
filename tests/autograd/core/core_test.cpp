#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "autograd/core/error.h"
#include "autograd/core/nearest_name.h"
#include "autograd/core/rng.h"
#include "autograd/core/storage.h"
#include "autograd/core/tensor.h"
#include "tests/message_of.h"

namespace capstan {
namespace {

TEST(Require, FormatsPartsOnlyOnFailure) {
  EXPECT_NO_THROW(require(true, "never"));
  const std::string text = message_of<ShapeError>([] {
    require(false, "op: x ", Shape{2, 3}, ", ", 4, ' ', 0.5, " ", DType::bf16, " ", true);
  });
  EXPECT_EQ(text, "op: x [2, 3], 4 0.5 bf16 true");
}

TEST(NearestName, IsWithinTwoEditsOrHasTheSameLastPart) {
  const std::vector<std::string> known{"train.steps", "train.seed", "optimizer.lr", "bert/base"};
  EXPECT_EQ(nearest_name("train.setps", known), "train.steps") << "neighbours swapped are one edit";
  EXPECT_EQ(nearest_name("model.lr", known), "optimizer.lr");
  EXPECT_EQ(nearest_name("vit/base", known), "bert/base");
  EXPECT_EQ(nearest_name("nothing_like_it", known), "");
  EXPECT_EQ(suggestion("train.sed", known), "; did you mean 'train.seed'?");
  EXPECT_EQ(suggestion("nothing_like_it", known), "");
}

TEST(Bfloat16, RoundsToNearestEven) {
  const auto bits = [](float v) { return bfloat16(v).bits; };
  EXPECT_EQ(bits(1.0f), 0x3f80);
  EXPECT_EQ(bits(3.14159274f), 0x4049);
  EXPECT_EQ(bits(-0.1f), 0xbdcd);
  EXPECT_EQ(bits(1.00390625f), 0x3f80);
  EXPECT_EQ(bits(1.01171875f), 0x3f82);
  EXPECT_EQ(bits(std::numeric_limits<float>::infinity()), 0x7f80);
  EXPECT_TRUE(std::isnan(static_cast<float>(bfloat16(std::numeric_limits<float>::quiet_NaN()))));
  EXPECT_TRUE(std::isnan(static_cast<float>(bfloat16(std::bit_cast<float>(0x7f800001u)))));  // a NaN whose upper half alone is infinity
  EXPECT_EQ(static_cast<float>(bfloat16(std::bit_cast<float>(0x7f7fffffu))), std::numeric_limits<float>::infinity());
}

TEST(Shape, CountsElementsAndNegativeAxes) {
  const Shape s{2, 3, 4};
  EXPECT_EQ(s.numel(), 24);
  EXPECT_EQ(s[-1], 4);
  EXPECT_EQ(s.without(1), (Shape{2, 4}));
  EXPECT_EQ(s.inserted(-1, 7), (Shape{2, 3, 4, 7}));
  EXPECT_EQ(s.inserted(0, 7), (Shape{7, 2, 3, 4}));
  EXPECT_EQ(s.with(-3, 5), (Shape{5, 3, 4}));
  EXPECT_EQ(s.sub(1, 3), (Shape{3, 4}));
  EXPECT_EQ(Shape{}.numel(), 1);
  EXPECT_EQ((Shape{5, 0, 3}).numel(), 0);
  EXPECT_NE(message_of<ShapeError>([&] { s[3]; }).find("axis 3 of [2, 3, 4]"), std::string::npos);
}

TEST(Shape, RefusesOverflowNegativeSizesAndTooManyAxes) {
  const std::int64_t big = std::int64_t{1} << 32;
  EXPECT_THROW((Shape{big, big}), ShapeError);
  EXPECT_THROW((Shape{big, big, 0}), ShapeError) << "a zero must not hide an overflow";
  EXPECT_THROW((Shape{-1}), ShapeError);
  EXPECT_THROW((Shape{1, 1, 1, 1, 1, 1, 1, 1, 1}), ShapeError);
  EXPECT_THROW(Tensor(Shape{std::int64_t{1} << 61}, DType::f64), ShapeError) << "bytes overflow";
}

TEST(Shape, BroadcastsByTheRuleOfNumpy) {
  EXPECT_EQ(broadcast("add", {2, 1, 4}, {3, 1}), (Shape{2, 3, 4}));
  EXPECT_EQ(broadcast("add", {}, {3}), (Shape{3}));
  EXPECT_EQ(broadcast("add", {0}, {1}), (Shape{0}));
  EXPECT_NE(message_of<ShapeError>([] { broadcast("add", {2, 3}, {2, 4}); }).find("axis -1 has 3 and 4"), std::string::npos);
  EXPECT_TRUE(broadcasts_to({3, 1}, {2, 3, 4}));
  EXPECT_FALSE(broadcasts_to({2, 3, 4}, {3, 4}));
}

TEST(Layout, ViewsReachTheRightElements) {
  const Tensor t = Tensor::from<double>({0, 1, 2, 3, 4, 5}, {2, 3});
  EXPECT_EQ(t.view(t.layout().transpose(0, 1)).to_vector(), (std::vector<double>{0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(t.view(t.layout().slice(1, 1, 2)).to_vector(), (std::vector<double>{1, 2, 4, 5}));
  EXPECT_EQ(t.view(t.layout().slice(1, 0, 2, 2)).to_vector(), (std::vector<double>{0, 2, 3, 5}));
  EXPECT_EQ(t.view(t.layout().slice(0, 1, 1).expand({2, 1, 3})).to_vector(), (std::vector<double>{3, 4, 5, 3, 4, 5}));
  EXPECT_THROW(t.layout().slice(1, 2, 2), ShapeError);
  const std::array<int, 2> twice{0, 0};
  EXPECT_THROW(t.layout().permute(twice), ShapeError);
}

TEST(Layout, ReshapeKeepsAViewWhereStridesAllowIt) {
  const Layout base(Shape{4, 6, 5});
  const auto merged = base.slice(2, 1, 3).reshape({2, 2, 6, 3});
  ASSERT_TRUE(merged);
  EXPECT_EQ(merged->stride(0), 60);
  EXPECT_EQ(merged->stride(1), 30);
  EXPECT_EQ(merged->offset(), 1);
  EXPECT_FALSE(base.slice(2, 1, 3).reshape({4, 18})) << "rows with gaps cannot merge";
  EXPECT_FALSE(base.transpose(0, 1).reshape({24, 5}));
  EXPECT_TRUE(base.transpose(0, 1).reshape({6, 2, 2, 5}));
  EXPECT_THROW(base.reshape({7}), ShapeError);
  const Tensor t = Tensor::from<double>({0, 1, 2, 3, 4, 5, 6, 7}, {2, 4});
  const auto pairs = t.layout().transpose(0, 1).reshape({2, 2, 2});
  ASSERT_TRUE(pairs);
  EXPECT_EQ(t.view(*pairs).to_vector(), t.view(t.layout().transpose(0, 1)).to_vector());
}

// Every reshape that yields a layout must enumerate the same elements in the same order.
TEST(Layout, ReshapeOfAnyViewKeepsTheOrderOfElements) {
  const Shape targets[] = {{24},      {2, 12},   {12, 2},   {3, 8},  {8, 3},  {4, 6},     {6, 4},
                           {2, 3, 4}, {4, 3, 2}, {3, 2, 4}, {1, 24}, {24, 1}, {2, 1, 12}, {2, 2, 2, 3}};
  Tensor memory(Shape{48}, DType::i32);
  for (int i = 0; i < 48; ++i) memory.data<std::int32_t>()[i] = i;
  int views = 0;
  for (const Shape& from : targets)
    for (int a = 0; a < from.rank(); ++a)
      for (int b = a; b < from.rank(); ++b) {
        const Tensor x = memory.view(Layout(from.with(-1, from[-1] * 2)).slice(from.rank() - 1, 0, from[-1]).transpose(a, b));
        for (const Shape& to : targets)
          if (const auto layout = x.layout().reshape(to)) {
            ++views;
            EXPECT_EQ(memory.view(*layout).to_vector(), x.to_vector()) << to_text(from) << " " << a << b << " " << to_text(to);
          }
      }
  EXPECT_GT(views, 100);
}

TEST(Tensor, CopiesShareAndClonesDoNot) {
  const Tensor a = Tensor::full({3}, 1.0);
  const Tensor b = a, c = a.clone();
  a.data<float>()[0] = 7;
  EXPECT_EQ(b.to_vector()[0], 7);
  EXPECT_EQ(c.to_vector()[0], 1);
  EXPECT_FALSE((std::is_assignable_v<Tensor&&, const Tensor&>)) << "f() = x must not compile";
}

TEST(Tensor, NamesTheElementTypesThatDiffer) {
  const Tensor a(Shape{2}, DType::f32);
  EXPECT_NE(message_of<DTypeError>([&] { a.data<double>(); }).find("elements are f32, asked for f64"), std::string::npos);
  EXPECT_THROW(a.item(), ShapeError);
  EXPECT_THROW((Tensor::from<float>({1, 2, 3}, {2})), ShapeError);
}

TEST(Arena, HandsFreedBlocksOutAgain) {
  const auto* first = Storage(100'000).data();
  const Storage second(100'001);  // the same size class
  EXPECT_EQ(second.data(), first);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(second.data()) % 64, 0u);
}

TEST(Arena, CountsLiveAndPeakBytes) {
  const MemoryStats before = memory_stats();
  reset_peak_memory();
  {
    const Storage a(1 << 20), b(1 << 20);
    EXPECT_GE(memory_stats().live, before.live + (2u << 20));
  }
  EXPECT_EQ(memory_stats().live, before.live);
  EXPECT_GE(memory_stats().peak_live, before.live + (2u << 20));
  EXPECT_EQ(memory_stats().handed_out, before.handed_out + (2u << 20));
  release_unused_memory();
  EXPECT_LE(memory_stats().reserved, memory_stats().live + (4u << 20)) << "all but parts of pages that hold a block";
}

TEST(Arena, ReusesASmallBlockUpToTwiceAsLarge) {
  release_unused_memory();
  const std::byte* const block = Storage(500'000).data();
  const Storage smaller(300'000);
  EXPECT_EQ(smaller.data(), block);
  EXPECT_NE(Storage(300'000).data(), block);
  const std::byte* const other = Storage(500'000).data();
  EXPECT_NE(Storage(100'000).data(), other) << "one that is much smaller would waste it";
}

#ifndef __SANITIZE_ADDRESS__  // which gives every block memory of its own
TEST(Arena, CutsLargeBlocksFromMemoryThatGrowsTogetherAgain) {
  constexpr std::size_t kMiB = 1 << 20;
  release_unused_memory();
  const std::byte* const whole = Storage(60 * kMiB).data();
  const std::size_t reserved = memory_stats().reserved;
  std::vector<Storage> pieces;
  for (int i = 0; i < 6; ++i) {
    pieces.emplace_back(10 * kMiB);
    EXPECT_GE(pieces.back().data(), whole);
    EXPECT_LE(pieces.back().data(), whole + 50 * kMiB);
  }
  for (const std::size_t i : {1u, 3u, 0u, 5u, 4u, 2u}) pieces[i] = Storage();  // neighbours before, behind, and both
  EXPECT_EQ(Storage(60 * kMiB).data(), whole);
  EXPECT_EQ(memory_stats().reserved, reserved);
  release_unused_memory();
  EXPECT_LE(memory_stats().reserved, reserved - 60 * kMiB);
}
#endif

TEST(Arena, ServesThreads) {
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([t] {
      for (int i = 0; i < 2000; ++i) {
        const Storage s(static_cast<std::size_t>(1000 + 100 * t + i));
        s.data()[0] = std::byte{1};
        s.data()[s.bytes() - 1] = std::byte{2};
      }
    });
}

// Known answers of Philox 4x32 with ten rounds, published with the Random123 library.
TEST(Philox, GivesTheKnownAnswers) {
  using Words = std::array<std::uint32_t, 4>;
  EXPECT_EQ(philox(0, 0, 0), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox(~0ull, ~0ull, ~0ull), (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox(0x299f31d0a4093822ull, 0x85a308d3243f6a88ull, 0x0370734413198a2eull),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Rng, IsUniformAndReproducible) {
  Rng a(random_key(1, "test")), b(random_key(1, "test")), c(random_key(2, "test"));
  EXPECT_EQ(a.next64(), b.next64());
  EXPECT_NE(a.next64(), c.next64());
  std::array<int, 7> counts{};
  for (int i = 0; i < 70'000; ++i) ++counts[a.below(7)];
  double chi2 = 0;
  for (const int n : counts) chi2 += (n - 10'000.0) * (n - 10'000.0) / 10'000.0;
  EXPECT_LT(chi2, 22.5);  // 6 degrees of freedom, p = .001
  double mean = 0, square = 0;
  for (int i = 0; i < 100'000; ++i) {
    const double v = a.normal();
    mean += v / 1e5;
    square += v * v / 1e5;
  }
  EXPECT_NEAR(mean, 0, 0.015);
  EXPECT_NEAR(square, 1, 0.02);
  std::vector<int> order{0, 1, 2, 3, 4, 5, 6, 7};
  const auto sorted = order;
  a.shuffle(std::span(order));
  EXPECT_NE(order, sorted);
  std::ranges::sort(order);
  EXPECT_EQ(order, sorted);
}

}  // namespace
}  // namespace capstan
