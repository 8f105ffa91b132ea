#include "data/text/subword.h"

#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <unordered_map>
#include <utility>

#include "autograd/core/error.h"
#include "data/file.h"

namespace capstan::data {
namespace {

namespace sp = sentencepiece;

/// Texts as the trainer asks for them.
class Texts final : public sp::SentenceIterator {
 public:
  explicit Texts(const std::function<bool(std::string_view&)>& next) : next_(next) { advance(); }
  bool done() const override { return done_; }
  void Next() override { advance(); }
  const std::string& value() const override { return value_; }
  sp::util::Status status() const override { return {}; }
  std::int64_t count() const { return count_; }

 private:
  void advance() {
    std::string_view text;
    done_ = !next_(text);
    value_ = done_ ? std::string() : std::string(text);
    if (!done_) ++count_;
  }

  const std::function<bool(std::string_view&)>& next_;
  std::string value_;
  bool done_ = false;
  std::int64_t count_ = 0;
};

std::string_view name_of(SubwordKind kind) {
  switch (kind) {
    case SubwordKind::bpe: return "bpe";
    case SubwordKind::unigram: return "unigram";
    case SubwordKind::character: return "char";
  }
  return {};
}

std::string_view name_of(TextNormalization normalization) {
  switch (normalization) {
    case TextNormalization::identity: return "identity";
    case TextNormalization::nfkc: return "nfkc";
    case TextNormalization::nmt_nfkc: return "nmt_nfkc";
  }
  return {};
}

constexpr std::string_view kBlank = "\u2581";
constexpr double kNoMerge = -std::numeric_limits<double>::infinity();

/// The characters of valid UTF-8.
std::vector<std::string_view> characters(std::string_view text) {
  std::vector<std::string_view> out;
  for (std::size_t from = 0; from < text.size();) {
    std::size_t to = from + 1;
    while (to < text.size() && (static_cast<unsigned char>(text[to]) & 0xC0u) == 0x80u) ++to;
    out.push_back(text.substr(from, to - from));
    from = to;
  }
  return out;
}

}  // namespace

struct SubwordModel::Processor {
  sp::SentencePieceProcessor model;
};

SubwordModel SubwordModel::learned(const SubwordOptions& options, const std::function<bool(std::string_view&)>& next) {
  Texts texts(next);
  require<DataError>(!texts.done(), "subword model: there is no text to learn from");
  // One thread: the pieces must not depend on how many there are.
  const std::unordered_map<std::string, std::string> settings{
      {"model_type", std::string(name_of(options.kind))},
      {"vocab_size", std::to_string(options.size)},
      {"normalization_rule_name", std::string(name_of(options.normalization))},
      {"character_coverage", join_text(options.coverage)},
      {"byte_fallback", options.byte_fallback ? "true" : "false"},
      {"hard_vocab_limit", "false"},
      {"max_sentence_length", "1000000"},
      {"num_threads", "1"},
      {"minloglevel", "3"},
      {"pad_id", "0"},
      {"unk_id", "1"},
      {"bos_id", "2"},
      {"eos_id", "3"},
      {"pad_piece", "[PAD]"},
      {"unk_piece", "[UNK]"},
      {"bos_piece", "[BOS]"},
      {"eos_piece", "[EOS]"},
  };
  std::string bytes;
  const sp::util::Status status = sp::SentencePieceTrainer::Train(settings, &texts, &bytes);
  require<DataError>(status.ok(), "subword model: ", options.size, " pieces cannot be learned from ", texts.count(),
                     " texts: ", status.ToString());
  return SubwordModel(std::move(bytes));
}

SubwordModel SubwordModel::read(const std::string& path) {
  const std::vector<std::byte> bytes = read_file(path);
  std::string text(bytes.size(), '\0');
  std::ranges::transform(bytes, text.begin(), [](std::byte b) { return static_cast<char>(b); });
  return SubwordModel(std::move(text), path);
}

SubwordModel::SubwordModel(std::string bytes, std::string_view name) : bytes_(std::move(bytes)) {
  const auto processor = std::make_shared<Processor>();
  std::string wrong;
  try {
    const sp::util::Status status = processor->model.LoadFromSerializedProto(bytes_);
    if (bytes_.empty() || !status.ok()) wrong = status.ToString();
  } catch (const std::exception& e) {  // of the libraries below it: an empty piece
    wrong = e.what();
  }
  require<DataError>(wrong.empty(), name, ": is no model of sentencepiece: ", wrong);
  padding_ = processor->model.pad_id();
  unknown_ = processor->model.unk_id();
  begin_ = processor->model.bos_id();
  end_ = processor->model.eos_id();
  processor_ = processor;
}

std::int64_t SubwordModel::size() const { return processor_->model.GetPieceSize(); }

std::vector<std::int32_t> SubwordModel::encode(std::string_view text) const {
  std::vector<int> ids;
  const sp::util::Status status = processor_->model.Encode(text, &ids);
  require<DataError>(status.ok(), "subword model: ", status.ToString());
  return ids;
}

std::vector<std::int32_t> SubwordModel::merged_anew(std::span<const std::int32_t> ids, double rate, Rng& rng) const {
  const sp::SentencePieceProcessor& model = processor_->model;
  const auto is_plain = [&](std::int32_t id) { return !model.IsControl(id) && !model.IsUnknown(id) && !model.IsByte(id); };
  std::vector<std::int32_t> out;
  std::string run;  // the text of neighbouring plain pieces
  const auto merge_word = [&](std::string_view word) {
    std::vector<std::string_view> symbols = characters(word);
    std::vector<double> scores;  // of each symbol with the next
    const auto score = [&](std::size_t i) {
      const std::string_view both(symbols[i].data(), symbols[i].size() + symbols[i + 1].size());
      const int id = model.PieceToId(both);
      return id == unknown_ ? kNoMerge : static_cast<double>(model.GetScore(id));
    };
    for (std::size_t i = 0; i + 1 < symbols.size(); ++i) scores.push_back(score(i));
    while (true) {
      std::size_t best = scores.size();
      for (std::size_t i = 0; i < scores.size(); ++i)
        if (scores[i] != kNoMerge && (best == scores.size() || scores[i] > scores[best]) && !(rng.uniform() < rate)) best = i;
      if (best == scores.size()) break;
      symbols[best] = {symbols[best].data(), symbols[best].size() + symbols[best + 1].size()};
      symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(best) + 1);
      scores.erase(scores.begin() + static_cast<std::ptrdiff_t>(best));
      if (best > 0) scores[best - 1] = score(best - 1);
      if (best < scores.size()) scores[best] = score(best);
    }
    for (const std::string_view s : symbols) out.push_back(model.PieceToId(s));
  };
  const auto end_run = [&] {
    for (std::size_t from = 0; from < run.size();) {
      const std::size_t to = std::min(run.find(kBlank, from + 1), run.size());
      merge_word(std::string_view(run).substr(from, to - from));
      from = to;
    }
    run.clear();
  };
  for (const std::int32_t id : ids) {
    if (is_plain(id)) {
      run += piece(id);
    } else {
      end_run();
      out.push_back(id);
    }
  }
  end_run();
  return out;
}

std::string SubwordModel::decode(std::span<const std::int32_t> ids) const {
  for (const std::int32_t id : ids)
    require<DataError>(id >= 0 && id < size(), "subword model: ids must be below ", size(), ", the number of pieces: ", id);
  std::string text;
  const sp::util::Status status = processor_->model.Decode(std::vector<int>(ids.begin(), ids.end()), &text);
  require<DataError>(status.ok(), "subword model: ", status.ToString());
  return text;
}

std::string SubwordModel::piece(std::int32_t id) const {
  require<DataError>(id >= 0 && id < size(), "subword model: ids must be below ", size(), ", the number of pieces: ", id);
  return processor_->model.IdToPiece(id);
}

int SubwordModel::byte(std::int32_t id) const {
  const std::string name = piece(id);  // "<0xE9>"
  if (!processor_->model.IsByte(id)) return -1;
  int value = -1;
  const auto read = std::from_chars(name.data() + 3, name.data() + name.size() - 1, value, 16);
  require<InternalError>(read.ec == std::errc(), "subword model: a piece of a byte has an unknown form: ", name);
  return value;
}

}  // namespace capstan::data
