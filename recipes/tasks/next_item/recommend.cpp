#include "recipes/tasks/next_item/recommend.h"

#include <algorithm>
#include <limits>

#include "autograd/core/error.h"
#include "autograd/ops/shape_ops.h"
#include "recipes/engine/metrics/ranking.h"
#include "recipes/engine/report/run_log.h"
#include "recipes/tasks/recommendation/score_rows.h"
#include "recipes/tasks/recommendation/table_options.h"

namespace capstan::next_item {
namespace {

/// One answer, without the end of the line.
std::string text_of(const Query& q, std::span<const std::int64_t> best, std::span<const float> scores, const data::IdMap& names,
                    const recommendation::ItemTitles& titles, bool json) {
  std::string unknown;
  for (const auto& u : q.unknown)
    unknown += join_text(unknown.empty() ? "" : ",", json ? engine::json_string(u) : recommendation::as_field(u));
  std::string out = json ? join_text(R"({"input":)", engine::json_string(q.key), R"(,"unknown":[)", unknown, R"(],"items":[)")
                         : join_text(recommendation::as_field(q.key), "\t", unknown.empty() ? "-" : unknown);
  bool first = true;
  for (const auto item : best) {
    const std::string_view name = names[item - 1];
    const float score = scores[static_cast<std::size_t>(item)];
    out += json ? join_text(first ? "" : ",", R"({"item":)", engine::json_string(name), titles.json_member(item - 1), R"(,"score":)", score,
                            "}")
                : join_text("\t", recommendation::as_field(name), "\t", score);
    first = false;
  }
  return json ? out + "]}" : out;
}

}  // namespace

Recommender::Recommender(const PredictOptions& options, const recommendation::TableOptions& table, bool json, const data::IdMap& item_names,
                         const Dataset* users)
    : options_(options), table_(table), json_(json), item_names_(item_names), users_(users) {
  if (options_.input != PredictInput::users) return;
  require<InternalError>(users_ != nullptr, "recommend: predict.input = users needs the data set");
  for (std::int64_t u = 0; u < users_->user_count(); ++u) user_of_.emplace(users_->user_name(u), u);
}

Query Recommender::read(std::string_view line, std::int64_t number) const {
  Query q;
  if (options_.input == PredictInput::items) {
    q.key = line;
    return q;
  }
  if (options_.input == PredictInput::users) {
    while (!user_of_.contains(line) && (line.starts_with(' ') || line.starts_with('\t'))) line.remove_prefix(1);
    while (!user_of_.contains(line) && (line.ends_with(' ') || line.ends_with('\t'))) line.remove_suffix(1);
    q.key = line;
    const auto user = user_of_.find(line);
    const std::vector<std::string>* unknown = users_->unknown_items(q.key);
    if (unknown != nullptr) q.unknown = *unknown;
    if (user != user_of_.end()) {
      const auto items = users_->everything(user->second);
      q.items.assign(items.begin(), items.end());
    } else if (unknown == nullptr && !line.empty()) {
      q.unknown.push_back(q.key);
    }
    return q;
  }
  q.key = std::to_string(number);
  for (const std::string& field : recommendation::query_fields(line, item_names_, table_)) {
    const std::int64_t index = item_names_.find(field);
    if (index >= 0) {
      q.items.push_back(static_cast<std::int32_t>(index + 1));
    } else {
      q.unknown.emplace_back(field);
    }
  }
  return q;
}

std::string Recommender::recommended(const Query& q, std::span<float> scores) const {
  if (q.items.empty()) return text_of(q, {}, {}, item_names_, *titles_, json_);
  constexpr float never = -std::numeric_limits<float>::infinity();
  scores[0] = never;
  if (options_.filter_seen)
    for (const auto item : q.items) scores[static_cast<std::size_t>(item)] = never;
  for (std::size_t item = 0; item < allowed_.size(); ++item)
    if (allowed_[item] == 0) scores[item + 1] = never;
  return text_of(q, engine::top_k(scores, options_.top), scores, item_names_, *titles_, json_);
}

std::vector<std::string> Recommender::answer(std::span<const Query> queries, const SequenceScorer& scorer) const {
  std::vector<std::string> answers;
  if (options_.input == PredictInput::items) {
    for (const Query& q : queries) answers.push_back(recommendation::vectors_of(q.key, item_names_, scorer.vector, json_));
    return answers;
  }
  std::vector<std::span<const std::int32_t>> sequences;
  for (const Query& q : queries)
    if (!q.items.empty()) sequences.emplace_back(q.items);
  const Tensor hidden = sequences.empty() ? Tensor() : scorer.hidden(sequences);
  const std::int64_t width = item_names_.size() + 1, block = std::max<std::int64_t>(1, recommendation::score_rows(width) / 4);
  Tensor scores;  // of the rows from first_row on
  std::int64_t row = 0, first_row = 0;
  for (const Query& q : queries) {
    std::span<float> own;
    if (!q.items.empty()) {
      if (!scores.defined() || row == first_row + scores.size(0)) {
        scores = {};  // not two blocks at a time
        scores = scorer.scores(slice(hidden, 0, row, std::min(block, hidden.size(0) - row)));
        first_row = row;
      }
      own = {scores.data<float>() + (row++ - first_row) * width, static_cast<std::size_t>(width)};
    }
    answers.push_back(recommended(q, own));
  }
  return answers;
}

}  // namespace capstan::next_item
