#include "recipes/sasrec/recommend.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <ostream>
#include <string_view>
#include <unordered_map>

#include "autograd/core/error.h"
#include "recipes/engine/answer_lines.h"
#include "recipes/engine/metrics.h"
#include "recipes/engine/run_log.h"

namespace capstan::sasrec {
namespace {

struct Query {
  std::string key;
  std::vector<std::int32_t> items;
  std::vector<std::string> unknown;
};

std::vector<std::string_view> fields_of(std::string_view line) {
  const char separator = line.find('\t') == std::string_view::npos ? ' ' : '\t';
  std::vector<std::string_view> out;
  while (!line.empty()) {
    const std::size_t end = std::min(line.find(separator), line.size());
    if (end > 0) out.push_back(line.substr(0, end));
    line.remove_prefix(std::min(end + 1, line.size()));
  }
  return out;
}

/// One answer, without the end of the line.
std::string answer(const Query& q, std::span<const std::int64_t> best, std::span<const float> scores, const data::IdMap& names,
                   PredictFormat format) {
  const bool tsv = format == PredictFormat::tsv;
  std::string unknown;
  for (const auto& u : q.unknown) unknown += (unknown.empty() ? "" : ",") + (tsv ? u : engine::json_string(u));
  std::string out = tsv ? q.key + "\t" + (unknown.empty() ? "-" : unknown)
                        : R"({"input":)" + engine::json_string(q.key) + R"(,"unknown":[)" + unknown + R"(],"items":[)";
  bool first = true;
  for (const auto item : best) {
    const std::string_view name = names[item - 1];
    const float score = scores[static_cast<std::size_t>(item)];
    out += tsv ? join_text("\t", name, "\t", score)
               : join_text(first ? "" : ",", R"({"item":)", engine::json_string(name), R"(,"score":)", score, "}");
    first = false;
  }
  return tsv ? out : out + "]}";
}

}  // namespace

void recommend(const PredictOptions& options, const data::IdMap& item_names, const Dataset* users, std::int64_t batch_size,
               const SequenceScorer& scorer, std::istream& in, std::ostream& out) {
  std::unordered_map<std::string_view, std::int64_t> user_of;
  if (options.input == PredictInput::users) {
    require<InternalError>(users != nullptr, "recommend: predict.input = users needs the data set");
    for (std::int64_t u = 0; u < users->user_count(); ++u) user_of.emplace(users->user_name(u), u);
  }
  const auto parse = [&](std::string_view line, std::int64_t number) {
    Query q;
    const auto fields = fields_of(line);
    require<DataError>(!fields.empty(), "line ", number, ": the line is empty, expected ",
                       options.input == PredictInput::users ? "the id of a user" : "item ids, oldest first");
    if (options.input == PredictInput::users) {
      const auto user = user_of.find(line);
      require<DataError>(user != user_of.end(), "line ", number, ": user '", line, "' is not in the data (", users->summary(), ")");
      q.key = line;
      const auto items = users->everything(user->second);
      q.items.assign(items.begin(), items.end());
      return q;
    }
    q.key = std::to_string(number);
    for (const auto field : fields) {
      const std::int64_t index = item_names.find(field);
      if (index >= 0) {
        q.items.push_back(static_cast<std::int32_t>(index + 1));
      } else {
        q.unknown.emplace_back(field);
      }
    }
    return q;
  };

  const auto width = static_cast<std::size_t>(item_names.size() + 1);
  std::vector<Query> queries;
  std::vector<float> scores;
  const auto answer_all = [&] {
    std::vector<std::span<const std::int32_t>> sequences;
    for (const Query& q : queries)
      if (!q.items.empty()) sequences.emplace_back(q.items);
    scores.resize(sequences.size() * width);
    if (!sequences.empty()) scorer(sequences, scores);
    std::size_t row = 0;
    for (const Query& q : queries) {
      std::span<float> own;
      std::vector<std::int64_t> best;
      if (!q.items.empty()) {
        own = std::span(scores).subspan(row++ * width, width);
        constexpr float never = -std::numeric_limits<float>::infinity();
        own[0] = never;
        if (options.filter_seen)
          for (const auto item : q.items) own[static_cast<std::size_t>(item)] = never;
        best = engine::top_k(own, options.top);
      }
      out << answer(q, best, own, item_names, options.format) << '\n';
    }
    queries.clear();
  };

  engine::answer_lines(
      in, out, batch_size, [&](const std::string& line, std::int64_t number) { queries.push_back(parse(line, number)); }, answer_all);
}

}  // namespace capstan::sasrec
