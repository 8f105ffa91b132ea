#include "recipes/tasks/span_extraction/scorer.h"

#include <algorithm>
#include <limits>
#include <map>

#include "data/text/unicode.h"

namespace capstan::span_extraction {
namespace {

namespace unicode = data::unicode;

constexpr std::string_view kPunctuation = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
constexpr std::string_view kArticles[] = {"a", "an", "the"};

/// Each maximal run of characters of a word that is an article becomes a blank.
std::string without_articles(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    const auto in_word = [&] {
      std::size_t after = at;
      const char32_t c = unicode::decode(text, after);
      if (!unicode::is_alphanumeric(c) && c != U'_') return false;
      at = after;
      return true;
    };
    while (at < text.size() && in_word()) {
    }
    if (at == begin) {
      unicode::decode(text, at);
      out += text.substr(begin, at - begin);
    } else {
      const std::string_view word = text.substr(begin, at - begin);
      out += std::ranges::find(kArticles, word) != std::end(kArticles) ? " " : word;
    }
  }
  return out;
}

std::vector<std::string_view> tokens_of(std::string_view normal) {
  std::vector<std::string_view> out;
  while (!normal.empty()) {
    const std::size_t end = std::min(normal.find(' '), normal.size());
    out.push_back(normal.substr(0, end));
    normal.remove_prefix(std::min(end + 1, normal.size()));
  }
  return out;
}

double f1_of(const std::vector<std::string_view>& given, const std::vector<std::string_view>& predicted) {
  if (given.empty() || predicted.empty()) return given.empty() == predicted.empty() ? 1 : 0;
  std::map<std::string_view, std::int64_t> left;
  for (const std::string_view token : given) ++left[token];
  std::int64_t common = 0;
  for (const std::string_view token : predicted)
    if (const auto at = left.find(token); at != left.end() && at->second-- > 0) ++common;
  if (common == 0) return 0;
  const double precision = static_cast<double>(common) / static_cast<double>(predicted.size());
  const double recall = static_cast<double>(common) / static_cast<double>(given.size());
  return 2 * precision * recall / (precision + recall);
}

// What Scores keeps of a question.
constexpr std::size_t kAnswered = 0, kExact = 1, kF1 = 2, kNullOdds = 3, kEmpty = 4, kFields = 5;

}  // namespace

std::string normalized(std::string_view answer) {
  std::string lower = unicode::to_utf8(unicode::lower(unicode::to_utf32(answer)));
  std::erase_if(lower, [](char c) { return kPunctuation.find(c) != std::string_view::npos; });
  return unicode::single_blanks(without_articles(lower));
}

AnswerScore score(std::string_view given, std::string_view predicted) {
  const std::string a = normalized(given), b = normalized(predicted);
  return {.exact = a == b ? 1. : 0., .f1 = f1_of(tokens_of(a), tokens_of(b))};
}

AnswerScore best_score(std::span<const std::string> given, std::string_view predicted) {
  AnswerScore best;
  bool any = false;
  const auto take = [&](std::string_view answer) {
    const AnswerScore s = score(answer, predicted);
    best = {.exact = std::max(best.exact, s.exact), .f1 = std::max(best.f1, s.f1)};
    any = true;
  };
  for (const std::string& answer : given)
    if (!normalized(answer).empty()) take(answer);
  if (!any) take("");
  return best;
}

Scores::Scores(std::vector<bool> has_answer, Options options)
    : Accumulator(kFields * has_answer.size()), has_answer_(std::move(has_answer)), options_(options) {}

void Scores::add(std::int64_t question, AnswerScore score, double null_odds, bool empty) {
  const auto at = static_cast<std::size_t>(question) * kFields;
  sums_.at(at + kAnswered) = 1;
  sums_.at(at + kExact) = score.exact;
  sums_.at(at + kF1) = score.f1;
  sums_.at(at + kNullOdds) = null_odds;
  sums_.at(at + kEmpty) = empty ? 1 : 0;
}

double Scores::of(std::int64_t question, std::size_t field) const { return sums_[static_cast<std::size_t>(question) * kFields + field]; }

std::int64_t Scores::answered() const {
  std::int64_t count = 0;
  for (std::size_t i = kAnswered; i < sums_.size(); i += kFields) count += sums_[i] > 0 ? 1 : 0;
  return count;
}

double Scores::mean(std::size_t field) const {
  double sum = 0;
  for (std::size_t i = field; i < sums_.size(); i += kFields) sum += sums_[i];
  return 100 * sum / static_cast<double>(answered());  // NaN without any
}

double Scores::mean(std::size_t field, bool has_answer) const {
  double sum = 0;
  std::int64_t count = 0;
  for (std::size_t q = 0; q < has_answer_.size(); ++q)
    if (has_answer_[q] == has_answer) {
      sum += sums_[q * kFields + field];
      ++count;
    }
  return 100 * sum / static_cast<double>(count);
}

// From the threshold below all null odds, with which nothing is answered, upwards: each question in turn is answered as predicted.
Scores::Best Scores::best(std::size_t field) const {
  std::vector<std::int64_t> order;
  double sum = 0;
  for (std::size_t q = 0; q < has_answer_.size(); ++q) {
    if (!has_answer_[q]) ++sum;
    if (of(static_cast<std::int64_t>(q), kAnswered) > 0) order.push_back(static_cast<std::int64_t>(q));
  }
  std::ranges::stable_sort(order, {}, [&](std::int64_t q) { return of(q, kNullOdds); });
  Best best{.score = sum, .threshold = 0};
  for (const std::int64_t q : order) {
    if (has_answer_[static_cast<std::size_t>(q)]) {
      sum += of(q, field);
    } else if (of(q, kEmpty) == 0) {
      sum -= 1;
    }
    if (sum > best.score) best = {.score = sum, .threshold = of(q, kNullOdds)};
  }
  best.score = 100 * best.score / static_cast<double>(answered());
  return best;
}

std::vector<engine::MetricInfo> Scores::metrics() const {
  using engine::Goal;
  std::vector<engine::MetricInfo> out{{"exact"}, {"f1"}, {"total", Goal::none}};
  if (options_.by_kind)
    for (const char* kind : {"HasAns", "NoAns"})
      for (const char* name : {"_exact", "_f1"}) out.push_back({std::string(kind) + name});
  if (options_.best_threshold)
    for (const char* name : {"best_exact", "best_f1"}) {
      out.push_back({name});
      out.push_back({std::string(name) + "_thresh", Goal::none});
    }
  return out;
}

std::vector<double> Scores::values() const {
  std::vector<double> out{mean(kExact), mean(kF1), static_cast<double>(answered())};
  if (options_.by_kind)
    for (const bool has_answer : {true, false})
      for (const std::size_t field : {kExact, kF1}) out.push_back(mean(field, has_answer));
  if (options_.best_threshold)
    for (const std::size_t field : {kExact, kF1}) {
      const Best b = best(field);
      out.push_back(b.score);
      out.push_back(b.threshold);
    }
  return out;
}

}  // namespace capstan::span_extraction
