#include "data/text/byte_bpe.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <limits>
#include <mutex>
#include <optional>
#include <queue>
#include <unordered_map>

#include "autograd/core/error.h"
#include "data/file.h"
#include "data/json.h"
#include "data/text/unicode.h"

namespace capstan::data {
namespace {

constexpr std::array<std::string_view, 3> kEndsOfText{"<|endoftext|>", "<|end_of_text|>", "</s>"};
constexpr std::uint64_t kMostPieces = 10'000'000;

// ---- bytes as printable characters

/// The character of each byte: itself where it is printable and no blank, else the next one from U+0100 on.
const std::array<char32_t, 256>& characters() {
  static const std::array<char32_t, 256> all = [] {
    std::array<char32_t, 256> out{};
    char32_t next = 0x100;
    for (char32_t b = 0; b < 256; ++b) out[b] = (b > 0x20 && b < 0x7F) || (b > 0xA0 && b != 0xAD) ? b : next++;
    return out;
  }();
  return all;
}

std::string printable(std::string_view bytes) {
  std::string out;
  for (const char b : bytes) unicode::append_utf8(out, characters()[static_cast<unsigned char>(b)]);
  return out;
}

/// The bytes of printable characters; nothing: another one is among them.
std::optional<std::string> bytes_of_printable(std::string_view text) {
  static const std::array<std::int16_t, 0x180> byte_of = [] {
    std::array<std::int16_t, 0x180> out{};
    out.fill(-1);
    for (std::size_t b = 0; b < 256; ++b) out[characters()[b]] = static_cast<std::int16_t>(b);
    return out;
  }();
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = unicode::decode(text, at);
    if (c >= byte_of.size() || byte_of[c] < 0) return std::nullopt;
    out += static_cast<char>(static_cast<unsigned char>(byte_of[c]));
  }
  return out;
}

// ---- where words end

enum class Kind : std::uint8_t { letter, number, space, other };

Kind kind_of(char32_t c) {
  if ((c >= 0x09 && c <= 0x0D) || c == ' ') return Kind::space;
  if (c < 0x80) return (c | 0x20) >= 'a' && (c | 0x20) <= 'z' ? Kind::letter : c >= '0' && c <= '9' ? Kind::number : Kind::other;
  if (unicode::is_python_space(c)) return Kind::space;
  return !unicode::is_alphanumeric(c) ? Kind::other : unicode::is_number(c) ? Kind::number : Kind::letter;
}

/// Kind of the character at `at`, which moves behind it.
Kind next_kind(std::string_view text, std::size_t& at) { return kind_of(unicode::decode(text, at)); }

/// End of the run of characters of one kind that goes on at `at`; `last` is where its last character begins.
std::size_t end_of_run(std::string_view text, std::size_t at, Kind kind, std::size_t& last) {
  while (at < text.size()) {
    std::size_t next = at;
    if (next_kind(text, next) != kind) break;
    last = at;
    at = next;
  }
  return at;
}

/// End of the word that begins at `at`, by GPT-2's expression
///   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
std::size_t end_of_word(std::string_view text, std::size_t at) {
  if (text[at] == '\'') {
    for (const std::string_view ending : {"s", "t", "re", "ve", "m", "ll", "d"})
      if (text.substr(at + 1).starts_with(ending)) return at + 1 + ending.size();
  }
  std::size_t last = at, next = at;
  Kind kind = next_kind(text, next);
  if (text[at] == ' ' && next < text.size()) {
    std::size_t behind = next;
    if (const Kind after = next_kind(text, behind); after != Kind::space) {
      kind = after;
      next = behind;
    }
  }
  const std::size_t end = end_of_run(text, next, kind, last);
  // The last of several white spaces belongs to the word behind it, where there is one.
  return kind == Kind::space && end < text.size() && last > at ? last : end;
}

[[noreturn]] void refuse(const Json& part, std::string_view expected) {
  const auto type = part.is(Json::Kind::object) ? part.find("type") : std::nullopt;
  (type ? *type : part).fail(expected);
}

bool is_set(const Json& object, std::string_view name) {
  const auto v = object.find(name);
  return v && v->boolean();
}

}  // namespace

