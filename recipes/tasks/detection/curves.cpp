#include "recipes/tasks/detection/curves.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "autograd/core/error.h"
#include "data/at.h"

namespace capstan::detection {
namespace {

constexpr std::int64_t kThresholdHalf = 0, kThresholdThreeQuarters = 5;
constexpr std::size_t kMostCategories = 8;

data::Curve curve_named(std::string name) {
  data::Curve c{.name = std::move(name), .x = {}, .y = {}};
  for (std::int64_t r = 0; r < CocoMetric::kRecalls; ++r) c.x.push_back(static_cast<double>(r) / (CocoMetric::kRecalls - 1));
  c.y.assign(c.x.size(), 0);
  return c;
}

/// The mean over these categories and thresholds.
data::Curve mean_curve(std::string name, const CocoMetric::Result& result, std::span<const std::int64_t> categories, std::int64_t first,
                       std::int64_t last) {
  data::Curve c = curve_named(std::move(name));
  const double count = static_cast<double>(std::ssize(categories) * (last - first + 1));
  for (const std::int64_t category : categories)
    for (std::int64_t t = first; t <= last; ++t) {
      const std::span<const double> precision = result.precision(t, category);
      for (std::size_t r = 0; r < c.y.size(); ++r) c.y[r] += precision[r] / count;
    }
  return c;
}

std::string rounded(double v) { return join_text(std::round(v * 1000) / 1000); }

}  // namespace

std::vector<data::Curve> precision_curves(const CocoMetric::Result& result, std::span<const std::string> names) {
  std::vector<std::int64_t> categories;
  for (std::int64_t c = 0; c < result.categories(); ++c)
    if (result.precision(kThresholdHalf, c)[0] >= 0) categories.push_back(c);
  const auto title = [&](const char* what, std::string_view number) {
    return join_text(what, ' ', rounded(engine::value_of(result.numbers(), number)));
  };
  if (categories.empty()) return {};
  std::vector<data::Curve> curves;
  curves.push_back(mean_curve(title("AP50", "ap50"), result, categories, kThresholdHalf, kThresholdHalf));
  curves.push_back(mean_curve(title("AP75", "ap75"), result, categories, kThresholdThreeQuarters, kThresholdThreeQuarters));
  curves.push_back(mean_curve(title("AP", "ap"), result, categories, 0, CocoMetric::kThresholds - 1));
  std::ranges::stable_sort(categories, std::ranges::greater{}, [&](std::int64_t c) { return result.truths(c); });
  if (categories.size() > 1)
    for (std::size_t i = 0; i < std::min(categories.size(), kMostCategories); ++i) {
      const std::int64_t c = categories[i];
      curves.push_back(mean_curve(join_text(names[data::at(c)], ' ', rounded(result.ap_at(kThresholdHalf, c))), result, std::span(&c, 1),
                                  kThresholdHalf, kThresholdHalf));
    }
  return curves;
}

std::string curves_svg(const CocoMetric::Result& result, std::span<const std::string> names) {
  data::CurveFigure figure{
      .title = "precision and recall", .x_title = "recall", .y_title = "precision", .curves = precision_curves(result, names)};
  if (figure.curves.empty()) {
    figure.title = "nothing to be found";
    figure.curves.push_back(curve_named("precision"));
  }
  return data::svg_of(figure);
}

}  // namespace capstan::detection
