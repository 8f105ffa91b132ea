#pragma once
// Charts of a report: lines over a step, as an HTML figure with an SVG drawing inside.
//
// The drawing has neither colours nor fonts of its own: elements name classes (c0..c7 for a colour, d0..d4 for dashes, r<N> for the run
// that they belong to) and page_style.h says what they look like, light and dark. Each figure carries a description and a table of some of
// its values for readers who do not see it, and all drawn points in data-p for the page's script. Text is escaped here.

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace capstan::engine {

struct ChartPoint {
  double x = 0, y = 0;  ///< y not finite: a gap, which is marked on the axis
  bool operator==(const ChartPoint&) const = default;
};

struct ChartSeries {
  std::string name;
  std::size_t run = 0;             ///< chooses the colour, and with several also the dashes
  std::vector<ChartPoint> points;  ///< x rising
  bool faint = false;              ///< in the background, such as what another series smooths
  bool joined = true;              ///< by a line; false: dots
};

/// A horizontal line, such as what a simple method reaches.
struct ChartLevel {
  std::string name;
  double value = 0;
};

/// A point with a ring around it.
struct ChartMark {
  double x = 0, y = 0;
  std::string label;
  std::size_t run = 0;
  bool across = false;  ///< a vertical line through it, too
};

enum class ChartScale : std::uint8_t { linear, logarithmic, fitting };

struct Chart {
  std::string title, note = {};
  std::string x_title = "step", y_title = {};
  ChartScale x_scale = ChartScale::linear;
  ChartScale y_scale = ChartScale::fitting;  ///< fitting: logarithmic where all is positive and spans much
  bool from_zero = false;                    ///< the y axis begins at 0
  bool x_from_zero = true;                   ///< so does a linear x axis
  bool legend = false;                       ///< names of the series below; otherwise the page says whose the colours are
  std::vector<ChartSeries> series = {};
  std::vector<ChartLevel> levels = {};
  std::vector<ChartMark> marks = {};
};

/// One axis: where values are, from 0 to 1, and what is written beside it.
class ChartAxis {
 public:
  struct Tick {
    double value = 0;
    std::string label;
  };
  /// `round`: the ends move out to round numbers. Throws DataError unless low <= high, both finite.
  static ChartAxis linear(double low, double high, int ticks, bool round);
  /// Throws DataError unless 0 < low <= high, both finite.
  static ChartAxis logarithmic(double low, double high);

  double place(double value) const;
  double low() const { return low_; }
  double high() const { return high_; }
  bool is_logarithmic() const { return logarithmic_; }
  std::span<const Tick> ticks() const { return ticks_; }

 private:
  double low_ = 0, high_ = 1;
  bool logarithmic_ = false;
  std::vector<Tick> ticks_;
};

/// Labels of numbers on one axis, with equally many digits behind the point; thousands, millions as k, M where all are multiples of such.
std::vector<std::string> tick_labels(std::span<const double> ticks);

/// At most about two points for each of `buckets` equal parts of the x range, the lowest and the highest of each, and the ends, so that a
/// drawing looks the same; few points stay as they are. Of a part's points that are not finite, one stays.
std::vector<ChartPoint> thinned(std::span<const ChartPoint> points, std::size_t buckets);

/// Exponential moving average of `weight`, without the pull of its start to zero; what is not finite stays a gap. 0 <= weight < 1.
std::vector<ChartPoint> smoothed(std::span<const ChartPoint> points, double weight);

/// A <figure>. `id` must be unique in the page.
std::string figure_of(const Chart& chart, std::string_view id);

/// A small line without axes, for a cell of a table; logarithmic where all is positive.
std::string sparkline(std::span<const ChartPoint> points, std::string_view description);

/// The stroke of a run, for a legend.
std::string swatch(std::size_t run, bool joined = true);

/// Four significant digits, also of small numbers: 0.4512, 2.5e-05 becomes 2.5e-5.
std::string page_number(double value);
/// The same without zeros at the end.
std::string plain_number(double value);

}  // namespace capstan::engine
