#include "recipes/gru4rec/recommend.h"

#include <limits>
#include <ostream>

#include "recipes/engine/command/answer_lines.h"
#include "recipes/engine/metrics/ranking.h"

namespace capstan::gru4rec {

Recommender::Recommender(const Model& model, const data::IdMap& item_names, const PredictOptions& options)
    : model_(model), names_(item_names), options_(options) {}

Recommender::Session& Recommender::find(std::string_view session) {
  if (const auto known = by_name_.find(session); known != by_name_.end()) {
    newest_.splice(newest_.begin(), newest_, known->second);
    return newest_.front();
  }
  if (static_cast<std::int64_t>(newest_.size()) >= options_.sessions) {
    by_name_.erase(newest_.back().name);
    newest_.pop_back();
  }
  newest_.push_front({std::string(session), model_.start(1), -1});
  by_name_.emplace(newest_.front().name, newest_.begin());
  return newest_.front();
}

std::vector<Recommender::Recommendation> Recommender::observe(std::string_view session, std::int64_t item) {
  Session& s = find(session);
  if (item >= 0) {
    model_.step(Tensor::from<std::int64_t>({item}, Shape{1}), s.hidden, {});
    s.last = item;
  }
  if (s.last < 0) return {};
  const Tensor scores = model_.scores(s.hidden.back()).contiguous();
  if (options_.filter_seen) scores.data<float>()[s.last] = -std::numeric_limits<float>::infinity();
  std::vector<Recommendation> out;
  for (const std::int64_t best : engine::top_k(scores.span<const float>(), options_.top))
    out.push_back({best, scores.data<const float>()[best]});
  return out;
}

void Recommender::run(std::istream& in, std::ostream& out) {
  std::string answer;
  const auto take = [&](const std::string& line, std::int64_t number) {
    const std::size_t end = line.find(line.find('\t') == std::string::npos ? ' ' : '\t');
    require<DataError>(end != std::string::npos && end > 0 && end + 1 < line.size(), "line ", number,
                       ": expected 'session <tab> item', got '", line, "'");
    const std::string_view session = std::string_view(line).substr(0, end), rest = std::string_view(line).substr(end + 1);
    const std::string_view item =
        rest.substr(0, rest.find(line[end]));  // what follows, such as the time in a file for training, is not needed
    answer = session;
    for (const auto& [best, score] : observe(session, names_.find(item))) answer += join_text("\t", names_[best], "\t", score);
  };
  engine::answer_lines(in, out, /*batch_size=*/1, take, [&] { out << answer << '\n'; });
}

}  // namespace capstan::gru4rec
