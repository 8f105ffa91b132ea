#include "recipes/tasks/next_event/recommend.h"

#include <limits>
#include <utility>

#include "autograd/core/error.h"
#include "recipes/engine/metrics/ranking.h"
#include "recipes/engine/report/run_log.h"
#include "recipes/tasks/recommendation/item_vectors.h"
#include "recipes/tasks/recommendation/table_options.h"

namespace capstan::next_event {

Recommender::Recommender(const Network& network, const data::IdMap& item_names, const PredictOptions& options, bool json,
                         recommendation::TableOptions table)
    : network_(network), names_(item_names), options_(options), json_(json), table_(std::move(table)) {}

Recommender::Session& Recommender::find(std::string_view session) {
  if (const auto known = by_name_.find(session); known != by_name_.end()) {
    newest_.splice(newest_.begin(), newest_, known->second);
    return newest_.front();
  }
  if (static_cast<std::int64_t>(newest_.size()) >= options_.sessions) {
    by_name_.erase(newest_.back().name);
    newest_.pop_back();
  }
  newest_.push_front({std::string(session), network_.start(1), -1});
  by_name_.emplace(newest_.front().name, newest_.begin());
  return newest_.front();
}

std::vector<Recommender::Recommendation> Recommender::observe(std::string_view session, std::int64_t item, const nn::Run& run) {
  Session& s = find(session);
  if (item >= 0) {
    network_.step(Tensor::from<std::int64_t>({item}, Shape{1}), s.hidden, run);
    s.last = item;
  }
  if (s.last < 0) return {};
  const Tensor scores = network_.scores(s.hidden.back()).contiguous();
  constexpr float never = -std::numeric_limits<float>::infinity();
  if (options_.filter_seen) scores.data<float>()[s.last] = never;
  for (std::size_t i = 0; i < allowed_.size(); ++i)
    if (allowed_[i] == 0) scores.data<float>()[i] = never;
  std::vector<Recommendation> out;
  for (const std::int64_t best : engine::top_k(scores.span<const float>(), options_.top))
    out.push_back({best, scores.data<const float>()[best]});
  return out;
}

Query Recommender::read(std::string_view line, std::int64_t number) const {
  if (options_.input == PredictInput::items) return {.session = std::string(line)};
  const auto fields = recommendation::query_fields(line, data::IdMap(), table_);
  if (fields.size() < 2)  // costs its own answer: one without items
    return {.session = fields.empty() ? "" : fields.front(), .error = join_text("line ", number, ": expected 'session <tab> item'")};
  return {.session = fields[0], .item = names_.find(fields[1])};  // what follows, such as the time in a file for training, is not needed
}

std::string Recommender::answer(const Query& query, const nn::Run& run) {
  if (options_.input == PredictInput::items) {
    const auto vector = [&](std::int64_t item) {
      const Tensor table = network_.table.value();
      const auto width = static_cast<std::size_t>(table.size(1));
      const auto row = table.span<const float>().subspan(static_cast<std::size_t>(item) * width, width);
      std::vector<float> out(row.begin(), row.end());
      out.push_back(network_.bias.value().data<const float>()[item]);
      return out;
    };
    return recommendation::vectors_of(query.session, names_, vector, json_);
  }
  if (!query.error.empty())
    return json_
               ? R"({"session":)" + engine::json_string(query.session) + R"(,"items":[],"error":)" + engine::json_string(query.error) + "}"
               : query.session;
  std::string out = json_ ? R"({"session":)" + engine::json_string(query.session) + R"(,"items":[)" : query.session;
  bool first = true;
  for (const auto& [item, score] : observe(query.session, query.item, run)) {
    out += json_ ? join_text(first ? "" : ",", R"({"item":)", engine::json_string(names_[item]), titles_->json_member(item), R"(,"score":)",
                             score, "}")
                 : join_text("\t", recommendation::as_field(names_[item]), "\t", score);
    first = false;
  }
  return json_ ? out + "]}" : out;
}

}  // namespace capstan::next_event
