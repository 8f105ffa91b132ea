#include "recipes/tasks/translation/task.h"
#include "recipes/engine/report/answer_pictures.h"

#include <algorithm>
#include <cmath>
#include <ostream>
#include <utility>

#include "autograd/core/error.h"
#include "autograd/core/rng.h"
#include "autograd/ops/linear_cross_entropy.h"
#include "autograd/tape/tape.h"
#include "data/figure.h"
#include "data/output_file.h"
#include "nn/weight.h"
#include "recipes/engine/report/run_log.h"
#include "recipes/engine/system.h"
#include "recipes/tasks/text/attention_picture.h"
#include "recipes/tasks/text/decode_bench.h"

namespace capstan::translation {
namespace {

using engine::Purpose;
using engine::Split;

constexpr std::string_view kPosition = "position";  // state: batches of the epoch that are done
constexpr std::int64_t kSpecial = 4;                // ids below are no words, in bench

std::vector<std::int32_t> random_ids(Rng& rng, std::int64_t count, std::int64_t vocabulary) {
  std::vector<std::int32_t> ids;
  for (std::int64_t i = 0; i < count; ++i)
    ids.push_back(
        static_cast<std::int32_t>(kSpecial + static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(vocabulary - kSpecial)))));
  return ids;
}

std::string line_of(std::string text) {
  std::ranges::replace_if(
      text, [](char c) { return c == '\n' || c == '\r'; }, ' ');
  return text;
}

}  // namespace

Task::Task(const Options& options, const engine::Setup& setup, const nn::Scope& scope, const MakeNetwork& make)
    : options_(options), setup_(setup) {
  if (setup_.purpose == Purpose::bench) {
    network_ = make(scope, options_.bench.vocab_size, options_.bench.vocab_size);
    return;
  }
  vocabularies_ = vocabularies(options_.data, setup_);
  if (setup_.purpose != Purpose::predict) data_ = std::make_unique<Dataset>(options_.data, setup_, *vocabularies_);
  if (setup_.purpose == Purpose::predict) {
    options_.predict.pictures = engine::expand_home(options_.predict.pictures);
    engine::make_picture_directory(options_.predict.pictures);
  }
  network_ = make(scope, vocabularies_->source->size(), vocabularies_->target->size());
  if (setup_.purpose == Purpose::train) begin_epoch(0);
}

const Dataset& Task::dataset() const {
  require<InternalError>(data_ != nullptr, "translation: there is no data for this purpose");
  return *data_;
}

// ---- data

std::int64_t Task::batches_per_epoch() const { return std::ssize(batches_); }

void Task::begin_epoch(std::int64_t epoch) {
  if (setup_.purpose == Purpose::bench) return;
  batches_ = training_batches(dataset().part(Split::train)->pairs, setup_.batch_size, setup_.seed, epoch);
  position_ = 0;
  epoch_ = epoch;
}

std::optional<Batch> Task::next_batch() {
  if (position_ == std::ssize(batches_)) return std::nullopt;
  const std::vector<std::int64_t>& numbers = batches_[static_cast<std::size_t>(position_++)];
  const std::vector<EncodedPair>& pairs = dataset().part(Split::train)->pairs;
  const std::int32_t pad = vocabularies_->target->padding_or_unknown();
  const std::int64_t longest = options_.data.max_length;
  if (options_.data.bpe_dropout == 0) return make_batch(pairs, numbers, longest, pad);
  std::vector<EncodedPair> drawn;
  for (const std::int64_t i : numbers) {
    Rng rng(random_key(setup_.seed, "bpe dropout", {static_cast<std::uint64_t>(epoch_), static_cast<std::uint64_t>(i)}));
    drawn.push_back(merged_anew(pairs[static_cast<std::size_t>(i)], *vocabularies_, options_.data.bpe_dropout, longest, rng));
  }
  std::vector<const EncodedPair*> chosen;
  for (const EncodedPair& pair : drawn) chosen.push_back(&pair);
  return make_batch(chosen, numbers, longest, pad);
}

engine::NamedTensors Task::state() const {
  engine::NamedTensors out;
  if (data_) out.emplace(kPosition, Tensor::from(std::vector<std::int64_t>{position_}, {1}));
  return out;
}

void Task::set_state(const engine::NamedTensors& state) {
  const auto it = state.find(kPosition);
  require<CheckpointError>(it != state.end() && it->second.numel() == 1, "translation: the checkpoint lacks the position in the epoch");
  const auto position = static_cast<std::int64_t>(it->second.item());
  require<CheckpointError>(position >= 0 && position <= std::ssize(batches_), "translation: the checkpoint stands behind batch ", position,
                           " of an epoch, which has ", batches_.size());
  position_ = position;
}

