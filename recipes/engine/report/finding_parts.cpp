#include "recipes/engine/report/finding_parts.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>

#include "autograd/core/error.h"
#include "data/data_report.h"
#include "data/image/resize.h"
#include "recipes/engine/terminal/terminal.h"

namespace capstan::engine {

double GroupSums::total(std::int64_t column) const {
  double sum = 0;
  for (std::int64_t g = 0; g < groups_; ++g) sum += at(g, column);
  return sum;
}

double GroupSums::mean(std::int64_t group, std::int64_t column) const {
  const double cases = at(group, 0);
  return cases > 0 ? at(group, column) / cases : 0;
}

std::int64_t DoublingGroups::of(std::int64_t number) const {
  const auto below = static_cast<std::uint64_t>(std::max<std::int64_t>(number, 1) - 1);
  return std::min(static_cast<std::int64_t>(std::bit_width(below)), count - 1);
}

std::string DoublingGroups::name(std::int64_t group) const {
  if (group == 0) return "1";
  const std::int64_t last = std::int64_t{1} << group, first = last / 2 + 1;
  if (group == count - 1) return join_text(data::grouped(first), " and more");
  return first == last ? join_text(first) : join_text(data::grouped(first), " to ", data::grouped(last));
}

std::vector<std::int64_t> spread_places(std::int64_t size, std::int64_t count) {
  count = std::min(size, count);
  std::vector<std::int64_t> out;
  for (std::int64_t i = 0; i < count; ++i) out.push_back((2 * i + 1) * size / (2 * count));
  return out;
}

std::string decimals(double value, int digits) {
  if (!std::isfinite(value)) return "-";
  std::array<char, 64> text{};
  const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed, digits);
  return error == std::errc() ? std::string(text.data(), end) : join_text(value);
}

std::string percent(double share) { return decimals(100 * share, 1) + "%"; }

std::string counted(std::int64_t count, std::string_view singular) {
  return join_text(data::grouped(count), " ", singular, count == 1 ? "" : "s");
}

std::string cell(std::string_view text, std::size_t most) {
  std::string line(text);
  std::ranges::replace_if(
      line, [](char c) { return c == '\n' || c == '\r' || c == '\t'; }, ' ');
  return cut_to(line, most);
}

data::Image page_picture(const data::ImageView& image, std::int64_t least, std::int64_t most) {
  const std::int64_t longer = std::max(image.height, image.width);
  if (longer > most) {
    const auto shrunk = [&](std::int64_t side) { return std::max<std::int64_t>(1, (side * most + longer / 2) / longer); };
    return data::resize(image, shrunk(image.height), shrunk(image.width), data::Filter::bilinear);
  }
  const std::int64_t times = std::max<std::int64_t>(1, std::min((least + longer - 1) / longer, most / longer));
  if (times == 1) return data::copy_of(image);
  return data::resize(image, image.height * times, image.width * times, data::Filter::box);
}

}  // namespace capstan::engine