struct ByteBpe::Model {
  struct Piece {
    std::string bytes, written;  // written: as the file has it
  };
  struct Added {
    std::int32_t id;
    bool special;
  };
  struct Merge {
    std::int32_t rank = -1, merged = -1;
  };

  std::vector<Piece> pieces = {};
  std::vector<Added> added = {};  // the longest first
  std::vector<std::pair<std::int32_t, std::int32_t>> merges = {};
  bool add_prefix_space = false, ignore_merges = false;
  bool digits_apart = false;  // every number is a text of its own

  std::array<std::int32_t, 256> byte_ids = {};
  std::array<bool, 256> begins_added = {};
  std::unordered_map<std::string_view, std::int32_t> by_text = {};   // as written
  std::unordered_map<std::string_view, std::int32_t> by_bytes = {};  // pieces that are not added, where ignore_merges asks for them
  std::int32_t end_of_text = -1;

  const Piece& piece(std::int32_t id) const {
    require<DataError>(id >= 0 && static_cast<std::size_t>(id) < pieces.size(), "byte-level BPE: there is no id ", id, " of ",
                       pieces.size());
    return pieces[static_cast<std::size_t>(id)];
  }
  std::int32_t find(std::string_view text) const {
    const auto at = by_text.find(text);
    return at == by_text.end() ? -1 : at->second;
  }

  /// `bytes`: nothing, where they are the characters themselves.
  void add_piece(std::uint64_t id, std::string_view written, std::optional<std::string> bytes, const std::string& place) {
    require<DataError>(id < kMostPieces, place, ": the id ", id, " is beyond ", kMostPieces);
    if (id >= pieces.size()) pieces.resize(id + 1);
    Piece& p = pieces[id];
    require<DataError>(p.written.empty() || p.written == written, place, ": the id ", id, " is that of ", json_string(p.written), " too");
    p = {.bytes = bytes ? std::move(*bytes) : std::string(written), .written = std::string(written)};
  }
  void read_pieces(const Json& vocabulary) {
    for (const auto& [written, id] : vocabulary.members()) add_piece(id.natural(), written, bytes_of_printable(written), id.place());
  }
  void read_added(const Json& list) {
    for (const Json& token : list.items()) {
      const std::string_view content = token["content"].text();
      for (const std::string_view rule : {"lstrip", "rstrip", "single_word"})
        if (is_set(token, rule)) token[rule].fail("false: no such rule is known here");
      require<DataError>(!content.empty(), token.place(), ": the token is empty");
      add_piece(token["id"].natural(), content, std::nullopt, token.place());
      added.push_back({.id = static_cast<std::int32_t>(token["id"].natural()), .special = is_set(token, "special")});
    }
  }
  void index_pieces(const std::string& name) {
    for (std::size_t id = 0; id < pieces.size(); ++id) {
      const Piece& p = pieces[id];
      if (p.written.empty()) continue;
      const auto [same, is_new] = by_text.emplace(p.written, static_cast<std::int32_t>(id));
      require<DataError>(is_new, name, ": ", json_string(p.written), " has two ids, ", same->second, " and ", id);
    }
    for (std::size_t b = 0; b < 256; ++b) {
      byte_ids[b] = find(printable(std::string(1, static_cast<char>(static_cast<unsigned char>(b)))));
      require<DataError>(byte_ids[b] >= 0, name, ": no piece for the byte ", b, ", so that it is no byte-level BPE");
    }
    std::ranges::sort(added, std::ranges::greater(), [this](const Added& a) { return piece(a.id).bytes.size(); });
    for (const Added& a : added) begins_added[static_cast<unsigned char>(piece(a.id).bytes[0])] = true;
    if (ignore_merges) {
      for (const auto& [written, id] : by_text)
        if (std::ranges::find(added, id, &Added::id) == added.end()) by_bytes.emplace(piece(id).bytes, id);
    }
    for (const std::string_view token : kEndsOfText)
      if (end_of_text < 0) end_of_text = find(token);
  }