std::function<std::optional<Batch>()> Task::evaluation_batches(Split split) const {
  if (!data_ || data_->part(split) == nullptr) return {};
  const std::vector<EncodedPair>& pairs = data_->part(split)->pairs;
  auto list = std::make_shared<BatchList>(translation::evaluation_batches(pairs, setup_.batch_size));
  // Processes take turns, for batches go from short texts to long ones, which take longer to write.
  return [this, &pairs, list, next = static_cast<std::size_t>(setup_.rank)]() mutable -> std::optional<Batch> {
    if (next >= list->size()) return std::nullopt;
    const std::vector<std::int64_t>& numbers = (*list)[next];
    next += static_cast<std::size_t>(setup_.ranks);
    return make_batch(pairs, numbers, options_.data.max_length, vocabularies_->target->padding_or_unknown());
  };
}

engine::NamedTensors Task::artifacts() const {
  engine::NamedTensors out;
  if (vocabularies_) store(*vocabularies_, out);
  return out;
}

std::vector<engine::NamedRows> Task::named_rows() const {
  std::vector<engine::NamedRows> rows{{.what = "source tokens", .names = source_pieces, .parameters = network_.source_parameters}};
  if (!network_.target_parameters.empty())
    rows.push_back({.what = "target tokens", .names = target_pieces, .parameters = network_.target_parameters});
  return rows;
}

void Task::prepare(const Options& options, const engine::Setup& setup, std::ostream& report) {
  const Vocabularies v = prepared_vocabularies(options.data, setup);
  report << "vocabulary: " << v.source->size();
  if (!v.joint()) report << " and " << v.target->size();
  report << " pieces, " << v.origin << "\n";
}

std::int64_t Task::bench_pairs() const { return std::max<std::int64_t>(1, setup_.batch_size / options_.bench.target_length); }

Batch Task::bench_batch(std::int64_t index) const {
  Rng rng(random_key(setup_.seed, "bench", {static_cast<std::uint64_t>(index)}));
  const BenchOptions& b = options_.bench;
  std::vector<EncodedPair> pairs;
  std::vector<std::int64_t> numbers;
  for (std::int64_t i = 0; i < bench_pairs(); ++i) {
    pairs.push_back({random_ids(rng, b.source_length, b.vocab_size), random_ids(rng, b.target_length + 1, b.vocab_size)});
    numbers.push_back(i);
  }
  return make_batch(pairs, numbers, std::max(b.source_length, b.target_length) + 1, 0);
}

// ---- training

Tensor Task::loss(const Batch& batch, const nn::Run& run) const {
  const Tensor h = network_.hidden(batch, run);  // [N, H]
  return linear_cross_entropy(h, nn::weight_for(network_.output_weight, h), nn::weight_for(network_.output_bias, h), batch.labels,
                              {.reduction = Reduction::sum(), .label_smoothing = options_.loss.label_smoothing})
      .value;
}

// ---- use

Evaluation Task::evaluation(Split split) const {
  Evaluation out;
  out.part = dataset().part(split);
  out.all = setup_.purpose == Purpose::evaluate || options_.evaluate.translate;
  out.example_count = setup_.purpose == Purpose::evaluate ? 0 : options_.evaluate.examples;
  if (out.all && out.part != nullptr) out.translator = std::make_shared<Translator>(network_, *vocabularies_, options_.generation);
  if (network_.attention && out.part != nullptr)
    out.attention = [this, part = out.part](std::int64_t number) {
      return attention(part->pairs[static_cast<std::size_t>(number)].source, number);
    };
  return out;
}

void Task::evaluated(Split, Evaluation& evaluation) const {
  if (evaluation.example_count > 0 && evaluation.translator == nullptr)
    evaluation.translator = std::make_shared<Translator>(network_, *vocabularies_, options_.generation);
  finish(evaluation);
  evaluation.translator.reset();  // it holds memory for its search
  if (setup_.purpose != Purpose::evaluate || options_.evaluate.output.empty()) return;
  std::string text;
  for (const std::string& t : evaluation.translations) text += line_of(t) + "\n";
  data::write_output(engine::expand_home(options_.evaluate.output), text);
}

std::string Task::protocol(Split split) const {
  const GenerationOptions& g = options_.generation;
  return join_text(engine::name_of(split), ": ", dataset().part(split)->texts.size(),
                   " pairs; loss and accuracy of the reference's tokens; ", "translations by ", g.beams, g.beams == 1 ? " beam" : " beams",
                   ", length penalty ", g.length_penalty, "\n",
                   "  bleu: nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp    chrf: nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no\n");
}

