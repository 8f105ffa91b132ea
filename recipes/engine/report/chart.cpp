#include "recipes/engine/report/chart.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <optional>
#include <set>
#include <utility>

#include "autograd/core/error.h"
#include "data/figure.h"
#include "data/markup.h"
#include "recipes/engine/report/html_table.h"
#include "recipes/engine/terminal/terminal.h"

namespace capstan::engine {
namespace {

using data::escaped_markup;

constexpr std::size_t kColours = 8, kDashes = 5;
constexpr double kWidth = 420, kHeight = 236, kTop = 12, kBottom = 34, kRight = 14, kCharacter = 6.8;
constexpr std::size_t kBuckets = 320;   // of a chart of one series
constexpr std::size_t kValueRows = 12;  // of the table below a chart
constexpr double kDotSpace = 9;         // points that are so far apart on average are drawn as dots, too
constexpr double kWideRange = 50;       // from here on a scale that may be is logarithmic
constexpr double kLevelReach = 4;       // levels may stretch the range of the series by this factor,
constexpr double kLevelShare = .6;      // or to this share of its values
constexpr double kLabelHeight = 13;

/// A coordinate, to a tenth of a unit.
std::string at(double v) {
  const double rounded = std::round(v * 10) / 10;
  return rounded == 0 ? "0" : join_text(rounded);
}

std::string formatted(const char* pattern, double value) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), pattern, value);
  return text.data();
}

/// 2.5e-5, 1e4.
std::string scientific(double value) {
  const std::string text = formatted("%.3e", value);
  const auto e = text.find('e');
  std::string digits = text.substr(0, e);
  digits.erase(digits.find_last_not_of('0') + 1);
  if (digits.ends_with('.')) digits.pop_back();
  return join_text(digits, "e", std::stoi(text.substr(e + 1)));
}

struct Extent {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  void add(double v) {
    if (std::isfinite(v)) low = std::min(low, v), high = std::max(high, v);
  }
  bool empty() const { return low > high; }
  double size() const { return high - low; }
};

/// What the axes of a chart have to hold, and the levels that fit.
struct Extents {
  Extent x, y;
  std::vector<ChartLevel> inside, outside;
};

Extents extents_of(const Chart& chart) {
  Extents out;
  for (const ChartSeries& s : chart.series)
    for (const ChartPoint& p : s.points) {
      out.x.add(p.x);
      out.y.add(p.y);
    }
  for (const ChartMark& m : chart.marks) {
    out.x.add(m.x);
    out.y.add(m.y);
  }
  if (out.x.empty()) out.x = {0, 1};
  // The nearest levels first, as long as they leave the series a part of the picture.
  std::vector<ChartLevel> levels;
  for (const ChartLevel& l : chart.levels)
    if (std::isfinite(l.value)) levels.push_back(l);
  const Extent own = out.y;
  const auto distance = [&](const ChartLevel& l) { return own.empty() ? 0 : std::max({0., own.low - l.value, l.value - own.high}); };
  std::ranges::stable_sort(levels, {}, distance);
  const double most = own.empty() || own.size() == 0
                          ? std::numeric_limits<double>::infinity()
                          : std::max(kLevelReach * own.size(), kLevelShare * std::max(std::abs(own.low), std::abs(own.high)));
  for (const ChartLevel& l : levels) {
    Extent wider = out.y;
    wider.add(l.value);
    const bool fits = wider.size() <= most;
    (fits ? out.inside : out.outside).push_back(l);
    if (fits) out.y = wider;
  }
  if (out.y.empty()) out.y = {0, 1};
  if (chart.from_zero) out.y.low = std::min(out.y.low, 0.);
  return out;
}

ChartAxis x_axis_of(const Chart& chart, Extent x) {
  if (chart.x_scale == ChartScale::logarithmic && x.low > 0) return ChartAxis::logarithmic(x.low, x.high);
  if (chart.x_from_zero) x.low = std::min(x.low, 0.);
  return ChartAxis::linear(x.low, x.high, 5, /*round=*/false);
}

