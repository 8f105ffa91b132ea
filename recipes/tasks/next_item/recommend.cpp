#include "recipes/tasks/next_item/recommend.h"

#include <algorithm>
#include <limits>

#include "autograd/core/error.h"
#include "recipes/engine/metrics/ranking.h"
#include "recipes/engine/report/run_log.h"
#include "recipes/tasks/recommendation/score_rows.h"
#include "recipes/tasks/recommendation/table_options.h"

namespace capstan::next_item {
namespace {

/// One answer, without the end of the line.
std::string text_of(const Query& q, std::span<const std::int64_t> best, std::span<const float> scores, const data::IdMap& names,
                    bool json) {
  std::string unknown;
  for (const auto& u : q.unknown) unknown += (unknown.empty() ? "" : ",") + (json ? engine::json_string(u) : u);
  std::string out = json ? R"({"input":)" + engine::json_string(q.key) + R"(,"unknown":[)" + unknown + R"(],"items":[)"
                         : q.key + "\t" + (unknown.empty() ? "-" : unknown);
  bool first = true;
  for (const auto item : best) {
    const std::string_view name = names[item - 1];
    const float score = scores[static_cast<std::size_t>(item)];
    out += json ? join_text(first ? "" : ",", R"({"item":)", engine::json_string(name), R"(,"score":)", score, "}")
                : join_text("\t", name, "\t", score);
    first = false;
  }
  return json ? out + "]}" : out;
}

}  // namespace

Recommender::Recommender(const PredictOptions& options, bool json, const data::IdMap& item_names, const Dataset* users)
    : options_(options), json_(json), item_names_(item_names), users_(users) {
  if (options_.input != PredictInput::users) return;
  require<InternalError>(users_ != nullptr, "recommend: predict.input = users needs the data set");
  for (std::int64_t u = 0; u < users_->user_count(); ++u) user_of_.emplace(users_->user_name(u), u);
}

Query Recommender::read(std::string_view line, std::int64_t number) const {
  Query q;
  if (options_.input == PredictInput::users) {
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
  for (const std::string& field : recommendation::query_fields(line, item_names_)) {
    const std::int64_t index = item_names_.find(field);
    if (index >= 0) {
      q.items.push_back(static_cast<std::int32_t>(index + 1));
    } else {
      q.unknown.emplace_back(field);
    }
  }
  return q;
}

std::vector<std::string> Recommender::answer(std::span<const Query> queries, const SequenceScorer& scorer) const {
  const auto width = static_cast<std::size_t>(item_names_.size() + 1);
  const auto block = static_cast<std::size_t>(recommendation::score_rows(item_names_.size() + 1));
  std::vector<std::string> answers;
  std::vector<float> scores;
  for (; !queries.empty(); queries = queries.subspan(std::min(block, queries.size()))) {
    const auto some = queries.first(std::min(block, queries.size()));
    std::vector<std::span<const std::int32_t>> sequences;
    for (const Query& q : some)
      if (!q.items.empty()) sequences.emplace_back(q.items);
    scores.resize(sequences.size() * width);
    if (!sequences.empty()) scorer(sequences, scores);
    std::size_t row = 0;
    for (const Query& q : some) {
      std::span<float> own;
      std::vector<std::int64_t> best;
      if (!q.items.empty()) {
        own = std::span(scores).subspan(row++ * width, width);
        constexpr float never = -std::numeric_limits<float>::infinity();
        own[0] = never;
        if (options_.filter_seen)
          for (const auto item : q.items) own[static_cast<std::size_t>(item)] = never;
        best = engine::top_k(own, options_.top);
      }
      answers.push_back(text_of(q, best, own, item_names_, json_));
    }
  }
  return answers;
}

}  // namespace capstan::next_item