Query Task::query(const std::string& line, std::int64_t number) const {
  Query out{.source = encode_source(*vocabularies_->source, engine::not_blank(line, number), std::int64_t{1} << 30), .number = number};
  require<DataError>(std::ssize(out.source) <= network_.max_positions, "line ", number, ": the text has ", out.source.size(),
                     " tokens with [EOS], the model reads ", network_.max_positions);
  return out;
}

std::vector<std::string> Task::answer(std::span<const Query> queries, const nn::Run&) {
  if (!translator_) translator_ = std::make_unique<Translator>(network_, *vocabularies_, options_.generation);
  std::vector<std::vector<std::int32_t>> sources;
  std::vector<std::int64_t> numbers;
  for (const Query& q : queries) {
    sources.push_back(q.source);
    numbers.push_back(q.number);
  }
  const std::vector<std::vector<Translation>> translations = (*translator_)(sources, numbers);
  if (!options_.predict.pictures.empty())
    for (std::size_t i = 0; i < queries.size(); ++i) draw(queries[i], translations[i].front());
  std::vector<std::string> answers;
  for (const std::vector<Translation>& best : translations) {
    std::vector<text::Written> written;
    for (const Translation& t : best) written.push_back({t.text, t.score});
    answers.push_back(text::answer(written, "translation", setup_.json_answers, options_.generation.hypotheses > 1));
  }
  return answers;
}

engine::FindingMatrix Task::attention(const std::vector<std::int32_t>& read, std::span<const std::int64_t> written) const {
  const data::SubwordModel &source = *vocabularies_->source, &target = *vocabularies_->target;
  EncodedPair pair{.source = read, .target = {target.begin()}};
  for (const std::int64_t token : written) pair.target.push_back(static_cast<std::int32_t>(token));
  pair.target.push_back(target.end());
  const std::int64_t first = 0;
  const Tensor weights =
      network_.attention(make_batch(std::span(&pair, 1), std::span(&first, 1), network_.max_positions, target.padding_or_unknown()));
  engine::FindingMatrix out{
      .row_title = "translation", .column_title = "source", .rows = {}, .columns = {}, .counts = weights.to_vector()};  // [T, S]
  for (const std::int32_t id : pair.source) out.columns.push_back(source.piece(id));
  for (std::size_t t = 1; t < pair.target.size(); ++t) out.rows.push_back(target.piece(pair.target[t]));
  return out;
}

engine::FindingMatrix Task::attention(const std::vector<std::int32_t>& source, std::int64_t number) const {
  Translator translator(network_, *vocabularies_, options_.generation);
  engine::FindingMatrix out = attention(source, translator(std::span(&source, 1), std::span(&number, 1)).front().front().tokens);
  for (double& weight : out.counts) weight = std::round(weight * 1000) / 1000;
  return out;
}

void Task::draw(const Query& query, const Translation& translation) const {
  engine::FindingMatrix weights = attention(query.source, translation.tokens);
  text::draw_attention(options_.predict.pictures, query.number,
                       {.title = translation.text,
                        .columns_title = "source",
                        .rows_title = "translation",
                        .columns = std::move(weights.columns),
                        .rows = std::move(weights.rows),
                        .values = {weights.counts.begin(), weights.counts.end()}});
}

std::string Task::bench_of(std::string_view what) const {
  if (what != "decode") return "";
  require<ConfigError>(setup_.purpose == Purpose::bench, "translation: decoding is timed on random sources");
  const NoGrad paused;
  const BenchOptions& b = options_.bench;
  engine::JsonRow rates;
  std::string weights;
  for (const std::int64_t lines : {std::int64_t{1}, std::int64_t{32}})
    for (const std::int64_t beams : {std::int64_t{1}, std::int64_t{4}}) {
      const auto decoder = network_.decoder({.lines = lines,
                                             .beams = beams,
                                             .max_source = b.source_length,
                                             .max_length = b.written + 1,
                                             .weights = options_.generation.weights,
                                             .cache = options_.generation.cache});
      Rng rng(random_key(setup_.seed, "decode"));
      const auto request = [&] {
        const std::vector<std::int32_t> source = random_ids(rng, b.source_length, b.vocab_size);
        return nn::GenerationRequest{.source = {source.begin(), source.end()},
                                     .prompt = {1},
                                     .options = {.beams = beams, .min_length = b.written, .max_length = b.written, .stop_tokens = {2}}};
      };
      rates.emplace_back(join_text(beams == 1 ? "greedy_" : "beam4_", lines), text::tokens_per_second(*decoder, lines, b.written, request));
      weights = text::weights_json(*decoder, options_.generation.weights);
    }
  return join_text(R"({"tokens_per_s":)", engine::to_json(rates), ",", weights, R"(,"written":)", b.written, R"(,"source":)",
                   b.source_length, R"(,"threads":)", setup_.threads, "}");
}

}  // namespace capstan::translation