ChartAxis y_axis_of(const Chart& chart, const Extent& y) {
  const bool positive = y.low > 0;
  const bool wide = positive && y.high / y.low > kWideRange && !chart.from_zero;
  if (positive && (chart.y_scale == ChartScale::logarithmic || (chart.y_scale == ChartScale::fitting && wide)))
    return ChartAxis::logarithmic(y.low, y.high);
  return ChartAxis::linear(y.low, y.high, 4, /*round=*/true);
}

std::string run_class(std::size_t run) { return join_text("r", run, " c", run % kColours, " d", run % kDashes); }

/// The drawing of one chart.
class Plot {
 public:
  Plot(const Chart& chart, const Extents& extents)
      : chart_(chart), extents_(extents), x_(x_axis_of(chart, extents.x)), y_(y_axis_of(chart, extents.y)) {
    double widest = 0;
    for (const auto& t : y_.ticks()) widest = std::max(widest, kCharacter * static_cast<double>(t.label.size()));
    left_ = widest + 12;
    top_ = chart.y_title.empty() ? kTop : kTop + kLabelHeight + 4;
  }

  std::string svg(std::string_view id) const {
    std::string out = join_text("<svg viewBox=\"0 0 ", at(kWidth), " ", at(kHeight), "\" role=\"img\" aria-labelledby=\"", id,
                                "-t\" aria-describedby=\"", id, "-d\" data-x=\"", at(left_), " ", at(kWidth - kRight), " ", at(top_), " ",
                                at(kHeight - kBottom), "\"><title id=\"", id, "-t\">", escaped_markup(spoken_title()),
                                "</title><desc id=\"", id, "-d\">", escaped_markup(description()), "</desc>\n");
    out += axes();
    for (const ChartSeries& s : chart_.series) out += series(s);
    out += levels();
    for (const ChartMark& m : chart_.marks) out += mark(m);
    return out + "</svg>";
  }

 private:
  double across(double x) const { return left_ + (kWidth - kRight - left_) * x_.place(x); }
  double down(double y) const { return kHeight - kBottom - (kHeight - kBottom - top_) * y_.place(y); }

  std::string axes() const {
    std::string lines, labels;
    for (const auto& t : y_.ticks()) {
      lines += join_text("M", at(left_), ",", at(down(t.value)), "H", at(kWidth - kRight));
      labels += join_text("<text x=\"", at(left_ - 7), "\" y=\"", at(down(t.value) + 4), "\">", t.label, "</text>");
    }
    std::string out = join_text("<path class=\"grid\" d=\"", lines, "\"/><g class=\"ticks y\">", labels, "</g>");
    lines.clear();
    labels.clear();
    double end = -1;
    for (const auto& t : x_.ticks()) {
      const double x = across(t.value), half = kCharacter * static_cast<double>(t.label.size()) / 2;
      if (x - half < end) continue;  // labels that would touch
      lines += join_text("M", at(x), ",", at(kHeight - kBottom), "v4");
      labels += join_text("<text x=\"", at(std::min(x, kWidth - half)), "\" y=\"", at(kHeight - kBottom + 16), "\">", t.label, "</text>");
      end = x + half + kCharacter;
    }
    out += join_text("<path class=\"axis\" d=\"M", at(left_), ",", at(kHeight - kBottom), "H", at(kWidth - kRight), lines,
                     "\"/><g class=\"ticks x\">", labels, "</g>");
    out += join_text("<text class=\"title x\" x=\"", at(kWidth - kRight), "\" y=\"", at(kHeight - 4), "\">", escaped_markup(chart_.x_title),
                     "</text>");
    if (!chart_.y_title.empty())
      out += join_text("<text class=\"title y\" x=\"", at(2), "\" y=\"", at(kTop + 3), "\">", escaped_markup(chart_.y_title), "</text>");
    return out + "\n";
  }

