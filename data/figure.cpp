#include "data/figure.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include "autograd/core/error.h"
#include "data/markup.h"
#include "data/text/unicode.h"

namespace capstan::data {
namespace {

constexpr std::array<double, 3> kDarkest{8, 48, 107};  // of a cell, red, green, blue
constexpr std::array<std::string_view, 6> kColours{"#1f5fa8", "#d1571b", "#2b8a3e", "#8a3ea8", "#7a6a10", "#555555"};

/// A number with a digit or two behind the point, without zeros at the end.
std::string short_number(double v) {
  std::string text = join_text(std::round(v * 1000) / 1000);
  return text == "-0" ? "0" : text;
}

/// About how wide a text of this size is drawn: wide characters (from the Hangul and ideographs on) count twice.
double width_of(std::string_view text) {
  constexpr double kCharacter = 7.5;
  double width = 0;
  for (const char32_t c : unicode::to_utf32(text)) width += c >= 0x1100 ? 2 * kCharacter : kCharacter;
  return width;
}

/// An SVG drawing that grows by elements.
class Drawing {
 public:
  Drawing(double width, double height) {
    text_ = join_text("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"", short_number(width), "\" height=\"", short_number(height),
                      "\" viewBox=\"0 0 ", short_number(width), " ", short_number(height),
                      "\" font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n");
  }
  enum class Anchor { start, middle, end };
  /// `turn` in degrees, around the place of the text.
  void text(double x, double y, std::string_view words, Anchor anchor, double turn = 0, std::string_view fill = "black") {
    static constexpr std::array<std::string_view, 3> names{"start", "middle", "end"};
    text_ += join_text("<text x=\"", short_number(x), "\" y=\"", short_number(y), "\" text-anchor=\"",
                       names[static_cast<std::size_t>(anchor)], "\" fill=\"", fill, "\"");
    if (turn != 0) text_ += join_text(" transform=\"rotate(", short_number(turn), " ", short_number(x), " ", short_number(y), ")\"");
    text_.append(">").append(escaped_markup(words)).append("</text>\n");
  }
  void line(double x1, double y1, double x2, double y2, std::string_view stroke = "black") {
    text_ += join_text("<line x1=\"", short_number(x1), "\" y1=\"", short_number(y1), "\" x2=\"", short_number(x2), "\" y2=\"",
                       short_number(y2), "\" stroke=\"", stroke, "\"/>\n");
  }
  void cell(double x, double y, double size, std::string_view fill, std::string_view tooltip) {
    text_ += join_text("<rect x=\"", short_number(x), "\" y=\"", short_number(y), "\" width=\"", short_number(size), "\" height=\"",
                       short_number(size), "\" fill=\"", fill, "\"><title>", escaped_markup(tooltip), "</title></rect>\n");
  }
  void frame(double x, double y, double width, double height) {
    text_ += join_text("<rect x=\"", short_number(x), "\" y=\"", short_number(y), "\" width=\"", short_number(width), "\" height=\"",
                       short_number(height), "\" fill=\"none\" stroke=\"#888888\"/>\n");
  }
  void dot(double x, double y, std::string_view fill) {
    text_ += join_text("<circle cx=\"", short_number(x), "\" cy=\"", short_number(y), "\" r=\"3\" fill=\"", fill, "\"/>\n");
  }
  void path(const std::vector<double>& x, const std::vector<double>& y, std::string_view stroke) {
    text_ += join_text("<polyline fill=\"none\" stroke-width=\"2\" stroke=\"", stroke, "\" points=\"");
    for (std::size_t i = 0; i < x.size(); ++i) text_ += join_text(short_number(x[i]), ",", short_number(y[i]), " ");
    text_ += "\"/>\n";
  }
  /// A frame with a label on a ground of its colour.
  void labelled_frame(double x, double y, double width, double height, std::string_view label, std::string_view stroke) {
    text_ += join_text("<rect x=\"", short_number(x), "\" y=\"", short_number(y), "\" width=\"", short_number(width), "\" height=\"",
                       short_number(height), "\" fill=\"none\" stroke-width=\"2\" stroke=\"", stroke, "\"/>\n");
    if (label.empty()) return;
    constexpr double kHigh = 16, kMargin = 3;
    const double top = y >= kHigh ? y - kHigh : y;
    text_ += join_text("<rect x=\"", short_number(x), "\" y=\"", short_number(top), "\" width=\"",
                       short_number(width_of(label) + 2 * kMargin), "\" height=\"", short_number(kHigh), "\" fill=\"", stroke, "\"/>\n");
    this->text(x + kMargin, top + kHigh - 4, label, Anchor::start, 0, "white");
  }
  void image(double x, double y, double width, double height, const Image& pixels) {
    text_ += join_text("<image x=\"", short_number(x), "\" y=\"", short_number(y), "\" width=\"", short_number(width), "\" height=\"",
                       short_number(height), "\" href=\"data:image/png;base64,");
    text_.append(base64(encode_png(pixels))).append("\"/>\n");
  }
  std::string finished() && { return std::move(text_) + "</svg>\n"; }

