#pragma once
// What findings of several tasks are made of: sums over groups of cases, places spread over a split, numbers and texts in cells, pictures.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/image/image.h"
#include "recipes/engine/metrics/metric.h"

namespace capstan::engine {

/// Sums over the cases of each group, such as cases and hits by the length of a history. It reports no metric: a finding is made of it.
class GroupSums : public Accumulator {
 public:
  GroupSums(std::int64_t groups, std::int64_t columns)
      : Accumulator(static_cast<std::size_t>(groups * columns)), groups_(groups), columns_(columns) {}
  void add(std::int64_t group, std::int64_t column, double value = 1) { sums_[place(group, column)] += value; }
  double at(std::int64_t group, std::int64_t column) const { return sums_[place(group, column)]; }
  double total(std::int64_t column) const;
  /// at(group, column) by at(group, 0), the cases; 0 without any.
  double mean(std::int64_t group, std::int64_t column) const;
  std::int64_t groups() const { return groups_; }
  std::vector<MetricInfo> metrics() const override { return {}; }
  std::vector<double> values() const override { return {}; }

 private:
  std::size_t place(std::int64_t group, std::int64_t column) const { return static_cast<std::size_t>(group * columns_ + column); }
  std::int64_t groups_, columns_;
};

/// Numbers of groups that double in width: 1, 2, 3 - 4, 5 - 8, ... `count` of them, the last one open.
struct DoublingGroups {
  std::int64_t count = 12;
  /// Of a number from 1 on; below it as 1.
  std::int64_t of(std::int64_t number) const;
  std::string name(std::int64_t group) const;
};

/// At most `count` of the places 0 .. size - 1, at equal distances, in the middle of their stretches.
std::vector<std::int64_t> spread_places(std::int64_t size, std::int64_t count);

/// With so many digits behind the point; "-" for what is no number.
std::string decimals(double value, int digits);
/// "12.3%", which reads as a number
std::string percent(double share);
/// "1 image", "2,000 images"
std::string counted(std::int64_t count, std::string_view singular);
/// A text for a cell: without line ends, at most so many characters.
std::string cell(std::string_view text, std::size_t most = 300);

/// A picture for a page: what is tiny is enlarged pixel by pixel, what is large is shrunk.
data::Image page_picture(const data::ImageView& image, std::int64_t least = 112, std::int64_t most = 320);

}  // namespace capstan::engine