  std::string series(const ChartSeries& s) const {
    const std::size_t share = std::clamp<std::size_t>(4 * kBuckets / std::max<std::size_t>(chart_.series.size(), 4), 60, kBuckets);
    const std::vector<ChartPoint> points = thinned(s.points, share);
    const auto finite = static_cast<std::size_t>(std::ranges::count_if(points, [](const ChartPoint& p) { return std::isfinite(p.y); }));
    const bool spaced = !s.joined || finite == 1 ||
                        (finite > 1 && (across(points.back().x) - across(points.front().x)) / static_cast<double>(finite) > kDotSpace);
    std::string path, dots, gaps, values;
    bool pen_down = false;
    for (const ChartPoint& p : points) {
      if (!std::isfinite(p.y)) {
        pen_down = false;
        gaps += join_text("M", at(across(p.x)), ",", at(kHeight - kBottom), "v-8");
        continue;
      }
      if (s.joined) path += join_text(pen_down ? "L" : "M", at(across(p.x)), ",", at(down(p.y)));
      values += join_text(values.empty() ? "" : ";", at(across(p.x)), ",", join_text(p.x), ",", page_number(p.y));
      if (spaced && !s.faint) dots += join_text("<circle cx=\"", at(across(p.x)), "\" cy=\"", at(down(p.y)), "\" r=\"2.2\"/>");
      pen_down = true;
    }
    std::string out = join_text("<g class=\"s ", run_class(s.run), s.faint ? " faint" : "", "\" data-n=\"", escaped_markup(s.name),
                                "\" data-p=\"", values, "\">");
    if (!path.empty()) out += join_text("<path d=\"", path, "\"/>");
    out += dots;
    if (!gaps.empty()) out += join_text("<path class=\"bad\" d=\"", gaps, "\"><title>not a finite number</title></path>");
    return out + "</g>\n";
  }

  std::string levels() const {
    std::vector<ChartLevel> sorted = extents_.inside;
    std::ranges::sort(sorted, {}, &ChartLevel::value);
    // Labels stand above their lines, one above the other where lines are close, and move down where the picture ends.
    std::vector<double> labels;
    for (const ChartLevel& l : sorted)
      labels.push_back(std::min(down(l.value) - 4, labels.empty() ? kHeight : labels.back() - kLabelHeight));
    double highest = kLabelHeight - 3;
    for (auto label = labels.rbegin(); label != labels.rend(); ++label, highest += kLabelHeight) *label = std::max(*label, highest);
    std::string out;
    for (std::size_t i = 0; i < sorted.size(); ++i)
      out += join_text("<g class=\"level d", 1 + i % (kDashes - 1), "\"><path d=\"M", at(left_), ",", at(down(sorted[i].value)), "H",
                       at(kWidth - kRight), "\"/><text x=\"", at(kWidth - kRight - 2), "\" y=\"", at(labels[i]), "\">",
                       escaped_markup(sorted[i].name), " ", page_number(sorted[i].value), "</text></g>\n");
    return out;
  }

  std::string mark(const ChartMark& m) const {
    if (!std::isfinite(m.y)) return "";
    const double x = across(m.x), y = down(m.y);
    const bool right = x > left_ + .62 * (kWidth - kRight - left_);
    std::string out = join_text("<g class=\"mark ", run_class(m.run), "\">");
    if (m.across) out += join_text("<path d=\"M", at(x), ",", at(top_), "V", at(kHeight - kBottom), "\"/>");
    out += join_text("<circle cx=\"", at(x), "\" cy=\"", at(y), "\" r=\"4.5\"><title>", escaped_markup(m.label), "</title></circle>");
    // Away from the edges, and below the point where there is no room or a level above it.
    constexpr double kAside = 4, kRoom = 2.5 * kLabelHeight;
    const bool below = y - 9 < top_ + 4 || std::ranges::any_of(extents_.inside, [&](const ChartLevel& l) {
                         return down(l.value) <= y + 2 && y - down(l.value) < kRoom;
                       });
    const double label = m.across ? top_ + kLabelHeight - 3 : below ? y + 18 : y - 9;
    out += join_text("<text class=\"", right ? "end" : "start", "\" x=\"", at(right ? x - kAside : x + kAside), "\" y=\"", at(label), "\">",
                     escaped_markup(m.label), "</text>");
    return out + "</g>\n";
  }

  std::string spoken_title() const { return chart_.title.empty() ? join_text(chart_.y_title, " by ", chart_.x_title) : chart_.title; }