 private:
  std::string text_;
};

double widest(const std::vector<std::string>& names) {
  double width = 0;
  for (const std::string& name : names) width = std::max(width, width_of(name));
  return width;
}

std::string shade(double share) {
  std::array<int, 3> c{};
  for (std::size_t k = 0; k < 3; ++k) c[k] = static_cast<int>(std::lround(255 + share * (kDarkest[k] - 255)));
  return join_text("rgb(", c[0], ",", c[1], ",", c[2], ")");
}

}  // namespace

std::string svg_of(const MatrixFigure& f) {
  require<DataError>(!f.rows.empty() && !f.columns.empty() && f.values.size() == f.rows.size() * f.columns.size(),
                     "figure: a matrix needs a name for every row and column: ", f.rows.size(), " and ", f.columns.size(), " names, ",
                     f.values.size(), " values");
  float most = 0;
  for (const float v : f.values) {
    require<DataError>(std::isfinite(v) && v >= 0, "figure: a cell of a matrix must be a number from 0 on, got ", v);
    most = std::max(most, v);
  }
  constexpr double kText = 13, kGap = 6, kTitle = 28;
  const double cell = std::max(f.rows.size(), f.columns.size()) > 40 ? 10 : 24;
  // Names that would lie over each other are left out.
  const auto every = static_cast<std::size_t>(std::ceil((kText + 3) / cell));
  const double left = kTitle + widest(f.rows) + kGap, top = 2 * kTitle + widest(f.columns) + kGap;
  const double width = static_cast<double>(f.columns.size()) * cell, height = static_cast<double>(f.rows.size()) * cell;
  Drawing d(std::max(left + width + kTitle, kTitle + width_of(f.title)), top + height + kTitle);
  using enum Drawing::Anchor;
  d.text(kGap, kTitle - kText / 2, f.title, start);
  d.text(left + width / 2, 2 * kTitle - kText / 2, f.columns_title, middle);
  d.text(kText + 2, top + height / 2, f.rows_title, middle, -90);
  for (std::size_t c = 0; c < f.columns.size(); c += every) {
    const double x = left + (static_cast<double>(c) + .5) * cell + kText / 3;
    d.text(x, top - kGap, f.columns[c], start, -90);
  }
  for (std::size_t r = 0; r < f.rows.size(); r += every)
    d.text(left - kGap, top + (static_cast<double>(r) + .5) * cell + kText / 3, f.rows[r], end);
  for (std::size_t r = 0; r < f.rows.size(); ++r)
    for (std::size_t c = 0; c < f.columns.size(); ++c) {
      const float v = f.values[r * f.columns.size() + c];
      d.cell(left + static_cast<double>(c) * cell, top + static_cast<double>(r) * cell, cell,
             shade(most > 0 ? static_cast<double>(v / most) : 0), join_text(f.rows[r], ", ", f.columns[c], ": ", short_number(v)));
    }
  d.frame(left, top, width, height);
  return std::move(d).finished();
}

std::vector<double> round_ticks(double low, double high, int count) {
  require<DataError>(std::isfinite(low) && std::isfinite(high) && low <= high && count > 0, "figure: an axis needs low <= high: ", low,
                     ", ", high);
  if (low == high) low -= .5, high += .5;
  const double raw = (high - low) / count, power = std::pow(10., std::floor(std::log10(raw)));
  double step = 10 * power;
  for (const double factor : {5., 2., 1.})
    if (factor * power >= raw) step = factor * power;
  std::vector<double> ticks;
  constexpr double kRounding = 1e-9;  // 3e-5 / 1e-5 is a little more than 3
  const double first = std::floor(low / step + kRounding), last = std::ceil(high / step - kRounding);
  for (double k = first; k <= last; ++k) ticks.push_back(k * step);
  return ticks;
}

std::string svg_of(const CurveFigure& f) {
  double x_low = 0, x_high = 0, y_low = 0, y_high = 0;
  bool any = false;
  for (const Curve& c : f.curves) {
    require<DataError>(c.x.size() == c.y.size(), "figure: the curve '", c.name, "' has ", c.x.size(), " x and ", c.y.size(), " y");
    for (std::size_t i = 0; i < c.x.size(); ++i) {
      require<DataError>(std::isfinite(c.x[i]) && std::isfinite(c.y[i]), "figure: point ", i, " of the curve '", c.name, "' is (", c.x[i],
                         ", ", c.y[i], ")");
      x_low = any ? std::min(x_low, c.x[i]) : c.x[i], x_high = any ? std::max(x_high, c.x[i]) : c.x[i];
      y_low = any ? std::min(y_low, c.y[i]) : c.y[i], y_high = any ? std::max(y_high, c.y[i]) : c.y[i];
      any = true;
    }
  }
  require<DataError>(any, "figure: there is no point to draw");
  constexpr double kLeft = 70, kTop = 40, kWidth = 560, kHeight = 340, kLegend = 170;
  const std::vector<double> xs = round_ticks(x_low, x_high, 8), ys = round_ticks(y_low, y_high, 6);
  const auto across = [&](double x) { return kLeft + kWidth * (x - xs.front()) / (xs.back() - xs.front()); };
  const auto down = [&](double y) { return kTop + kHeight * (ys.back() - y) / (ys.back() - ys.front()); };
  Drawing d(kLeft + kWidth + kLegend, kTop + kHeight + 60);
  using enum Drawing::Anchor;
  d.text(kLeft, 24, f.title, start);
  for (const double x : xs) {
    d.line(across(x), kTop, across(x), kTop + kHeight, "#e4e4e4");
    d.text(across(x), kTop + kHeight + 18, short_number(x), middle);
  }
  for (const double y : ys) {
    d.line(kLeft, down(y), kLeft + kWidth, down(y), "#e4e4e4");
    d.text(kLeft - 8, down(y) + 4, short_number(y), end);
  }
  d.frame(kLeft, kTop, kWidth, kHeight);
  d.text(kLeft + kWidth / 2, kTop + kHeight + 44, f.x_title, middle);
  d.text(18, kTop + kHeight / 2, f.y_title, middle, -90);
  for (std::size_t i = 0; i < f.curves.size(); ++i) {
    const Curve& c = f.curves[i];
    const std::string_view colour = kColours[i % kColours.size()];
    std::vector<double> x, y;
    for (std::size_t k = 0; k < c.x.size(); ++k) x.push_back(across(c.x[k])), y.push_back(down(c.y[k]));
    const double at = kTop + 12 + 20 * static_cast<double>(i);
    if (c.points) {
      for (std::size_t k = 0; k < x.size(); ++k) d.dot(x[k], y[k], colour);
      d.dot(kLeft + kWidth + 22, at - 4, colour);
    } else {
      d.path(x, y, colour);
      d.line(kLeft + kWidth + 12, at - 4, kLeft + kWidth + 32, at - 4, colour);
    }
    d.text(kLeft + kWidth + 38, at, c.name, start);
  }
  return std::move(d).finished();
}

std::string svg_of(const ImageFigure& f) {
  require<DataError>(!f.panels.empty() && f.columns > 0, "figure: there is no image to draw");
  constexpr double kGap = 8, kCaption = 22, kLeast = 320;
  double wide = 0, high = 0;
  for (const ImagePanel& p : f.panels) {
    wide = std::max(wide, static_cast<double>(p.image.width));
    high = std::max(high, static_cast<double>(p.image.height));
  }
  const double scale = std::max(1.0, kLeast / wide);
  const auto count = static_cast<std::int64_t>(f.panels.size()), columns = std::min(f.columns, count),
             rows = (count + columns - 1) / columns;
  const double step_x = wide * scale + kGap, step_y = high * scale + kCaption + kGap;
  Drawing d(kGap + static_cast<double>(columns) * step_x, kGap + static_cast<double>(rows) * step_y);
  for (std::int64_t i = 0; i < count; ++i) {
    const ImagePanel& p = f.panels[static_cast<std::size_t>(i)];
    const std::int64_t row = i / columns;
    const double left = kGap + static_cast<double>(i % columns) * step_x, top = kGap + static_cast<double>(row) * step_y;
    d.image(left, top, static_cast<double>(p.image.width) * scale, static_cast<double>(p.image.height) * scale, p.image);
    for (const FramedBox& b : p.boxes) {
      require<DataError>(std::isfinite(b.x) && std::isfinite(b.y) && std::isfinite(b.width) && std::isfinite(b.height), "figure: the box '",
                         b.label, "' is not finite");
      d.labelled_frame(left + b.x * scale, top + b.y * scale, std::max(0.0, b.width) * scale, std::max(0.0, b.height) * scale, b.label,
                       kColours[static_cast<std::size_t>(b.colour) % kColours.size()]);
    }
    d.text(left, top + high * scale + kCaption - 8, p.caption, Drawing::Anchor::start);
  }
  return std::move(d).finished();
}

}  // namespace capstan::data
