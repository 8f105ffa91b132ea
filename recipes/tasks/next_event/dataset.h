#pragma once
// The sessions to learn from: read, filtered, split by time, in the order in which training sees them.
//
// Training sessions stand in ascending order of their first event (files of lines: in file order) and are never shuffled, so the last
// updates see the newest sessions. Items are numbered by first appearance in the training file. Validation and test speak of the same
// items; their events with unknown items are left out, which joins their neighbours, and counted.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/interactions.h"
#include "data/synthetic/markov.h"
#include "recipes/engine/recipe.h"
#include "recipes/tasks/next_event/options.h"
#include "recipes/tasks/recommendation/baselines.h"

namespace capstan::next_event {

struct Sessions {
  data::Interactions events;
  /// As people write it: with data.user_column the user, a blank and the id.
  std::string name(std::int64_t session) const;
  std::int64_t unknown_events = 0;  ///< left out: the model does not know their items

  /// Predictions that can be made: an event follows.
  std::int64_t cases() const;
};

class Dataset {
 public:
  /// `known` numbers the items if given: those of a checkpoint. With `extend` training items that it does not know are appended, else their
  /// events are left out; evaluation then needs no training sessions. `why` gets the reason why prepared data was made anew. Throws
  /// DataError, ConfigError, IoError.
  Dataset(const DataOptions& data, const recommendation::SyntheticOptions& synthetic, const engine::Setup& setup,
          const std::shared_ptr<const data::IdMap>& known, bool extend, std::string* why = nullptr);

  /// Leaves the sessions with these names (Sessions::name) in validation and test. Throws DataError if there is none of them.
  void evaluate_only(const data::IdMap& sessions);

  const data::Interactions& train() const { return train_.events; }
  /// Null if there is no such split.
  const Sessions* split(engine::Split split) const;
  const std::shared_ptr<const data::IdMap>& item_names() const { return items_; }
  std::int64_t item_count() const { return items_->size(); }
  /// Training events of each item.
  const std::vector<std::int64_t>& support() const { return support_; }

  /// Identity of the training sessions and their item names.
  std::string digest() const;
  /// What was read, in words.
  const data::DataReport& report() const { return report_; }
  /// One line for people.
  std::string summary() const;
  /// The generator behind data.source = synthetic.
  const std::optional<data::MarkovChain>& chain() const { return chain_; }

 private:
  void read(const DataOptions& data, const recommendation::SyntheticOptions& synthetic, const engine::Setup& setup,
            const std::shared_ptr<const data::IdMap>& known, bool extend, std::string* why);

  Sessions train_;
  std::optional<Sessions> validation_, test_;
  std::shared_ptr<const data::IdMap> items_;
  std::vector<std::int64_t> support_;
  std::optional<data::MarkovChain> chain_;
  data::DataReport report_;
};

/// Interactions, which must outlive it, as the baselines count them.
recommendation::ItemSequences sequences_of(const data::Interactions& events);

/// The supports of items as an artifact of a checkpoint, and back; empty: there are none.
void store_support(engine::NamedTensors& artifacts, const std::vector<std::int64_t>& support);
std::vector<std::int64_t> stored_support(const engine::NamedTensors& artifacts);

}  // namespace capstan::next_event
