// What the engine makes of a recorded profile; tests of commands in command_line_test.cpp.
#include <gmock/gmock.h>

#include <vector>

#include "autograd/core/error.h"
#include "data/json.h"
#include "recipes/engine/profile/profile_table.h"
#include "recipes/engine/profile/rates.h"
#include "recipes/engine/profile/step_profile.h"
#include "tests/message_of.h"

namespace capstan::engine {
namespace {

using profile::Event;
using profile::Kind;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr std::int64_t kMs = 1'000'000;  // nanoseconds

/// 1 GFLOP/s, and 1 GB/s whatever the size.
Rates plain_rates() {
  Rates r{.flops = 1e9};
  r.bytes.fill(1e9);
  return r;
}

/// Two linear layers and their update; an operation within another counts for itself.
std::vector<Event> events() {
  return {{"forward", Kind::phase, -1, 0, 20 * kMs},
          {"linear", Kind::operation, 0, 1 * kMs, 9 * kMs, {.bytes = 1e6}},
          {"Matmul", Kind::product, 1, 2 * kMs, 8 * kMs, {.flops = 4e6}},
          {"reorder", Kind::conversion, 2, 2 * kMs, 3 * kMs},
          {"linear", Kind::operation, 0, 9 * kMs, 12 * kMs, {.bytes = 3e6}},
          {"checkpoint", Kind::operation, 0, 12 * kMs, 20 * kMs},
          {"relu", Kind::operation, 5, 13 * kMs, 18 * kMs, {.bytes = 2e6}},
          {"update", Kind::phase, -1, 20 * kMs, 27 * kMs},
          {"ApplyRule", Kind::update, 7, 21 * kMs, 26 * kMs, {.bytes = 5e6}},
          {"wait for data", Kind::wait, -1, 27 * kMs, 30 * kMs},
          {"open", Kind::operation, -1, 30 * kMs, 0}};
}

TEST(ProfileTable, DividesTheTimeByPhaseOperationAndKind) {
  const std::vector<ProfileLine> lines = profile_lines(events(), plain_rates());
  const auto line = [&](std::string_view phase, std::string_view operation) {
    for (const ProfileLine& l : lines)
      if (l.phase == phase && l.operation == operation) return l;
    throw InternalError(join_text("no line ", phase, " ", operation));
  };
  const auto ms = [](const ProfileLine& l, Kind kind) { return 1e3 * l.seconds[static_cast<std::size_t>(kind)]; };
  double total = 0;
  for (const ProfileLine& l : lines) total += l.total();
  EXPECT_NEAR(1e3 * total, 30, 1e-9) << "no time is counted twice or lost";
  EXPECT_EQ(lines[0].operation, "linear") << "the longest first";

  const ProfileLine linear = line("forward", "linear");
  EXPECT_EQ(linear.calls, 2);
  EXPECT_NEAR(ms(linear, Kind::product), 5, 1e-9) << "without the conversion in it";
  EXPECT_NEAR(ms(linear, Kind::conversion), 1, 1e-9);
  EXPECT_NEAR(ms(linear, Kind::operation), 5, 1e-9);
  EXPECT_EQ(linear.work.flops, 4e6);
  EXPECT_EQ(linear.work.bytes, 4e6);
  EXPECT_NEAR(1e3 * linear.bound, 4 + 3, 1e-9) << "the products of the first call, the bytes of the second";

  EXPECT_NEAR(ms(line("forward", "relu"), Kind::operation), 5, 1e-9);
  EXPECT_NEAR(ms(line("forward", "checkpoint"), Kind::operation), 3, 1e-9);
  EXPECT_NEAR(ms(line("forward", ""), Kind::phase), 1, 1e-9);
  EXPECT_NEAR(ms(line("update", "ApplyRule"), Kind::update), 5, 1e-9);
  EXPECT_NEAR(1e3 * line("update", "ApplyRule").bound, 5, 1e-9);
  EXPECT_NEAR(ms(line("", "wait for data"), Kind::wait), 3, 1e-9);

  const std::string table = profile_table(lines, plain_rates(), 2);
  EXPECT_THAT(table, AllOf(HasSubstr("a step takes 15.00 ms:"), HasSubstr("product 16.7 %"), HasSubstr("wait 10.0 %"),
                           HasSubstr("the bound is 7.00 ms (products alone 2.00), of which 46.7 % are reached")));
  EXPECT_THAT(table, AllOf(HasSubstr("forward   linear" + std::string(31, ' ') + "1.0   5.500"), Not(HasSubstr("random"))));
}

TEST(ProfileTable, WritesTheTraceFormatOfChrome) {
  const data::Json trace = data::parse_json(chrome_trace(events()), "trace.json");
  const auto items = trace["traceEvents"].items();
  ASSERT_EQ(items.size(), 10u) << "without the one that is open";
  EXPECT_EQ(items[2]["name"].text(), "Matmul");
  EXPECT_EQ(items[2]["ph"].text(), "X");
  EXPECT_EQ(items[2]["cat"].text(), "product");
  EXPECT_EQ(items[2]["ts"].number(), 2000) << "microseconds";
  EXPECT_EQ(items[2]["dur"].number(), 6000);
  EXPECT_EQ(items[2]["args"]["flops"].number(), 4e6);
  EXPECT_FALSE(items[0].has("args"));
}

TEST(Rates, GiveTheLongerOfProductsAndBytes) {
  Rates r{.flops = 1e9};
  for (std::size_t i = 0; i < Rates::kSizes; ++i) r.bytes[i] = 1e9 * static_cast<double>(Rates::kSizes - i);
  EXPECT_EQ(r.bytes_per_second(1), 7e9) << "as of the smallest";
  EXPECT_EQ(r.bytes_per_second(65536), 7e9);
  EXPECT_NEAR(r.bytes_per_second(2 * 65536), 6.5e9, 1) << "half way to four times the size";
  EXPECT_EQ(r.bytes_per_second(1e12), 1e9) << "as of the largest";
  EXPECT_EQ(r.seconds({.flops = 2e9, .bytes = 1e3}), 2);
  EXPECT_EQ(r.seconds({.flops = 1, .bytes = 1e12}), 1000);
}

TEST(StepRanges, AreOneStepOrTwo) {
  EXPECT_EQ(parse_step_range("5:20").last, 20);
  EXPECT_EQ(parse_step_range("7").first, 7);
  EXPECT_EQ(parse_step_range("7").last, 7);
  for (const char* bad : {"", "0", "4:3", "a:b", "1:2:3", "-1:2"}) EXPECT_THROW(parse_step_range(bad), ConfigError) << bad;
}

}  // namespace
}  // namespace capstan::engine
