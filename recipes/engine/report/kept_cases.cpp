#include "recipes/engine/report/kept_cases.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

namespace capstan::engine {
namespace {

double rounded_score(double score) { return std::nearbyint(score * 1e5) / 1e5; }

bool goes_before(const KeptCase& a, const KeptCase& b) { return a.score != b.score ? a.score > b.score : a.index < b.index; }

}  // namespace

bool KeptCases::wants(double score, std::int64_t index) const {
  if (!std::isfinite(score) || most_ == 0) return false;
  return heap_.size() < most_ || goes_before({.score = rounded_score(score), .index = index}, heap_.front());
}

void KeptCases::add(KeptCase c) {
  if (!wants(c.score, c.index) || std::ranges::any_of(heap_, [&](const KeptCase& k) { return k.index == c.index; })) return;
  c.score = rounded_score(c.score);
  if (heap_.size() == most_) {
    std::ranges::pop_heap(heap_, goes_before);
    heap_.pop_back();
  }
  heap_.push_back(std::move(c));
  std::ranges::push_heap(heap_, goes_before);
}

std::vector<KeptCase> KeptCases::in_order() const {
  std::vector<KeptCase> out = heap_;
  std::ranges::sort(out, goes_before);
  return out;
}

void KeptCases::pack(data::Packer& to) const {
  to.put(heap_.size());
  for (const KeptCase& c : heap_) {
    to.put(c.score);
    to.put(c.index);
    to.put_list(std::span(c.numbers));
    to.put_text(c.text);
  }
}

void KeptCases::add_packed(data::Unpacker& from) {
  for (auto count = from.get<std::size_t>(); count > 0; --count) {
    KeptCase c;
    c.score = from.get<double>();
    c.index = from.get<std::int64_t>();
    c.numbers = from.list<double>();
    c.text = from.text();
    add(std::move(c));
  }
}

}  // namespace capstan::engine