  void add_merge(std::string_view left, std::string_view right, const std::string& place) {
    const auto known = [&](std::string_view written) {
      const std::int32_t id = find(written);
      require<DataError>(id >= 0, place, ": merges ", json_string(left), " and ", json_string(right), ", and ", json_string(written),
                         " is no piece");
      return id;
    };
    merges.emplace_back(known(left), known(right));
    insert({known(left), known(right)}, {.rank = static_cast<std::int32_t>(merges.size()) - 1, .merged = known(join_text(left, right))});
  }
  /// Of one text, parted by its blank.
  void add_merge(std::string_view line, const std::string& place) {
    const auto blank = line.find(' ');
    require<DataError>(blank != std::string_view::npos && line.find(' ', blank + 1) == std::string_view::npos, place,
                       ": expected two pieces with a blank between them, found ", json_string(line));
    add_merge(line.substr(0, blank), line.substr(blank + 1), place);
  }

  // Pairs of ids and what they become: open addressing, at most half full.
  struct Slot {
    std::uint64_t pair = kFree;
    Merge merge = {};
  };
  static constexpr std::uint64_t kFree = std::numeric_limits<std::uint64_t>::max();
  std::vector<Slot> slots = std::vector<Slot>(1024);
  std::size_t used = 0;

  static std::uint64_t pair_of(std::int32_t left, std::int32_t right) {
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 | static_cast<std::uint32_t>(right);
  }
  static std::size_t slot_of(std::uint64_t pair, const std::vector<Slot>& in) {
    std::size_t at = static_cast<std::size_t>((pair * 0x9E3779B97F4A7C15u) >> 20) & (in.size() - 1);
    while (in[at].pair != kFree && in[at].pair != pair) at = (at + 1) & (in.size() - 1);
    return at;
  }
  void insert(std::pair<std::int32_t, std::int32_t> pair, const Merge& merge) {
    if (2 * (used + 1) > slots.size()) {
      std::vector<Slot> larger(2 * slots.size());
      for (const Slot& s : slots)
        if (s.pair != kFree) larger[slot_of(s.pair, larger)] = s;
      slots = std::move(larger);
    }
    Slot& s = slots[slot_of(pair_of(pair.first, pair.second), slots)];
    used += s.pair == kFree ? 1u : 0u;
    s = {.pair = pair_of(pair.first, pair.second), .merge = merge};
  }
  Merge merge_of(std::int32_t left, std::int32_t right) const { return slots[slot_of(pair_of(left, right), slots)].merge; }