  std::string description() const {
    constexpr std::size_t kMost = 8;
    std::string out;
    for (std::size_t i = 0; i < std::min(chart_.series.size(), kMost); ++i) {
      const ChartSeries& s = chart_.series[i];
      const ChartPoint *first = nullptr, *last = nullptr, *low = nullptr, *high = nullptr;
      for (const ChartPoint& p : s.points) {
        if (!std::isfinite(p.y)) continue;
        if (first == nullptr) first = low = high = &p;
        last = &p;
        if (p.y < low->y) low = &p;
        if (p.y > high->y) high = &p;
      }
      if (first == nullptr) continue;
      const auto where = [&](const ChartPoint* p) {
        return join_text(page_number(p->y), " at ", chart_.x_title, " ", x_.is_logarithmic() ? page_number(p->x) : join_text(p->x));
      };
      out += join_text(out.empty() ? "" : " ", s.name, ": from ", where(first), " to ", where(last), ", lowest ", where(low), ", highest ",
                       where(high), ".");
    }
    for (const ChartLevel& l : chart_.levels) out += join_text(" ", l.name, ": ", page_number(l.value), ".");
    return out.empty() ? "No values." : out;
  }

  const Chart& chart_;
  const Extents& extents_;
  ChartAxis x_, y_;
  double left_ = 0, top_ = 0;
};

/// Some of the values, for those who read numbers.
std::string values_table(const Chart& chart) {
  std::vector<double> all;
  for (const ChartSeries& s : chart.series)
    for (const ChartPoint& p : s.points) all.push_back(p.x);
  std::ranges::sort(all);
  all.erase(std::unique(all.begin(), all.end()), all.end());
  if (all.empty()) return "";
  std::set<double> shown;
  const std::size_t count = std::min(kValueRows, all.size());
  for (std::size_t k = 0; k < count; ++k) shown.insert(all[count == 1 ? 0 : k * (all.size() - 1) / (count - 1)]);
  for (const ChartMark& m : chart.marks) shown.insert(m.x);

  std::string out =
      join_text("<details class=\"values\"><summary>Values</summary><div class=\"scroll\"><table><thead><tr><th scope=\"col\">",
                escaped_markup(chart.x_title), "</th>");
  for (const ChartSeries& s : chart.series) out += html_head(escaped_markup(s.name));
  out += "</tr></thead><tbody>\n";
  for (const double x : shown) {
    out += "<tr>" + html_head(x == std::round(x) ? join_text(static_cast<std::int64_t>(x)) : page_number(x), "row");
    for (const ChartSeries& s : chart.series) {
      const auto found = std::ranges::lower_bound(s.points, x, {}, &ChartPoint::x);
      const bool there = found != s.points.end() && found->x == x;
      out += html_cell(there ? page_number(found->y) : "");
    }
    out += "</tr>\n";
  }
  return out + "</tbody></table></div></details>";
}

}  // namespace

std::string page_number(double value) {
  if (!std::isfinite(value)) return std::isnan(value) ? "nan" : value < 0 ? "-inf" : "inf";
  const double size = std::abs(value);
  return (size >= 1e-3 && size < 1e9) || size == 0 ? short_number(value) : scientific(value);
}

std::string plain_number(double value) {
  std::string text = page_number(value);
  if (text.find('.') == std::string::npos || text.find('e') != std::string::npos) return text;
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text;
}

std::vector<std::string> tick_labels(std::span<const double> ticks) {
  double most = 0, step = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < ticks.size(); ++i) {
    most = std::max(most, std::abs(ticks[i]));
    if (i > 0) step = std::min(step, ticks[i] - ticks[i - 1]);
  }
  if (!std::isfinite(step)) step = most > 0 ? most : 1;
  double unit = 1;
  std::string suffix;
  constexpr std::array<std::pair<double, std::string_view>, 3> kUnits{{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}}};
  for (const auto& [size, name] : kUnits)
    if (most >= 10 * size && unit == 1) unit = size, suffix = name;
  if (most > 0 && most < 1e-3) {
    const double exponent = std::floor(std::log10(most));
    unit = std::pow(10., exponent);
    suffix = join_text("e", static_cast<int>(exponent));
  }
  // Digits behind the point, so that neighbours differ and each label is exact to a hundredth of a step.
  int digits = 0;
  for (double s = step / unit; digits < 12 && std::abs(s - std::round(s)) > 1e-6; s *= 10) ++digits;
  std::vector<std::string> out;
  for (const double t : ticks) {
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), "%.*f", digits, std::abs(t) < step * 1e-9 ? 0. : t / unit);
    out.push_back(text.data() + (t == 0 ? std::string() : suffix));
    if (std::abs(t) < step * 1e-9) out.back() = "0";
  }
  return out;
}

