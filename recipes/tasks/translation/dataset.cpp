#include "recipes/tasks/translation/dataset.h"

#include <algorithm>
#include <map>
#include <utility>

#include "autograd/core/error.h"
#include "data/prepared.h"

namespace capstan::translation {
namespace {

using engine::Split;

std::vector<std::int32_t> encode_target(const data::SubwordModel& model, std::string_view text) {
  std::vector<std::int32_t> ids = model.encode(text);
  ids.insert(ids.begin(), model.begin());
  ids.push_back(model.end());
  return ids;
}

/// Cuts before the last token, which ends a sequence.
void cut(std::vector<std::int32_t>& ids, std::int64_t max_length) {
  if (std::ssize(ids) <= max_length) return;
  ids.erase(ids.begin() + (max_length - 1), ids.end() - 1);
}

/// How often each text stands there; the first of those that stand most often.
std::string most_frequent(const std::vector<std::string>& texts) {
  std::map<std::string_view, std::int64_t> counts;
  for (const std::string& t : texts) ++counts[t];
  const std::string* best = nullptr;
  for (const std::string& t : texts)
    if (best == nullptr || counts[t] > counts[*best]) best = &t;
  return best == nullptr ? "" : *best;
}

std::string percent(std::int64_t part, std::int64_t all) {
  const double share = all == 0 ? 0 : 100 * static_cast<double>(part) / static_cast<double>(all);
  return join_text(static_cast<double>(static_cast<std::int64_t>(share * 100 + 0.5)) / 100, " %");
}

}  // namespace

std::vector<std::int32_t> encode_source(const data::SubwordModel& model, std::string_view text, std::int64_t max_length) {
  std::vector<std::int32_t> ids = model.encode(text);
  ids.push_back(model.end());
  cut(ids, max_length);
  return ids;
}

EncodedPair merged_anew(const EncodedPair& pair, const Vocabularies& v, double rate, std::int64_t max_length, Rng& rng) {
  const auto side = [&](const data::SubwordModel& model, const std::vector<std::int32_t>& ids) {
    std::vector<std::int32_t> anew = model.merged_anew(ids, rate, rng);
    return std::ssize(anew) > max_length ? ids : anew;
  };
  return {side(*v.source, pair.source), side(*v.target, pair.target)};
}

Dataset::Dataset(const DataOptions& data, const engine::Setup& setup, const Vocabularies& v)
    : vocabularies_(join_text(v.source->size(),
                              v.joint() ? " pieces for both languages, " : join_text(" and ", v.target->size(), " pieces, "), v.origin)) {
  read(Split::train, data.train, data, setup, v);
  if (!data.validation.empty()) read(Split::validation, data.validation, data, setup, v);
  if (setup.purpose == engine::Purpose::evaluate && !data.test.empty()) read(Split::test, data.test, data, setup, v);
  const Part& train = *parts_[0];
  most_frequent_ = most_frequent(train.texts.target);
  std::vector<std::string> files;
  if (data.origin == Origin::files) files = {train.texts.source_path, train.texts.target_path};
  digest_ = data::prepared_key(
      files, join_text("translation 1 ", data.max_length, " ", data.max_ratio, " ", static_cast<int>(data.origin), " ", data.generated));
}

void Dataset::read(Split split, const std::string& prefix, const DataOptions& data, const engine::Setup& setup, const Vocabularies& v) {
  const auto texts = [&] {
    if (data.origin != Origin::files) return generated(data, split);
    const std::string path = setup.data_path(prefix);
    return data::read_parallel_text(data::language_file(path, data.source), data::language_file(path, data.target));
  };
  Part part{.texts = engine::named_by(join_text("data.", engine::name_of(split)), texts), .pairs = {}};
  const bool train = split == Split::train;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < part.texts.source.size(); ++i) {
    EncodedPair pair{encode_source(*v.source, part.texts.source[i], 1 << 30), encode_target(*v.target, part.texts.target[i])};
    const std::int64_t s = std::ssize(pair.source), t = std::ssize(pair.target);
    const bool too_long = std::max(s, t) > data.max_length;
    const bool unlike = data.max_ratio > 0 && static_cast<double>(std::max(s, t)) > data.max_ratio * static_cast<double>(std::min(s, t));
    part.too_long += too_long ? 1 : 0;
    if (train && too_long) continue;
    if (train && unlike) {
      ++part.unlike;
      continue;
    }
    cut(pair.source, data.max_length);
    cut(pair.target, data.max_length);
    part.unknown += std::ranges::count(pair.source, v.source->unknown()) + std::ranges::count(pair.target, v.target->unknown());
    part.tokens += std::ssize(pair.source) + std::ssize(pair.target);
    part.pairs.push_back(std::move(pair));
    if (kept != i) {
      part.texts.source[kept] = std::move(part.texts.source[i]);
      part.texts.target[kept] = std::move(part.texts.target[i]);
      part.texts.lines[kept] = part.texts.lines[i];
    }
    ++kept;
  }
  part.texts.source.resize(kept);
  part.texts.target.resize(kept);
  part.texts.lines.resize(kept);
  require<DataError>(kept > 0, part.texts.source_path, " and ", part.texts.target_path,
                     ": all pairs are longer than data.max_length = ", data.max_length, " tokens, or of too unlike lengths");
  parts_[static_cast<std::size_t>(split)] = std::move(part);
}

const Dataset::Part* Dataset::part(Split split) const {
  const auto& part = parts_[static_cast<std::size_t>(split)];
  return part ? &*part : nullptr;
}

data::DataReport Dataset::report() const {
  data::DataReport out;
  out.fact("vocabulary", vocabularies_);
  for (const Split split : {Split::train, Split::validation, Split::test}) {
    const Part* const p = part(split);
    if (p == nullptr) continue;
    const std::string name(engine::name_of(split));
    const bool files = p->texts.source_path != p->texts.target_path;
    std::string text =
        join_text(p->texts.source_path, files ? " and " : "", files ? p->texts.target_path : "", ": ", data::grouped(p->texts.size()),
                  " pairs, ", data::grouped(p->tokens), " tokens, ", percent(p->unknown, p->tokens), " [UNK]");
    if (p->texts.empty > 0)
      text +=
          join_text("; ", data::grouped(p->texts.empty), " pairs with an empty side left out, the first in line ", p->texts.first_empty);
    if (p->too_long > 0)
      text += join_text("; ", data::grouped(p->too_long), split == Split::train ? " longer pairs left out" : " longer texts cut");
    if (p->unlike > 0) text += join_text("; ", data::grouped(p->unlike), " of unlike lengths left out");
    out.fact(name, std::move(text));
    for (const auto& [file, not_utf8] :
         {std::pair(&p->texts.source_path, &p->texts.source_not_utf8), std::pair(&p->texts.target_path, &p->texts.target_not_utf8)})
      if (not_utf8->lines > 0) out.warn(join_text(*file, ": ", data::to_text(*not_utf8)));
  }
  return out;
}

}  // namespace capstan::translation
