#include "recipes/engine/metrics/translation.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <map>
#include <span>

#include "data/text/unicode.h"

namespace capstan::engine {
namespace {

namespace unicode = data::unicode;

constexpr std::size_t kWords = 4, kCharacters = 6;  // the longest n-grams
constexpr double kBeta = 2;                         // weight of recall in chrF

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_stop(char c) { return c == '.' || c == ','; }
/// Marks that always stand alone: of ASCII those that are neither letters, digits, ' - , .
bool stands_alone(char c) {
  return (c >= '{' && c <= '~') || (c >= '[' && c <= '`') || (c >= ' ' && c <= '&') || (c >= '(' && c <= '+') || (c >= ':' && c <= '@') ||
         c == '/';
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) text.replace(at, from.size(), to);
}

/// Replaces every pair of neighbours for which `found` by `first` before, between and `last` behind, from the left, none overlapping.
template <class Found>
std::string apart(const std::string& text, const Found& found, std::string_view before, std::string_view between, std::string_view behind) {
  std::string out;
  std::size_t at = 0;
  for (; at + 1 < text.size();)
    if (found(text[at], text[at + 1])) {
      out.append(before).push_back(text[at]);
      out.append(between).push_back(text[at + 1]);
      out.append(behind);
      at += 2;
    } else {
      out.push_back(text[at++]);
    }
  if (at < text.size()) out.push_back(text[at]);
  return out;
}

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    if (unicode::is_python_space(unicode::decode(text, at))) {
      if (!word.empty()) words.push_back(std::move(word));
      word.clear();
    } else {
      word.append(text.substr(begin, at - begin));
    }
  }
  if (!word.empty()) words.push_back(std::move(word));
  return words;
}

/// How often each run of n neighbours occurs.
template <class T>
std::map<std::vector<T>, std::int64_t> n_grams(const std::vector<T>& parts, std::size_t n) {
  std::map<std::vector<T>, std::int64_t> counts;
  for (std::size_t i = 0; i + n <= parts.size(); ++i) {
    const auto begin = parts.begin() + static_cast<std::ptrdiff_t>(i);
    ++counts[std::vector<T>(begin, begin + static_cast<std::ptrdiff_t>(n))];
  }
  return counts;
}

struct Overlap {
  std::int64_t hypothesis = 0, reference = 0, common = 0;
};

template <class T>
Overlap overlap(const std::vector<T>& hypothesis, const std::vector<T>& reference, std::size_t n) {
  const auto ours = n_grams(hypothesis, n), theirs = n_grams(reference, n);
  Overlap o;
  for (const auto& [gram, count] : ours) {
    o.hypothesis += count;
    if (const auto it = theirs.find(gram); it != theirs.end()) o.common += std::min(count, it->second);
  }
  for (const auto& [gram, count] : theirs) o.reference += count;
  return o;
}

std::vector<char32_t> characters(std::string_view text) {
  std::vector<char32_t> out;
  for (std::size_t at = 0; at < text.size();)
    if (const char32_t c = unicode::decode(text, at); !unicode::is_python_space(c)) out.push_back(c);
  return out;
}

}  // namespace

// The substitutions of mteval-v13a, one after the other, as sacreBLEU makes them.
std::vector<std::string> bleu_tokens(std::string_view text) {
  std::string plain(text);
  replace_all(plain, "<skipped>", "");
  replace_all(plain, "-\n", "");
  std::ranges::replace(plain, '\n', ' ');
  if (plain.find('&') != std::string::npos) {
    replace_all(plain, "&quot;", "\"");
    replace_all(plain, "&amp;", "&");
    replace_all(plain, "&lt;", "<");
    replace_all(plain, "&gt;", ">");
  }
  std::string spaced = " ";
  for (const char c : plain) {
    if (stands_alone(c)) spaced.push_back(' ');
    spaced.push_back(c);
    if (stands_alone(c)) spaced.push_back(' ');
  }
  spaced.push_back(' ');
  spaced = apart(
      spaced, [](char a, char b) { return !is_digit(a) && is_stop(b); }, "", " ", " ");
  spaced = apart(
      spaced, [](char a, char b) { return is_stop(a) && !is_digit(b); }, " ", " ", "");
  spaced = apart(
      spaced, [](char a, char b) { return is_digit(a) && b == '-'; }, "", " ", " ");
  return split(spaced);
}

// Sums: lengths of hypotheses and references; for n = 1 .. 4 n-grams of the hypotheses and those of them that match; texts.
void Bleu::add(std::string_view hypothesis, std::string_view reference) {
  const std::vector<std::string> ours = bleu_tokens(hypothesis), theirs = bleu_tokens(reference);
  sums_[0] += static_cast<double>(ours.size());
  sums_[1] += static_cast<double>(theirs.size());
  sums_[2 * kWords + 2] += 1;
  for (std::size_t n = 1; n <= kWords; ++n) {
    const Overlap o = overlap(ours, theirs, n);
    sums_[2 * n] += static_cast<double>(o.hypothesis);
    sums_[2 * n + 1] += static_cast<double>(o.common);
  }
}

double Bleu::value() const {
  const double length = sums_[0], reference = sums_[1];
  if (sums_[2 * kWords + 2] == 0) return std::numeric_limits<double>::quiet_NaN();
  double logs = 0, smoothing = 1;
  bool any = false;
  for (std::size_t n = 1; n <= kWords; ++n) any = any || sums_[2 * n + 1] > 0;
  if (!any) return 0;
  for (std::size_t n = 1; n <= kWords; ++n) {
    const double grams = sums_[2 * n], common = sums_[2 * n + 1];
    if (grams == 0) return 0;
    if (common == 0) smoothing *= 2;
    logs += std::log(common > 0 ? common / grams : 1 / (smoothing * grams));
  }
  const double brevity = length < reference ? std::exp(1 - reference / length) : 1;
  return 100 * brevity * std::exp(logs / kWords);
}

// Sums: texts; then, for n = 1 .. 6, n-grams of the hypotheses (where the reference has any), of the references, and common ones.
void ChrF::add(std::string_view hypothesis, std::string_view reference) {
  const std::vector<char32_t> ours = characters(hypothesis), theirs = characters(reference);
  sums_[0] += 1;
  for (std::size_t n = 1; n <= kCharacters; ++n) {
    const Overlap o = overlap(ours, theirs, n);
    const std::size_t at = 3 * n - 2;
    sums_[at] += o.reference > 0 ? static_cast<double>(o.hypothesis) : 0;
    sums_[at + 1] += static_cast<double>(o.reference);
    sums_[at + 2] += static_cast<double>(o.common);
  }
}

double ChrF::value() const {
  if (sums_[0] == 0) return std::numeric_limits<double>::quiet_NaN();
  double precision = 0, recall = 0, lengths = 0;
  for (std::size_t n = 1; n <= kCharacters; ++n) {
    const double hypothesis = sums_[3 * n - 2], reference = sums_[3 * n - 1], common = sums_[3 * n];
    if (hypothesis == 0 || reference == 0) continue;
    precision += common / hypothesis;
    recall += common / reference;
    ++lengths;
  }
  if (precision == 0 || recall == 0) return 0;
  precision /= lengths;
  recall /= lengths;
  return 100 * (1 + kBeta * kBeta) * precision * recall / (kBeta * kBeta * precision + recall);
}

}  // namespace capstan::engine
