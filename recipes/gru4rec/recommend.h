#pragma once
// Recommend: a stream of events in, the best next items out, for `capstan predict`.
//
// A line is an event: session <tab> item (or separated by one space). Each is answered with one line:
//     session <tab> item <tab> score <tab> item <tab> score ...         best first
// An event costs the same however long its session is: what is kept of a session is its hidden state. Sessions may interleave. An item
// that the model does not know leaves the state as it was; the answer is then that of the event before, or no items if there was none.
// Scores are comparable within a line only. engine/answer_lines.h says when answers appear.

#include <cstdint>
#include <iosfwd>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "data/id_map.h"
#include "recipes/gru4rec/model.h"
#include "recipes/gru4rec/options.h"

namespace capstan::gru4rec {

class Recommender {
 public:
  Recommender(const Model& model, const data::IdMap& item_names, const PredictOptions& options);

  struct Recommendation {
    std::int64_t item = 0;
    float score = 0;
  };
  /// Takes one event of a session; `item` -1: unknown.
  std::vector<Recommendation> observe(std::string_view session, std::int64_t item);
  std::size_t sessions() const { return newest_.size(); }

  /// Throws DataError naming the line, after the answers to those before it.
  void run(std::istream& in, std::ostream& out);

 private:
  struct Session {
    std::string name;
    Hidden hidden;
    std::int64_t last = -1;  ///< the newest known item
  };
  Session& find(std::string_view session);

  const Model& model_;
  const data::IdMap& names_;
  PredictOptions options_;
  std::list<Session> newest_;                                                   // in order of their last event, newest first
  std::unordered_map<std::string_view, std::list<Session>::iterator> by_name_;  // keys live in the list
};

}  // namespace capstan::gru4rec
