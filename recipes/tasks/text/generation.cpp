#include "recipes/tasks/text/generation.h"

#include <algorithm>
#include <utility>

#include "autograd/core/error.h"
#include "recipes/engine/report/run_log.h"

namespace capstan::text {

void GenerationOptions::validate(std::string_view task) const {
  require<ConfigError>(hypotheses <= beams, task, ": generation.hypotheses must not exceed generation.beams, got ", hypotheses, " and ",
                       beams);
  require<ConfigError>(beams == 1 || top_k == 1, task, ": generation.top_k is of drawn texts, which have generation.beams = 1: got ", beams,
                       " beams and top_k = ", top_k);
}

nn::GenerationOptions search_options(const GenerationOptions& o, std::int64_t room, std::vector<std::int64_t> stop_tokens) {
  return {.choice = {.temperature = o.temperature,
                     .repetition_penalty = o.repetition_penalty,
                     .presence_penalty = o.presence_penalty,
                     .top_k = o.top_k,
                     .top_p = o.top_p},
          .beams = o.beams,
          .hypotheses = o.hypotheses,
          .length_penalty = o.length_penalty,
          .diversity = o.diversity,
          .early_stop = o.early_stop,
          .min_length = std::min(o.min_length, room),
          .max_length = std::min(o.max_length, room),
          .stop_tokens = std::move(stop_tokens)};
}

std::string answer(const std::vector<Written>& best, std::string_view name, bool json, bool several) {
  std::string out;
  for (const Written& w : best) {
    if (json) {
      out += join_text(out.empty() ? "" : ",", engine::to_json({{std::string(name), w.text}, {"score", w.score}}));
    } else {
      std::string column = w.text;
      std::ranges::replace_if(
          column, [](char c) { return c == '\n' || c == '\r' || c == '\t'; }, ' ');
      out += join_text(&w == best.data() ? "" : "\t", column);
      if (several) out += join_text("\t", w.score);
    }
  }
  return json && several ? join_text("{\"", name, "s\":[", out, "]}") : out;
}

}  // namespace capstan::text
