#pragma once
// KeptCases: the cases of a pass over a split that are worth showing, such as the worst mistakes, in memory that does not grow with the
// split. Which they are does not depend on batches, threads or processes.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "data/packing.h"

namespace capstan::engine {

struct KeptCase {
  double score = 0;
  std::int64_t index = 0;            ///< its number within the split
  std::vector<double> numbers = {};  ///< what is shown of it beside what the data says
  std::string text = {};
  bool operator==(const KeptCase&) const = default;
};

/// The cases of the highest scores, of equal scores those of the lowest indices. Scores count to five digits behind the point: what differs
/// by less may be the same number, rounded otherwise in another batch.
class KeptCases {
 public:
  explicit KeptCases(std::size_t most) : most_(most) {}

  /// Whether add() would keep it for now; a score that is not finite never. Spares making what add() would throw away.
  bool wants(double score, std::int64_t index) const;
  /// A case once, whatever comes of it later.
  void add(KeptCase c);
  /// The highest score first.
  std::vector<KeptCase> in_order() const;

  void pack(data::Packer& to) const;
  /// Adds those of another part of the split.
  void add_packed(data::Unpacker& from);

 private:
  std::size_t most_;
  std::vector<KeptCase> heap_;  // the one to go next in front
};

}  // namespace capstan::engine
