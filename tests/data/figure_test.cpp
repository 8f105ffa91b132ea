// Figures as SVG: what stands in them, and where.
#include "data/figure.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "autograd/core/error.h"

namespace capstan::data {
namespace {

using ::testing::AllOf;
using ::testing::DoubleEq;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::size_t count_of(const std::string& text, const std::string& what) {
  std::size_t n = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++n;
  return n;
}

TEST(Figure, AMatrixHasItsNamesAndShades) {
  const MatrixFigure figure{.title = "t",
                            .columns_title = "source",
                            .rows_title = "target",
                            .columns = {"a<b", "f\u00fcr", "&\x01"},
                            .rows = {"\u6211", "\"x\""},
                            .values = {0, .25f, .5f, .125f, 0, 0}};
  const std::string svg = svg_of(figure);
  EXPECT_THAT(svg,
              AllOf(HasSubstr(">a&lt;b</text>"), HasSubstr(">f\u00fcr</text>"), HasSubstr(">&amp;</text>"), HasSubstr(">\u6211</text>"),
                    HasSubstr(">&quot;x&quot;</text>"), HasSubstr(">source</text>"), HasSubstr(">target</text>")));
  EXPECT_EQ(count_of(svg, "<title>"), 6);
  // White at 0, the darkest at the largest value, in its row and column.
  EXPECT_THAT(svg,
              AllOf(HasSubstr("rgb(8,48,107)\"><title>\u6211, &amp;: 0.5<"), HasSubstr("rgb(255,255,255)\"><title>\u6211, a&lt;b: 0<")));
  EXPECT_EQ(count_of(svg, "<svg"), 1);
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
}

TEST(Figure, ALargeMatrixNamesSomeOfItsRows) {
  MatrixFigure figure{.title = "", .columns_title = "", .rows_title = "", .columns = {"c"}, .rows = {}, .values = {}};
  for (int i = 0; i < 60; ++i) figure.rows.push_back("r" + std::to_string(i) + "."), figure.values.push_back(1);
  const std::string svg = svg_of(figure);
  EXPECT_THAT(svg, AllOf(HasSubstr(">r0.</text>"), Not(HasSubstr(">r1.</text>")), HasSubstr(">r2.</text>")));
}

TEST(Figure, RefusesWhatIsNoMatrix) {
  MatrixFigure figure{.title = "", .columns_title = "", .rows_title = "", .columns = {"c"}, .rows = {"r"}, .values = {}};
  EXPECT_THROW(svg_of(figure), DataError);
  figure.values = {std::numeric_limits<float>::quiet_NaN()};
  EXPECT_THROW(svg_of(figure), DataError);
  figure.values = {-1};
  EXPECT_THROW(svg_of(figure), DataError);
}

TEST(Figure, CurvesHaveAxesAndALegend) {
  const std::string svg =
      svg_of(CurveFigure{.title = "both",
                         .x_title = "x of it",
                         .y_title = "y of it",
                         .curves = {{.name = "line", .x = {0, 2}, .y = {-1, 3}}, {.name = "dots", .x = {1}, .y = {1}, .points = true}}});
  EXPECT_THAT(svg, AllOf(HasSubstr(">x of it</text>"), HasSubstr(">y of it</text>"), HasSubstr(">line</text>"), HasSubstr(">dots</text>"),
                         HasSubstr(">both</text>"), HasSubstr(">-1</text>"), HasSubstr(">3</text>")));
  EXPECT_EQ(count_of(svg, "<polyline"), 1);
  EXPECT_EQ(count_of(svg, "<circle"), 2);  // one of them in the legend
  EXPECT_THROW(svg_of(CurveFigure{}), DataError);
  EXPECT_THROW(svg_of(CurveFigure{.title = "", .x_title = "", .y_title = "", .curves = {{.name = "c", .x = {1}, .y = {}}}}), DataError);
}

TEST(Figure, TicksAreRound) {
  EXPECT_THAT(round_ticks(0, 4.9, 5), ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(round_ticks(-.3, 3.2, 8), ElementsAre(-.5, 0, .5, 1, 1.5, 2, 2.5, 3, 3.5));
  EXPECT_THAT(round_ticks(100, 900, 4), ElementsAre(0, 200, 400, 600, 800, 1000));
  EXPECT_THAT(round_ticks(7, 7, 1), ElementsAre(6, 7, 8));
  EXPECT_THROW(round_ticks(1, 0, 3), DataError);
}

}  // namespace
}  // namespace capstan::data