  /// Appends the pieces of one word: a list of symbols, and a queue of the pairs that can be merged. A merge makes entries of the
  /// queue out of date, which are passed over when they come up, so that a word of n bytes costs n log n.
  void append_word(std::string_view word, std::vector<std::int32_t>& ids) const {
    if (ignore_merges) {
      if (const auto whole = by_bytes.find(word); whole != by_bytes.end()) return ids.push_back(whole->second);
    }
    struct Symbol {
      std::int32_t id;  // -1: gone into the one before it
      std::int64_t previous, next;
    };
    struct Candidate {
      std::int32_t rank;
      std::int64_t at;
      bool operator>(const Candidate& o) const { return rank != o.rank ? rank > o.rank : at > o.at; }
    };
    const auto n = static_cast<std::int64_t>(word.size());
    std::vector<Symbol> symbols(word.size());
    std::vector<Candidate> entries;
    entries.reserve(word.size());
    std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue(std::greater<>{}, std::move(entries));
    const auto symbol = [&](std::int64_t at) -> Symbol& { return symbols[static_cast<std::size_t>(at)]; };
    const auto merge_at = [&](std::int64_t at) {
      const Symbol& s = symbol(at);
      return s.id < 0 || s.next >= n ? Merge{} : merge_of(s.id, symbol(s.next).id);
    };
    const auto enter = [&](std::int64_t at) {
      if (const Merge m = merge_at(at); m.rank >= 0) queue.push({.rank = m.rank, .at = at});
    };
    for (std::int64_t i = 0; i < n; ++i)
      symbol(i) = {.id = byte_ids[static_cast<unsigned char>(word[static_cast<std::size_t>(i)])], .previous = i - 1, .next = i + 1};
    for (std::int64_t i = 0; i < n; ++i) enter(i);
    while (!queue.empty()) {
      const Candidate best = queue.top();
      queue.pop();
      const Merge m = merge_at(best.at);
      if (m.rank != best.rank) continue;
      Symbol& s = symbol(best.at);
      Symbol& gone = symbol(s.next);
      s.id = m.merged;
      s.next = gone.next;
      gone.id = -1;
      if (s.next < n) symbol(s.next).previous = best.at;
      if (s.previous >= 0) enter(s.previous);
      enter(best.at);
    }
    for (std::int64_t i = 0; i < n; i = symbol(i).next) ids.push_back(symbol(i).id);
  }

  /// The added token at a place; nothing: there is none.
  const Added* added_at(std::string_view text, std::size_t at) const {
    if (!begins_added[static_cast<unsigned char>(text[at])]) return nullptr;
    const auto found = std::ranges::find_if(added, [&](const Added& a) { return text.substr(at).starts_with(piece(a.id).bytes); });
    return found == added.end() ? nullptr : &*found;
  }
};

/// The pieces of words that came before: of each slot the last one. One call at a time has it, another one meanwhile does without.
struct ByteBpe::WordCache {
  static constexpr std::size_t kSlots = 1u << 15, kLongest = 64;
  struct Slot {
    std::string word;
    std::vector<std::int32_t> ids;
  };
  std::mutex mutex;
  std::vector<Slot> slots;

  void append(const Model& model, std::string_view word, std::vector<std::int32_t>& ids) {
    if (word.size() > kLongest) return model.append_word(word, ids);
    if (slots.empty()) slots.resize(kSlots);
    Slot& s = slots[std::hash<std::string_view>()(word) % kSlots];
    if (s.word != word) {
      s.word = word;
      s.ids.clear();
      model.append_word(word, s.ids);
    }
    ids.insert(ids.end(), s.ids.begin(), s.ids.end());
  }
};

ByteBpe::ByteBpe(std::shared_ptr<const Model> model) : model_(std::move(model)), cache_(std::make_shared<WordCache>()) {}

ByteBpe ByteBpe::read(const std::string& path) {
  const std::vector<std::byte> bytes = read_file(path);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (parse_json(text, path).has("model")) return ByteBpe(text, path);
  return read(path, (std::filesystem::path(path).parent_path() / "merges.txt").string());
}

ByteBpe ByteBpe::read(const std::string& vocabulary, const std::string& merges) {
  auto model = std::make_shared<Model>();
  model->read_pieces(read_json(vocabulary));
  for (std::size_t id = 0; id < model->pieces.size(); ++id)  // such files do not say which pieces are tokens of their own
    if (std::ranges::find(kEndsOfText, model->pieces[id].written) != kEndsOfText.end())
      model->added.push_back({.id = static_cast<std::int32_t>(id), .special = true});
  model->index_pieces(vocabulary);
  const std::vector<std::byte> bytes = read_file(merges);
  std::string_view rest(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  for (std::int64_t number = 1; !rest.empty(); ++number) {
    const auto end = rest.find('\n');
    std::string_view line = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || (number == 1 && line.starts_with("#version"))) continue;
    model->add_merge(line, join_text(merges, ":", number));
  }
  return ByteBpe(std::move(model));
}

