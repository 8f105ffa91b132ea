#include "autograd/core/nearest_name.h"

#include <algorithm>
#include <vector>

namespace capstan {
namespace {

// Edits between two names; swapping two neighbours is one edit (optimal string alignment).
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i)
    for (std::size_t j = 1; j <= b.size(); ++j) {
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0u : 1u)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  return d[a.size()][b.size()];
}

std::string_view last_part(std::string_view name) { return name.substr(name.find_last_of("./") + 1); }

}  // namespace

std::string nearest_name(std::string_view wrong, std::span<const std::string> known) {
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(2, wrong.size() / 3) + 1;
  for (const std::string& k : known)
    if (const std::size_t d = edit_distance(wrong, k); d < best_distance) {
      best = k;
      best_distance = d;
    }
  if (best_distance <= 2) return best;
  // The right name in the wrong section, or in none.
  for (const std::string& k : known)
    if (last_part(k) == last_part(wrong)) return k;
  return best;
}

std::string suggestion(std::string_view wrong, std::span<const std::string> known) {
  const std::string near = nearest_name(wrong, known);
  return near.empty() ? std::string() : "; did you mean '" + near + "'?";
}

}  // namespace capstan