ChartAxis ChartAxis::linear(double low, double high, int ticks, bool round) {
  require<DataError>(std::isfinite(low) && std::isfinite(high) && low <= high, "chart: an axis needs low <= high: ", low, ", ", high);
  if (low == high) {
    const double around = low == 0 ? 1 : std::abs(low) * .5;
    if (round)
      low -= around, high += around;
    else
      low -= .5, high += .5;
  }
  ChartAxis axis;
  std::vector<double> places = data::round_ticks(low, high, ticks);
  if (round) {
    low = places.front();
    high = places.back();
  } else {
    const double slack = (high - low) * 1e-9;
    std::erase_if(places, [&](double t) { return t < low - slack || t > high + slack; });
  }
  axis.low_ = low;
  axis.high_ = high;
  const std::vector<std::string> labels = tick_labels(places);
  for (std::size_t i = 0; i < places.size(); ++i) axis.ticks_.push_back({places[i], labels[i]});
  return axis;
}

ChartAxis ChartAxis::logarithmic(double low, double high) {
  require<DataError>(std::isfinite(low) && std::isfinite(high) && 0 < low && low <= high,
                     "chart: a logarithmic axis needs 0 < low <= high: ", low, ", ", high);
  constexpr double kMargin = .03;
  const double decades = std::max(std::log10(high / low), .1);
  ChartAxis axis;
  axis.logarithmic_ = true;
  axis.low_ = low * std::pow(10, -kMargin * decades);
  axis.high_ = high * std::pow(10, kMargin * decades);
  const auto first = static_cast<int>(std::floor(std::log10(axis.low_))), last = static_cast<int>(std::ceil(std::log10(axis.high_)));
  const int every = std::max(1, static_cast<int>(decades / 6));
  const auto add = [&](double v) {
    if (v >= axis.low_ && v <= axis.high_) axis.ticks_.push_back({v, v >= 9999.5 || v < 1e-3 ? scientific(v) : plain_number(v)});
  };
  for (int k = first; k <= last; ++k) {
    if (k % every != 0) continue;
    const double power = std::pow(10., k);
    add(power);
    if (decades < 2.5) {
      add(2 * power);
      add(5 * power);
    }
  }
  if (axis.ticks_.size() < 2 && decades < 1) {  // a small part of a decade
    axis.ticks_.clear();
    std::vector<double> places = data::round_ticks(axis.low_, axis.high_, 6);
    std::erase_if(places, [&](double t) { return t < axis.low_ || t > axis.high_; });
    const std::vector<std::string> labels = tick_labels(places);
    for (std::size_t i = 0; i < places.size(); ++i) axis.ticks_.push_back({places[i], labels[i]});
  }
  return axis;
}

double ChartAxis::place(double value) const {
  if (logarithmic_) return std::log(value / low_) / std::log(high_ / low_);
  return (value - low_) / (high_ - low_);
}

std::vector<ChartPoint> thinned(std::span<const ChartPoint> points, std::size_t buckets) {
  if (points.size() <= 2 * buckets || buckets == 0) return {points.begin(), points.end()};
  const double first = points.front().x, width = std::max(points.back().x - first, 1e-300) / static_cast<double>(buckets);
  std::vector<ChartPoint> out{points.front()};
  std::optional<ChartPoint> low, high, gap;
  std::size_t bucket = 0;
  const auto close = [&] {
    std::array<std::optional<ChartPoint>, 3> kept{low, high == low ? std::nullopt : high, gap};
    std::ranges::sort(kept, [](const auto& a, const auto& b) { return a && (!b || a->x < b->x); });
    for (const auto& p : kept)
      if (p) out.push_back(*p);
    low = high = gap = std::nullopt;
  };
  for (const ChartPoint& p : points.subspan(1, points.size() - 2)) {
    const auto place = static_cast<std::size_t>((p.x - first) / width);
    if (place != bucket) close();
    bucket = place;
    if (!std::isfinite(p.y)) {
      if (!gap) gap = p;
    } else {
      if (!low || p.y < low->y) low = p;
      if (!high || p.y > high->y) high = p;
    }
  }
  close();
  out.push_back(points.back());
  return out;
}