ByteBpe ByteBpe::of_single_bytes() {
  auto model = std::make_shared<Model>();
  for (std::size_t b = 0; b < 256; ++b) {
    const std::string byte(1, static_cast<char>(static_cast<unsigned char>(b)));
    model->add_piece(b, printable(byte), byte, "bytes");
  }
  model->index_pieces("bytes");
  return ByteBpe(std::move(model));
}

ByteBpe::ByteBpe(std::string_view json, const std::string& name) : cache_(std::make_shared<WordCache>()) {
  auto model = std::make_shared<Model>();
  const Json file = parse_json(json, name), bpe = file["model"];
  const auto type_of = [](const Json& part) { return part.is(Json::Kind::object) && part.has("type") ? part["type"].text() : ""; };
  if (const auto type = bpe.find("type"); type && type->text() != "BPE") type->fail("BPE: no other kind of pieces is known here");
  if (const auto part = file.find("normalizer")) refuse(*part, "no normalizer: none is known here");
  const auto cutting = file.find("pre_tokenizer");
  require<DataError>(cutting.has_value(), name, ": has no pre_tokenizer, and only ByteLevel is known here");
  std::vector<Json> rules{*cutting};
  if (type_of(*cutting) == "Sequence") rules = (*cutting)["pretokenizers"].items();
  if (rules.size() == 2 && type_of(rules[0]) == "Digits" && is_set(rules[0], "individual_digits")) {
    model->digits_apart = true;
    rules.erase(rules.begin());
  }
  for (const Json& rule : rules)
    if (type_of(rule) != "ByteLevel") refuse(rule, "ByteLevel, after Digits one by one or alone: no other pre-tokenizer is known here");
  if (rules.size() != 1) cutting->fail("one pre-tokenizer ByteLevel");
  if (const auto v = rules[0].find("use_regex"); v && !v->boolean()) v->fail("true: words are cut by GPT-2's rule here");
  if (const auto part = file.find("post_processor"); part && type_of(*part) != "ByteLevel")
    refuse(*part, "ByteLevel: no post-processor that adds tokens is known here");
  if (const auto part = file.find("decoder"); part && type_of(*part) != "ByteLevel")
    refuse(*part, "ByteLevel: no other decoder is known here");
  for (const std::string_view affix : {"continuing_subword_prefix", "end_of_word_suffix"})
    if (const auto v = bpe.find(affix); v && !v->text().empty()) v->fail("none: pieces have no affixes here");
  if (is_set(bpe, "byte_fallback")) bpe["byte_fallback"].fail("false: every byte has a piece here");
  if (const auto v = bpe.find("dropout"); v && v->number() > 0) v->fail("none: merges are not left out at random here");
  model->add_prefix_space = is_set(rules[0], "add_prefix_space");
  model->ignore_merges = is_set(bpe, "ignore_merges");

  model->read_pieces(bpe["vocab"]);
  if (const auto list = file.find("added_tokens")) model->read_added(*list);
  model->index_pieces(name);
  for (const Json& merge : bpe["merges"].items()) {
    if (merge.is(Json::Kind::text)) {
      model->add_merge(merge.text(), merge.place());
    } else if (const auto pair = merge.items(); pair.size() == 2) {
      model->add_merge(pair[0].text(), pair[1].text(), merge.place());
    } else {
      merge.fail("two pieces");
    }
  }
  model_ = std::move(model);
}

