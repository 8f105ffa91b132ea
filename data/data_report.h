#pragma once
// DataReport: what a run read, in words, for the person who started it: files, form, columns and why, counts, what was dropped; and
// warnings for what is almost surely not meant. It decides nothing: what is surely wrong is an error where it is read.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace capstan::data {

struct DataReport {
  struct Fact {
    std::string what;  ///< "train", "columns": a few letters
    std::string text;  ///< "events.tsv.gz: 999,611 events of 6,040 users, 3,416 items"
  };
  std::vector<Fact> facts;
  std::vector<std::string> warnings;

  void fact(std::string what, std::string text) { facts.push_back({std::move(what), std::move(text)}); }
  void warn(std::string text) { warnings.push_back(std::move(text)); }
};

/// A line each, without its end: the facts with their texts below each other, then "warning: ...".
std::vector<std::string> lines_of(const DataReport& report);
/// 999611 -> "999,611".
std::string grouped(std::int64_t count);

}  // namespace capstan::data
