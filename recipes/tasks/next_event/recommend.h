#pragma once
// Recommend: a stream of events in, the best next items out, for `capstan predict`.
//
// A line is an event: session <tab> item (or separated by one space). Each is answered with one line:
//     tsv    session <tab> item <tab> score <tab> item <tab> score ...         best first
//     jsonl  {"session":"s","items":[{"item":"a","score":1.5}, ...]}    with data.titles {"item":"a","title":"A","score":1.5}
// A line that is no event is answered without items, and with "error" in jsonl. Fields may stand in double quotes.
// An event costs the same however long its session is: what is kept of a session is its hidden state. Sessions may interleave. An item
// that the model does not know leaves the state as it was; the answer is then that of the event before, or no items if there was none.
// With predict.input = items a line is an item, answered as recommendation/item_vectors.h says; the last number is the item's bias, so that
// the score is the product with the output and a 1 behind it. Scores are comparable within a line only. engine/command/answer_lines.h says
// when answers appear.

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "data/id_map.h"
#include "recipes/tasks/next_event/network.h"
#include "recipes/tasks/next_event/options.h"
#include "recipes/tasks/recommendation/item_titles.h"
#include "recipes/tasks/recommendation/table_options.h"

namespace capstan::next_event {

/// An event as it was read.
struct Query {
  std::string session;
  std::int64_t item = -1;  ///< -1: unknown
  std::string error = {};  ///< why the line is no event; it is answered without items
};

class Recommender {
 public:
  /// The network and the names must outlive it.
  Recommender(const Network& network, const data::IdMap& item_names, const PredictOptions& options, bool json = false,
              recommendation::TableOptions table = {});

  /// Only these items are recommended: 1 for each of them, in the order of the names.
  void recommend_only(std::vector<char> items) { allowed_ = std::move(items); }
  /// Answers in JSON show these, in the order of the names.
  void show_titles(std::shared_ptr<const recommendation::ItemTitles> titles) { titles_ = std::move(titles); }

  struct Recommendation {
    std::int64_t item = 0;
    float score = 0;
  };
  /// Takes one event of a session; `item` -1: unknown.
  std::vector<Recommendation> observe(std::string_view session, std::int64_t item, const nn::Run& run = {});
  std::size_t sessions() const { return newest_.size(); }

  Query read(std::string_view line, std::int64_t number) const;
  /// Takes the event; a line without its end.
  std::string answer(const Query& query, const nn::Run& run = {});

 private:
  struct Session {
    std::string name;
    nn::Hidden hidden;
    std::int64_t last = -1;  ///< the newest known item
  };
  Session& find(std::string_view session);

  const Network& network_;
  const data::IdMap& names_;
  PredictOptions options_;
  bool json_;
  recommendation::TableOptions table_;
  std::vector<char> allowed_;  // empty: all
  std::shared_ptr<const recommendation::ItemTitles> titles_ = std::make_shared<recommendation::ItemTitles>();
  std::list<Session> newest_;                                                   // in order of their last event, newest first
  std::unordered_map<std::string_view, std::list<Session>::iterator> by_name_;  // keys live in the list
};

}  // namespace capstan::next_event