std::string ByteBpe::bytes() const {
  const Model& m = *model_;
  const auto boolean = [](bool value) { return value ? "true" : "false"; };
  std::string added, vocabulary, merges;
  const auto item = [](std::string& list, const auto&... parts) { list += join_text(list.empty() ? "" : ",", "\n", parts...); };
  std::vector<Model::Added> by_id = m.added;
  std::ranges::sort(by_id, {}, &Model::Added::id);
  for (const Model::Added& a : by_id)
    item(added, R"({"id":)", a.id, R"(,"content":)", json_string(m.piece(a.id).written),
         R"(,"single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":)", boolean(a.special), "}");
  for (std::size_t id = 0; id < m.pieces.size(); ++id)
    if (!m.pieces[id].written.empty()) item(vocabulary, json_string(m.pieces[id].written), ":", id);
  for (const auto& [left, right] : m.merges) item(merges, json_string(m.piece(left).written + " " + m.piece(right).written));
  return join_text(R"({"version":"1.0","truncation":null,"padding":null,"added_tokens":[)", added,
                   R"(],"normalizer":null,"pre_tokenizer":)",
                   m.digits_apart ? R"({"type":"Sequence","pretokenizers":[{"type":"Digits","individual_digits":true},)" : "",
                   R"({"type":"ByteLevel","add_prefix_space":)", boolean(m.add_prefix_space), R"(,"trim_offsets":true,"use_regex":true})",
                   m.digits_apart ? "]}" : "", ",",
                   R"("post_processor":{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":false,"use_regex":true},)",
                   R"("decoder":{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true},)",
                   R"("model":{"type":"BPE","dropout":null,"unk_token":null,"continuing_subword_prefix":null,"end_of_word_suffix":null,)",
                   R"("fuse_unk":false,"byte_fallback":false,"ignore_merges":)", boolean(m.ignore_merges), R"(,"vocab":{)", vocabulary,
                   R"(},"merges":[)", merges, "]}}\n");
}

std::int64_t ByteBpe::size() const { return static_cast<std::int64_t>(model_->pieces.size()); }
std::int32_t ByteBpe::end_of_text() const { return model_->end_of_text; }
std::int32_t ByteBpe::find(std::string_view piece) const { return model_->find(piece); }
std::string_view ByteBpe::bytes_of(std::int32_t id) const { return model_->piece(id).bytes; }
std::string ByteBpe::piece(std::int32_t id) const { return model_->piece(id).written; }

std::vector<std::int32_t> ByteBpe::encode(std::string_view text, AddedTokens added) const {
  std::vector<std::int32_t> ids;
  encode(text, ids, added);
  return ids;
}

void ByteBpe::encode(std::string_view text, std::vector<std::int32_t>& ids, AddedTokens added) const {
  const std::unique_lock lock(cache_->mutex, std::try_to_lock);
  const auto append_words = [&](std::string_view part) {
    for (std::size_t at = 0; at < part.size();) {
      const std::size_t end = end_of_word(part, at);
      const std::string_view word = part.substr(at, end - at);
      lock.owns_lock() ? cache_->append(*model_, word, ids) : model_->append_word(word, ids);
      at = end;
    }
  };
  const auto append_text = [&](std::string_view part) {
    if (model_->add_prefix_space && !part.empty() && part[0] != ' ') return append_words(" " + std::string(part));
    append_words(part);
  };
  const auto append_part = [&](std::string_view part) {
    std::size_t from = 0;
    for (std::size_t at = 0; model_->digits_apart && at < part.size();) {
      std::size_t next = at;
      if (next_kind(part, next) == Kind::number) {
        append_text(part.substr(from, at - from));
        append_text(part.substr(at, next - at));
        from = next;
      }
      at = next;
    }
    append_text(part.substr(from));
  };
  std::size_t begin = 0;
  for (std::size_t at = 0; added == AddedTokens::as_tokens && at < text.size();) {
    const Model::Added* const token = model_->added_at(text, at);
    if (token == nullptr) {
      ++at;
      continue;
    }
    append_part(text.substr(begin, at - begin));
    ids.push_back(token->id);
    begin = at += bytes_of(token->id).size();
  }
  append_part(text.substr(begin));
}

std::string ByteBpe::decode(std::span<const std::int32_t> ids) const {
  std::string out;
  for (const std::int32_t id : ids) out += bytes_of(id);
  return out;
}

}  // namespace capstan::data
