#include "recipes/engine/report/finding_section.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <vector>

#include "autograd/core/error.h"
#include "data/markup.h"
#include "recipes/engine/report/chart.h"
#include "recipes/engine/report/html_table.h"

namespace capstan::engine {
namespace {

using data::escaped_markup;

constexpr std::size_t kMatrixSide = 64;   // rows and columns that are shown
constexpr std::size_t kManyColumns = 12;  // from here on names stand upright
constexpr double kShades = 10;

/// Also "1,234", "12.5%".
bool reads_as_number(std::string_view text) {
  std::string digits(text);
  if (digits.ends_with('%')) digits.pop_back();
  std::erase(digits, ',');
  double value = 0;
  const auto r = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return !digits.empty() && r.ec == std::errc() && r.ptr == digits.data() + digits.size();
}

/// A column of numbers, some of which may be missing.
bool holds_numbers(const FindingTable& table, std::size_t column) {
  const auto missing = [&](const auto& row) { return row[column].empty() || row[column] == "-"; };
  return std::ranges::all_of(table.rows, [&](const auto& row) { return missing(row) || reads_as_number(row[column]); }) &&
         !std::ranges::all_of(table.rows, missing);
}

std::string shown_section(const FindingTable& table, const std::string&) {
  std::string out = "<div class=\"scroll\"><table class=\"words\"><thead><tr>";
  std::vector<bool> numbers;
  for (std::size_t c = 0; c < table.columns.size(); ++c) {
    numbers.push_back(holds_numbers(table, c));
    out += html_head(escaped_markup(table.columns[c]), "col", numbers.back() ? "number" : "");
  }
  out += "</tr></thead><tbody>\n";
  for (const auto& row : table.rows) {
    out += "<tr>";
    for (std::size_t c = 0; c < row.size(); ++c)
      out += html_cell(escaped_markup(row[c]), numbers[c] ? "number" : row[c].find('\n') != std::string::npos ? "lines" : "");
    out += "</tr>\n";
  }
  return out + "</tbody></table></div>";
}

/// A cell is as dark as its share of its row.
std::string shown_section(const FindingMatrix& m, const std::string&) {
  const std::size_t rows = std::min(m.rows.size(), kMatrixSide), columns = std::min(m.columns.size(), kMatrixSide);
  std::string out;
  if (rows < m.rows.size() || columns < m.columns.size())
    out += join_text("<p class=\"note\">The first ", rows, " of ", m.rows.size(), " rows and ", columns, " of ", m.columns.size(),
                     " columns.</p>");
  out += join_text("<p class=\"note\">Rows: ", escaped_markup(m.row_title), ". Columns: ", escaped_markup(m.column_title),
                   ". Darker is a larger share of the row.</p><div class=\"scroll\"><table class=\"matrix",
                   columns > kManyColumns ? " many" : "", "\"><thead><tr><th></th>");
  for (std::size_t c = 0; c < columns; ++c) out += html_head(escaped_markup(m.columns[c]));
  out += "</tr></thead><tbody>\n";
  for (std::size_t r = 0; r < rows; ++r) {
    const double* const counts = m.counts.data() + r * m.columns.size();
    double sum = 0;
    for (std::size_t c = 0; c < m.columns.size(); ++c) sum += std::isfinite(counts[c]) ? std::max(counts[c], 0.) : 0;
    out += "<tr>" + html_head(escaped_markup(m.rows[r]), "row");
    for (std::size_t c = 0; c < columns; ++c) {
      const double share = sum > 0 && counts[c] > 0 ? counts[c] / sum : 0;
      const auto shade = share > 0 ? std::clamp<long>(std::lround(kShades * share), 1, static_cast<long>(kShades)) : 0;
      out += join_text("<td class=\"h", shade, "\" title=\"", escaped_markup(m.rows[r]), ", ", escaped_markup(m.columns[c]), ": ",
                       page_number(counts[c]), ", ", std::lround(100 * share), "% of the row\">", page_number(counts[c]), "</td>");
    }
    out += "</tr>\n";
  }
  return out + "</tbody></table></div>";
}

std::string shown_section(const FindingCurves& curves, const std::string& id) {
  Chart chart{.title = "",
              .x_title = curves.x_title,
              .y_title = curves.y_title,
              .y_scale = ChartScale::linear,
              .x_from_zero = false,
              .legend = curves.curves.size() > 1};
  for (std::size_t i = 0; i < curves.curves.size(); ++i) {
    ChartSeries& s =
        chart.series.emplace_back(ChartSeries{.name = curves.curves[i].name, .run = i, .points = {}, .joined = curves.curves[i].joined});
    for (const auto& [x, y] : curves.curves[i].points)
      if (std::isfinite(x)) s.points.push_back({x, y});
    std::ranges::stable_sort(s.points, {}, &ChartPoint::x);
  }
  return "<div class=\"charts\">" + figure_of(chart, id) + "</div>";
}

std::string shown_section(const StoredPictures& shown, const std::string&) {
  constexpr std::int64_t kSmall = 100, kLarge = 400;
  std::int64_t widest = 0;
  for (const auto& p : shown.pictures) widest = std::max(widest, p.width);
  std::string out = join_text("<div class=\"pictures", widest <= kSmall ? " small" : widest >= kLarge ? " large" : "", "\">\n");
  for (const auto& p : shown.pictures)
    out += join_text("<figure><img loading=\"lazy\" width=\"", p.width, "\" height=\"", p.height, "\" alt=\"", escaped_markup(p.caption),
                     "\" src=\"data:image/png;base64,", p.png, "\"><figcaption>", escaped_markup(p.caption), "</figcaption></figure>\n");
  return out + "</div>";
}

}  // namespace

std::string finding_section(const StoredFinding& finding, const std::string& id, int heading) {
  std::string out = join_text("<section><h", heading, ">", escaped_markup(finding.title), "</h", heading, ">");
  if (!finding.text.empty()) out += join_text("<p class=\"note\">", escaped_markup(finding.text), "</p>");
  return out + std::visit([&](const auto& shown) { return shown_section(shown, id); }, finding.shown) + "</section>\n";
}

}  // namespace capstan::engine
