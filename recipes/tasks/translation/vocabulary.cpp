#include "recipes/tasks/translation/vocabulary.h"

#include <array>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "autograd/core/error.h"
#include "data/data_report.h"
#include "data/line_reader.h"
#include "data/prepared.h"
#include "data/synthetic/letter_pairs.h"
#include "data/text/parallel_text.h"
#include "data/text/unicode.h"
#include "recipes/engine/system.h"

namespace capstan::translation {
namespace {

constexpr std::string_view kSource = "source_subwords", kTarget = "target_subwords";  // artifacts

using Model = text::SharedSubwords;

Model of_artifact(const engine::NamedTensors& artifacts, std::string_view name) {
  const auto it = artifacts.find(name);
  return it == artifacts.end() ? nullptr : std::make_shared<const data::SubwordModel>(engine::tensor_text(it->second), name);
}

std::optional<Vocabularies> of_artifacts(const engine::NamedTensors& artifacts, std::string origin) {
  const Model source = of_artifact(artifacts, kSource);
  if (!source) return std::nullopt;
  const Model target = of_artifact(artifacts, kTarget);
  return Vocabularies{source, target ? target : source, std::move(origin)};
}

std::vector<std::string> pieces(const Model& model) {
  std::vector<std::string> out;
  if (!model) return out;
  for (std::int64_t i = 0; i < model->size(); ++i) out.push_back(model->piece(static_cast<std::int32_t>(i)));
  return out;
}

/// What a frame needs, and no less.
void require_frame(const Vocabularies& v) {
  require<DataError>(v.source->end() >= 0 && v.target->end() >= 0 && v.target->begin() >= 0,
                     "translation: a vocabulary needs pieces for beginning and end: the source's end is ", v.source->end(),
                     ", the target's beginning ", v.target->begin(), ", its end ", v.target->end(), " (-1: none)");
}

/// The training files, source and target.
std::array<std::string, 2> training_files(const DataOptions& data, const engine::Setup& setup) {
  return engine::named_by("data.train", [&] {
    const std::string prefix = setup.data_path(data.train);
    return std::array{data::language_file(prefix, data.source), data::language_file(prefix, data.target)};
  });
}

/// Learns from the lines of files, one after the other.
Model learned(const data::SubwordOptions& options, const std::vector<std::string>& files) {
  std::size_t file = 0;
  std::unique_ptr<data::LineReader> reader;
  return std::make_shared<const data::SubwordModel>(data::SubwordModel::learned(options, [&](std::string_view& text) {
    for (;;) {
      if (!reader) {
        if (file == files.size()) return false;
        reader = std::make_unique<data::LineReader>(files[file++]);
      }
      if (!reader->next(text)) {
        reader.reset();
        continue;
      }
      text = data::unicode::strip(text);
      if (!text.empty()) return true;
    }
  }));
}

Model learned(const data::SubwordOptions& options, const std::vector<std::string>& texts, const std::vector<std::string>& more) {
  std::size_t next = 0;
  return std::make_shared<const data::SubwordModel>(data::SubwordModel::learned(options, [&](std::string_view& text) {
    if (next == texts.size() + more.size()) return false;
    text = next < texts.size() ? texts[next] : more[next - texts.size()];
    ++next;
    return true;
  }));
}

Vocabularies learned_from_training(const DataOptions& data, const engine::Setup& setup) {
  if (data.origin != Origin::files) {
    const data::ParallelText texts = generated(data, engine::Split::train);
    Vocabularies out{.source = {}, .target = {}, .origin = "learned from generated texts"};
    const bool joint = data.vocabulary == VocabularyKind::joint;
    out.source = joint ? learned(data.subwords, texts.source, texts.target) : learned(data.subwords, texts.source, {});
    out.target = joint ? out.source : learned(data.subwords, texts.target, {});
    return out;
  }
  const auto [source, target] = training_files(data, setup);
  Vocabularies out{.source = {}, .target = {}, .origin = join_text("learned from ", source, " and ", target)};
  if (data.vocabulary == VocabularyKind::joint) {
    out.source = out.target = learned(data.subwords, {source, target});
  } else {
    out.source = learned(data.subwords, {source});
    out.target = learned(data.subwords, {target});
  }
  return out;
}

std::string prepared_key(const DataOptions& data, const engine::Setup& setup) {
  return data::prepared_key(training_files(data, setup), join_text("translation vocabularies 1\n", static_cast<int>(data.vocabulary), " ",
                                                                   text::to_text(data.subwords)));
}

}  // namespace

data::ParallelText generated(const DataOptions& data, engine::Split split) {
  const bool train = split == engine::Split::train;
  return data::letter_pairs({.count = train ? data.generated : data.generated / 20,
                             .reverse = data.origin == Origin::reverse,
                             .seed = static_cast<std::uint64_t>(split) + 1});
}

Vocabularies prepared_vocabularies(const DataOptions& data, const engine::Setup& setup) {
  require<ConfigError>(data.origin == Origin::files, "translation: there is nothing to prepare of generated texts");
  require<ConfigError>(!data.prepared.empty(), "translation: data.prepared names no directory to keep the vocabularies in");
  const bool joint = data.vocabulary == VocabularyKind::joint;
  const std::string directory = engine::expand_home(data.prepared);
  std::string origin;
  const text::PreparedSubwords kept = text::prepared_subwords(
      directory, joint ? std::vector<std::string>{"joint.model"} : std::vector<std::string>{"source.model", "target.model"},
      prepared_key(data, setup), [&] {
        const Vocabularies made = learned_from_training(data, setup);
        origin = made.origin;
        return joint ? std::vector<Model>{made.source} : std::vector<Model>{made.source, made.target};
      });
  if (!kept.learned) origin = join_text("prepared, ", directory);
  return {kept.models.front(), kept.models.back(), std::move(origin)};
}

Vocabularies vocabularies(const DataOptions& data, const engine::Setup& setup) {
  const auto chosen = [&]() -> Vocabularies {
    if (auto own = of_artifacts(setup.artifacts, "the checkpoint's")) return *own;
    auto initial = of_artifacts(setup.initial, setup.resumed ? "the run's" : "of the model in init.from");
    if (initial && setup.resumed) return *initial;
    if (!data.source_model.empty()) {
      const auto read = [&](std::string_view key, const std::string& path) {
        return engine::named_by(
            key, [&] { return std::make_shared<const data::SubwordModel>(data::SubwordModel::read(setup.data_path(path))); });
      };
      const Model source = read("data.source_model", data.source_model);
      const bool joint = data.vocabulary == VocabularyKind::joint;
      return {source, joint ? source : read("data.target_model", data.target_model), "the files named"};
    }
    if (initial) return *initial;
    return data.prepared.empty() || data.origin != Origin::files ? learned_from_training(data, setup) : prepared_vocabularies(data, setup);
  };
  Vocabularies out = chosen();
  require_frame(out);
  require<ConfigError>(out.joint() == (data.vocabulary == VocabularyKind::joint), "translation: data.vocabulary is ",
                       data.vocabulary == VocabularyKind::joint ? "joint" : "separate", ", but ", out.origin, " is not");
  return out;
}

void store(const Vocabularies& v, engine::NamedTensors& artifacts) {
  artifacts.emplace(kSource, engine::text_tensor(v.source->bytes()));
  if (!v.joint()) artifacts.emplace(kTarget, engine::text_tensor(v.target->bytes()));
}

std::vector<std::string> source_pieces(const engine::NamedTensors& artifacts) { return pieces(of_artifact(artifacts, kSource)); }
std::vector<std::string> target_pieces(const engine::NamedTensors& artifacts) {
  const Model target = of_artifact(artifacts, kTarget);
  return pieces(target ? target : of_artifact(artifacts, kSource));
}

}  // namespace capstan::translation
