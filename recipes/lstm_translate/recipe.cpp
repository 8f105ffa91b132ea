#include "recipes/lstm_translate/recipe.h"

#include <memory>
#include <vector>

#include "autograd/ops/shape_ops.h"
#include "nn/models/lstm_seq2seq.h"
#include "nn/token_layout.h"
#include "recipes/engine/erased_recipe.h"
#include "recipes/lstm_translate/decoder.h"
#include "recipes/tasks/translation/task.h"

namespace capstan::lstm_translate {
namespace {

namespace task = translation;

struct ModelOptions : nn::LstmSeq2SeqOptions {
  std::int64_t max_positions = 256;

  template <class V>
  void visit(V& v) {
    nn::LstmSeq2SeqOptions::visit(v);
    v("max_positions", max_positions, "longest sequence that is read or written, with its frame", V::between(4, 65536));
  }
};

struct Config : task::Options {
  ModelOptions model;

  template <class V>
  void visit(V& v) {
    v.section("model", model);
    task::Options::visit(v);
  }
  void validate() const { task::Options::validate(model.max_positions); }
};

/// Where the tokens of a side lie. Rows are padded behind their ends.
nn::TokenLayout layout_of(const task::Side& side) {
  std::vector<std::int64_t> lengths;
  for (std::int64_t row = 0; row < side.rows(); ++row) {
    std::int64_t length = 0;
    for (std::int64_t t = 0; t < side.length(); ++t) length += side.real.data<const std::uint8_t>()[row * side.length() + t];
    lengths.push_back(length);
  }
  return nn::token_layout(lengths, side.length(), /*packed=*/false, nn::Align::left);
}

nn::LstmSeq2Seq::Decoded decode(const nn::LstmSeq2Seq& model, const task::Batch& batch, const nn::Run& given) {
  nn::Run run = given;
  run.token_ids = batch.source.keys;
  const nn::LstmSeq2Seq::Encoded source = model.encode(flatten(batch.source.ids), layout_of(batch.source), run);
  run.token_ids = batch.target.keys;
  return model.decode(source, flatten(batch.target.ids), layout_of(batch.target), run);
}

task::Network network(const ModelOptions& options, const nn::Scope& scope, std::int64_t source_vocabulary, std::int64_t target_vocabulary) {
  const auto model = std::make_shared<const nn::LstmSeq2Seq>(
      scope, nn::LstmSeq2Seq::Vocabularies{.source = source_vocabulary, .target = target_vocabulary}, options);
  return {.hidden =
              [model](const task::Batch& batch, const nn::Run& run) {
                return index_select(flatten(decode(*model, batch, run).outputs, 0, 1), 0, batch.tokens);  // [N, d]
              },
          .output_weight = model->vocabulary_weight(),
          .source_parameters = {model->source_table()},
          .target_parameters = {model->target_table(), model->vocabulary_weight()},
          .max_positions = options.max_positions,
          .decoder = [model, vocabularies = LstmDecoder::Vocabularies{source_vocabulary, target_vocabulary}](
                         const task::DecoderSize& size) { return std::make_unique<LstmDecoder>(model, vocabularies, size); },
          .attention = [model](const task::Batch& batch) { return select(decode(*model, batch, {}).weights, 0, 0); }};  // [T, S]
}

class LstmTranslate : public task::Task {
 public:
  static constexpr std::string_view name = "lstm_translate";
  using Config = lstm_translate::Config;

  LstmTranslate(const Config& config, const engine::Setup& setup, const nn::Scope& scope)
      : Task(config, setup, scope, [&](const nn::Scope& below, std::int64_t source_vocabulary, std::int64_t target_vocabulary) {
          return network(config.model, below, source_vocabulary, target_vocabulary);
        }) {
    require<ConfigError>(setup.precision == DType::f32, "lstm_translate: train.precision must be f32");
  }

  static void defaults(engine::EngineOptions& o) {
    o.optimizer = engine::published(engine::OptimizerKind::adam);
    o.optimizer.learning_rate = 1e-3;
    o.schedule.kind = engine::ScheduleKind::linear;
    o.train.batch_size = 1500;
    o.train.epochs = 10;
    o.train.clip_norm = 5;
  }
};

}  // namespace

engine::RecipeEntry recipe() { return engine::entry<LstmTranslate>(); }

}  // namespace capstan::lstm_translate
