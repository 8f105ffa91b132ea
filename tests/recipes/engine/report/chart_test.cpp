// Charts: axes with round numbers, thinning that keeps what stands out, smoothing, and what a figure says.

#include "recipes/engine/report/chart.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "autograd/core/error.h"
#include "tests/message_of.h"

namespace capstan::engine {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

std::vector<std::string> labels(const ChartAxis& axis) {
  std::vector<std::string> out;
  for (const auto& t : axis.ticks()) out.push_back(t.label);
  return out;
}

TEST(ChartAxis, LinearTicksAreRoundNumbers) {
  EXPECT_THAT(labels(ChartAxis::linear(0.312, 0.71, 4, true)), ElementsAre("0.3", "0.4", "0.5", "0.6", "0.7", "0.8"));
  EXPECT_THAT(labels(ChartAxis::linear(0, 945, 5, false)), ElementsAre("0", "200", "400", "600", "800"));
  EXPECT_THAT(labels(ChartAxis::linear(0, 200000, 5, false)), ElementsAre("0", "50k", "100k", "150k", "200k"));
  EXPECT_THAT(labels(ChartAxis::linear(-2, 2.5, 4, true)), ElementsAre("-2", "0", "2", "4"));
  EXPECT_THAT(labels(ChartAxis::linear(0, 3e-5, 4, true)), ElementsAre("0", "1e-5", "2e-5", "3e-5"));
}

TEST(ChartAxis, AnAxisOfOneValueHasRoomAroundIt) {
  const ChartAxis axis = ChartAxis::linear(3, 3, 4, true);
  EXPECT_LT(axis.low(), 3);
  EXPECT_GT(axis.high(), 3);
  EXPECT_GT(axis.place(3), .2);
  EXPECT_LT(axis.place(3), .8);
  EXPECT_DOUBLE_EQ(ChartAxis::linear(7, 7, 5, false).place(7), .5);
}

TEST(ChartAxis, LogarithmicTicksArePowersAndWhatIsBetweenWhereThereIsRoom) {
  EXPECT_THAT(labels(ChartAxis::logarithmic(1e-6, 1)), ElementsAre("1e-6", "1e-5", "1e-4", "0.001", "0.01", "0.1", "1"));
  EXPECT_THAT(labels(ChartAxis::logarithmic(12, 900)), ElementsAre("20", "50", "100", "200", "500", "1000"));
  EXPECT_GE(ChartAxis::logarithmic(31, 39).ticks().size(), 2u);
  const ChartAxis wide = ChartAxis::logarithmic(1e-30, 1e30);
  EXPECT_LE(wide.ticks().size(), 8u);
  const ChartAxis axis = ChartAxis::logarithmic(1, 100);
  EXPECT_NEAR(axis.place(10), .5, 1e-12);
}

TEST(ChartAxis, RefusesWhatIsNoRange) {
  EXPECT_THAT(message_of<DataError>([] { ChartAxis::linear(2, 1, 4, true); }), HasSubstr("low <= high: 2, 1"));
  EXPECT_THAT(message_of<DataError>([] { ChartAxis::logarithmic(0, 1); }), HasSubstr("0 < low <= high: 0, 1"));
}

TEST(Thinned, KeepsEndsAndExtremes) {
  std::vector<ChartPoint> points;
  for (int i = 0; i < 50000; ++i) points.push_back({static_cast<double>(i), std::sin(i * .001)});
  points[31234].y = 40;
  points[777].y = -40;
  points[20000].y = kNan;
  const auto out = thinned(points, 300);
  EXPECT_LE(out.size(), 700u);
  EXPECT_EQ(out.front(), points.front());
  EXPECT_EQ(out.back(), points.back());
  EXPECT_THAT(out, testing::Contains(points[31234]));
  EXPECT_THAT(out, testing::Contains(points[777]));
  EXPECT_EQ(std::ranges::count_if(out, [](const ChartPoint& p) { return std::isnan(p.y); }), 1);
  EXPECT_TRUE(std::ranges::is_sorted(out, {}, &ChartPoint::x));
}

TEST(Thinned, LeavesFewPointsAlone) {
  const std::vector<ChartPoint> points{{1, 2}, {2, kNan}, {3, 4}};
  EXPECT_EQ(thinned(points, 100).size(), 3u);
  EXPECT_TRUE(thinned({}, 100).empty());
}

TEST(Smoothed, IsAnAverageWithoutAPullToZero) {
  const std::vector<ChartPoint> points{{1, 8}, {2, kNan}, {3, 4}};
  const auto out = smoothed(points, .5);
  ASSERT_EQ(out.size(), 3u);
  EXPECT_DOUBLE_EQ(out[0].y, 8);
  EXPECT_TRUE(std::isnan(out[1].y));
  EXPECT_DOUBLE_EQ(out[2].y, (.25 * 8 + .5 * 4) / .75);
  EXPECT_EQ(smoothed(std::vector<ChartPoint>{{1, 3}, {2, 5}}, 0)[1].y, 5);
  EXPECT_THAT(message_of<DataError>([&] { smoothed(points, 1); }), HasSubstr("below 1, got 1"));
}

TEST(PageNumber, HasFourDigits) {
  EXPECT_EQ(page_number(.45123), "0.4512");
  EXPECT_EQ(page_number(2.5e-5), "2.5e-5");
  EXPECT_EQ(page_number(-3.2e12), "-3.2e12");
  EXPECT_EQ(page_number(0), "0");
  EXPECT_EQ(page_number(kNan), "nan");
  EXPECT_EQ(plain_number(.0012), "0.0012");
  EXPECT_EQ(plain_number(100), "100");
}

TEST(Figure, SaysInWordsWhatIsDrawn) {
  const Chart chart{.title = "Recall <at> \"10\"",
                    .series = {{.name = "model", .points = {{50, .25}, {100, .75}, {150, .5}}}},
                    .levels = {{"popularity", .125}},
                    .marks = {{.x = 100, .y = .75, .label = "best: 0.75"}}};
  const std::string html = figure_of(chart, "f1");
  EXPECT_THAT(html, HasSubstr("Recall &lt;at&gt; &quot;10&quot;"));
  EXPECT_THAT(html,
              HasSubstr("model: from 0.2500 at step 50 to 0.5000 at step 150, lowest 0.2500 at step 50, highest 0.7500 at step 100."));
  EXPECT_THAT(html, HasSubstr("popularity: 0.1250."));
  EXPECT_THAT(html, HasSubstr("<th scope=\"row\">100</th><td>0.7500</td>"));
  EXPECT_THAT(html, HasSubstr("aria-labelledby=\"f1-t\" aria-describedby=\"f1-d\""));
  EXPECT_THAT(html, HasSubstr(">best: 0.75</text>"));
}

TEST(Figure, NamesWhatLiesFarOutside) {
  const Chart chart{
      .title = "t", .series = {{.name = "model", .points = {{1, .91}, {2, .93}}}}, .levels = {{"random", .001}, {"optimum", .95}}};
  const std::string html = figure_of(chart, "f1");
  EXPECT_THAT(html, HasSubstr("beyond this picture: random 0.001000"));
  EXPECT_THAT(html, HasSubstr(">optimum 0.9500</text>"));
}

TEST(Figure, DrawsGapsAndNothing) {
  const Chart gap{.title = "t", .series = {{.name = "loss", .points = {{1, 2}, {2, kNan}, {3, 4}, {4, 3}}}}};
  const std::string html = figure_of(gap, "f1");
  EXPECT_THAT(html, HasSubstr("class=\"bad\""));
  EXPECT_THAT(html, testing::ContainsRegex("<path d=\"M[0-9.]+,[0-9.]+M[0-9.]+,[0-9.]+L[0-9.]+,[0-9.]+\"/>"));
  EXPECT_THAT(html, Not(HasSubstr("nan,")));
  EXPECT_THAT(figure_of({.title = "t", .series = {{.name = "loss", .points = {{1, kNan}}}}}, "f1"), HasSubstr("No values."));
  EXPECT_THAT(figure_of({.title = "t", .series = {{.name = "loss", .points = {{5, 2}}}}}, "f1"), HasSubstr("<circle"));
}

TEST(Figure, DrawsPointsThatStandAlone) {
  const Chart chart{.title = "t", .legend = true, .series = {{.name = "dots", .points = {{0, 1}, {1, 3}, {2, 2}}, .joined = false}}};
  const std::string html = figure_of(chart, "f");
  const std::string dots = html.substr(html.find("data-n=\"dots\""));
  EXPECT_THAT(dots, HasSubstr("r=\"2.2\"/><circle"));
  EXPECT_THAT(dots.substr(0, dots.find("</g>")), Not(HasSubstr("<path")));
  EXPECT_THAT(dots.substr(dots.find("class=\"legend\"")), HasSubstr("<circle"));
}

TEST(Figure, ChoosesALogarithmicScaleForWhatSpansMuch) {
  const Chart chart{.title = "perplexity", .series = {{.name = "model", .points = {{1, 9000}, {2, 100}, {3, 12}}}}};
  EXPECT_THAT(figure_of(chart, "f1"), HasSubstr(">1000</text>"));
}

TEST(Sparkline, NeedsTwoPoints) {
  EXPECT_EQ(sparkline(std::vector<ChartPoint>{{1, 2}}, "x"), "");
  EXPECT_THAT(sparkline(std::vector<ChartPoint>{{1, 2}, {2, kNan}, {3, 9}}, "a & b"), HasSubstr("aria-label=\"a &amp; b\""));
}

}  // namespace
}  // namespace capstan::engine