std::vector<ChartPoint> smoothed(std::span<const ChartPoint> points, double weight) {
  require<DataError>(weight >= 0 && weight < 1, "chart: smoothing must be at least 0 and below 1, got ", weight);
  std::vector<ChartPoint> out;
  double sum = 0, rest = 1;  // 1 - rest: the weights that have gone into the sum
  for (const ChartPoint& p : points) {
    if (!std::isfinite(p.y)) {
      out.push_back(p);
      continue;
    }
    sum = weight * sum + (1 - weight) * p.y;
    rest *= weight;
    out.push_back({p.x, sum / (1 - rest)});
  }
  return out;
}

std::string figure_of(const Chart& chart, std::string_view id) {
  const Extents extents = extents_of(chart);
  std::string note = chart.note;
  std::string outside;
  for (const ChartLevel& l : extents.outside) outside += join_text(outside.empty() ? "" : ", ", l.name, " ", page_number(l.value));
  if (!outside.empty()) note += join_text(note.empty() ? "" : "; ", "beyond this picture: ", outside);
  std::string out = join_text("<figure class=\"chart\" id=\"", id, "\">");
  if (!chart.title.empty() || !note.empty())
    out += join_text("<figcaption><span class=\"name\">", escaped_markup(chart.title), "</span> <span class=\"note\">",
                     escaped_markup(note), "</span></figcaption>\n");
  out += Plot(chart, extents).svg(id);
  if (chart.legend && !chart.series.empty()) {
    out += "<ul class=\"legend\">";
    for (const ChartSeries& s : chart.series) out += join_text("<li>", swatch(s.run, s.joined), escaped_markup(s.name), "</li>");
    out += "</ul>";
  }
  return out + values_table(chart) + "</figure>\n";
}

std::string sparkline(std::span<const ChartPoint> points, std::string_view description) {
  constexpr double kWide = 96, kHigh = 20, kEdge = 2;
  constexpr std::size_t kParts = 30;
  std::vector<ChartPoint> shown;
  for (const ChartPoint& p : thinned(points, kParts))
    if (std::isfinite(p.y)) shown.push_back(p);
  if (shown.size() < 2) return "";
  const bool positive = std::ranges::all_of(shown, [](const ChartPoint& p) { return p.y > 0; });
  Extent x, y;
  for (ChartPoint& p : shown) {
    if (positive) p.y = std::log(p.y);
    x.add(p.x);
    y.add(p.y);
  }
  std::string path;
  for (const ChartPoint& p : shown) {
    const double across = x.size() > 0 ? (p.x - x.low) / x.size() : .5, up = y.size() > 0 ? (p.y - y.low) / y.size() : .5;
    path +=
        join_text(path.empty() ? "M" : "L", at(kEdge + (kWide - 2 * kEdge) * across), ",", at(kHigh - kEdge - (kHigh - 2 * kEdge) * up));
  }
  return join_text("<svg class=\"spark\" viewBox=\"0 0 ", at(kWide), " ", at(kHigh), "\" role=\"img\" aria-label=\"",
                   escaped_markup(description), "\"><path d=\"", path, "\"/></svg>");
}

std::string swatch(std::size_t run, bool joined) {
  return join_text("<svg class=\"swatch\" viewBox=\"0 0 28 10\" aria-hidden=\"true\"><g class=\"s c", run % kColours, " d", run % kDashes,
                   "\">", joined ? "<path d=\"M1,5H27\"/>" : "<circle cx=\"14\" cy=\"5\" r=\"2.6\"/>", "</g></svg>");
}

}  // namespace capstan::engine
