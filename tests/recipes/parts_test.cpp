// Every recipe's batches in parts and its evaluations in shares: the numbers of the whole, whoever computes which part.

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <memory>
#include <numeric>
#include <optional>
#include <ostream>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "autograd/tape/tape.h"
#include "recipes/bert/recipe.h"
#include "recipes/bert_classify/recipe.h"
#include "recipes/bert_spans/recipe.h"
#include "recipes/detr/recipe.h"
#include "recipes/engine/command/configure.h"
#include "recipes/engine/train/batch_stream.h"
#include "recipes/engine/train/step.h"
#include "recipes/gru4rec/recipe.h"
#include "recipes/kernel_regression/recipe.h"
#include "recipes/language_model/recipe.h"
#include "recipes/lstm_classify/recipe.h"
#include "recipes/lstm_translate/recipe.h"
#include "recipes/resnet/recipe.h"
#include "recipes/sasrec/recipe.h"
#include "recipes/swin/recipe.h"
#include "recipes/text_average/recipe.h"
#include "recipes/translate/recipe.h"
#include "recipes/vit/recipe.h"
#include "tests/recipes/bert/fixtures.h"

namespace capstan::engine {
namespace {

using Settings = std::vector<std::string>;

/// A small configuration of a recipe with everything random switched on.
struct Small {
  std::string name;
  RecipeEntry (*recipe)();
  Settings settings;  // "@name" is a path in the directory of the test
  /// Writes the data into a directory, if it is not generated.
  std::function<void(const data::Scratch&)> write = {};
  bool drops = true;  // something out of what the network computes
  friend void PrintTo(const Small& small, std::ostream* out) { *out << small.name; }
};

void write_labelled(const data::Scratch& scratch) {
  std::string all = "text,label\n";
  for (int i = 0; i < 30; ++i) {
    std::string text = i % 2 == 0 ? "the film was" : "the book is long and";
    text += i % 3 != 0 ? " good" : " bad";
    for (int k = 0; k < i % 4; ++k) text += " and short";
    all += text + (i % 3 != 0 ? ",yes\n" : ",no\n");
  }
  scratch.write("train.csv", all);
  scratch.write("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\nfilm\nwas\nbook\nis\nlong\nand\ngood\nbad\nshort\n");
}

/// Paragraphs that take several windows, and one without any text, which takes none.
void write_questions(const data::Scratch& scratch) {
  const std::string other = "the film was long and the book is short and the film is bad ";
  std::string paragraphs;
  for (int i = 0; i < 9; ++i) {
    std::string text;
    for (int k = 0; k < 1 + i % 3; ++k) text += other;
    const std::string end = "the book was good";
    paragraphs += join_text(i > 0 ? "," : "", R"({"context":")", i == 5 ? " " : text + end, R"(","qas":[{"id":"q)", i,
                            R"(","question":"is the book long","is_impossible":)", i == 5 ? "true" : "false", R"(,"answers":[)",
                            i == 5 ? "" : join_text(R"({"text":"good","answer_start":)", text.size() + end.size() - 4, "}"), "]}]}");
  }
  scratch.write("squad.json", R"({"version":"2.0","data":[{"title":"t","paragraphs":[)" + paragraphs + "]}]}");
  write_labelled(scratch);
}

std::vector<Small> all_recipes() {
  const Settings sasrec{"synthetic.sequences=60", "synthetic.items=30", "synthetic.min_length=3", "model.hidden_size=16",
                        "model.max_length=12",    "model.dropout=0.2",  "loss.negatives=4",       "train.batch_size=10",
                        "loss.l2_embedding=0.01", "evaluate.k=5",       "evaluate.output=out",    "evaluate.sampled_negatives=5"};
  const Settings bert{"model.layers=1",
                      "model.hidden_size=16",
                      "model.heads=2",
                      "model.intermediate_size=32",
                      "model.max_positions=24",
                      "model.hidden_dropout=0.2",
                      "data.vocabulary=vocab.txt",
                      "model.attention_dropout=0.2"};
  const Settings images{"shapes.train=23",       "shapes.validation=14",       "shapes.test=3",
                        "shapes.size=16",        "model.dropout=0.1",          "train.batch_size=11",
                        "augment.rand_layers=1", "augment.erase=0.3",          "augment.repeats=2",
                        "augment.mixup=0.8",     "model.stochastic_depth=0.2", "augment.label_smoothing=0.1"};
  const Settings vit{"model.image_size=16", "model.hidden_size=16", "model.layers=2", "model.heads=2", "model.mlp_size=32"};
  const Settings translation{"data.origin=reverse", "data.generated=120",     "data.vocab_size=40",
                             "train.batch_size=90", "evaluate.translate=yes", "generation.beams=1"};
  const auto with = [](Settings a, const Settings& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
  };
  return {
      {"sasrec_bce_packed", sasrec::recipe, with(sasrec, {"loss.kind=bce", "model.packed=yes"})},
      {"sasrec_gbce_padded", sasrec::recipe, with(sasrec, {"loss.kind=gbce", "model.packed=no"})},
      {"gru4rec",
       gru4rec::recipe,
       {"synthetic.sequences=90", "synthetic.items=30", "model.layers=8, 6", "model.dropout_hidden=0.2", "model.dropout_embed=0.2",
        "negatives.count=6", "train.batch_size=11", "loss.logq=1", "loss.mask_collisions=yes", "evaluate.output=out"}},
      {"gru4rec_bpr_max",
       gru4rec::recipe,
       {"synthetic.sequences=90", "synthetic.items=30", "model.layers=8", "model.dropout_hidden=0.2", "loss.kind=bpr_max",
        "negatives.count=0", "train.batch_size=7"}},
      {"bert", bert::recipe,
       with(bert, {"data.train=text.txt", "data.form=sentences", "data.vocabulary=", "data.vocab_size=90", "data.prepared=@prepared",
                   "data.held_out=0.4", "instances.max_length=24", "instances.max_predictions=4", "model.positions=absolute",
                   "train.batch_size=4", "evaluate.instances=0"}),
       [](const data::Scratch& scratch) { scratch.write("text.txt", bert::tiny_text() + bert::tiny_text() + bert::tiny_text()); }},
      {"bert_classify_packed", bert_classify::recipe,
       with(bert, {"data.train=train.csv", "data.held_out=8", "data.max_length=16", "data.class_weights=balanced", "train.batch_size=8",
                   "evaluate.output=out"}),
       write_labelled},
      {"bert_classify_padded", bert_classify::recipe,
       with(bert, {"data.train=train.csv", "data.held_out=8", "data.max_length=16", "model.positions=relative_key", "train.batch_size=8"}),
       write_labelled},
      {"lstm_classify",
       lstm_classify::recipe,
       {"data.train=train.csv", "data.held_out=8", "data.max_length=16", "model.embedding=8", "model.hidden_size=6", "model.layers=2",
        "model.word_dropout=0.2", "model.embedding_dropout=0.2", "model.lstm_dropout=0.2", "model.output_dropout=0.2", "data.min_count=1",
        "train.batch_size=8"},
       write_labelled},
      {"bert_spans", bert_spans::recipe,
       with(bert, {"data.train=squad.json", "data.validation=squad.json", "spans.max_length=24", "spans.question_length=8",
                   "spans.stride=6", "train.batch_size=5"}),
       write_questions},
      {"translate", translate::recipe,
       with(translation,
            {"model.encoder_layers=1", "model.decoder_layers=1", "model.hidden_size=8", "model.heads=2", "model.intermediate_size=16",
             "model.dropout=0.2", "model.attention_dropout=0.2", "model.activation_dropout=0.2"})},
      {"lstm_translate", lstm_translate::recipe,
       with(translation, {"model.embedding=8", "model.hidden_size=8", "model.embedding_dropout=0.2", "model.output_dropout=0.2",
                          "model.scheduled_sampling=0.3"})},
      {"language_model",
       language_model::recipe,
       {"data.generated=100", "data.length=16", "model.layers=1", "model.hidden_size=16", "model.heads=2", "model.intermediate_size=32",
        "model.max_positions=64", "model.dropout=0.2", "model.attention_dropout=0.2", "train.batch_size=7"}},
      {"vit_mixup", vit::recipe, with(with(images, vit), {"augment.mix_mode=batch"})},
      {"vit_without_layers", vit::recipe, with(with(images, vit), {"model.layers=0"})},
      {"vit_cutmix", vit::recipe, with(with(images, vit), {"augment.mix_mode=image", "augment.cutmix=1", "augment.mix_probability=0.8"})},
      {"swin", swin::recipe,
       with(images,
            {"model.image_size=10", "model.patch_size=2", "model.hidden_size=8", "model.window_size=3", "model.attention_dropout=0.1"})},
      {"detr",
       detr::recipe,
       {"shapes.train=20",
        "shapes.validation=8",
        "shapes.test=3",
        "shapes.size=24",
        "augment.sides=16, 20, 24",
        "augment.crop=0.5",
        "augment.crop_sides=24",
        "augment.crop_least=12",
        "augment.crop_most=20",
        "evaluate.side=24",
        "model.backbone.widths=8, 8, 8, 8",
        "model.backbone.stem_width=8",
        "model.backbone.norm=frozen",
        "model.width=8",
        "model.heads=2",
        "model.inner=16",
        "model.queries=5",
        "model.encoder_layers=1",
        "model.decoder_layers=2",
        "model.dropout=0.1",
        "model.attention_dropout=0.1",
        "train.batch_size=5",
        "evaluate.results=out"}},
      {"resnet_frozen",
       resnet::recipe,
       {"shapes.train=23", "shapes.validation=14", "shapes.test=3", "shapes.size=16", "model.image_size=16", "model.stem_width=8",
        "model.blocks=1, 1", "model.widths=8, 8", "model.norm=frozen", "train.batch_size=11", "augment.cutmix=1"},
       {},
       /*drops=*/false},
      {"text_average",
       text_average::recipe,
       {"data.train=lines.txt", "data.min_count=1", "model.width=8", "train.batch_size=8"},
       [](const data::Scratch& scratch) {
         std::string lines;
         for (int i = 0; i < 40; ++i) lines += join_text(i % 3, " the film was ", i % 3 == 0 ? "good" : "bad", " and number ", i, "\n");
         scratch.write("lines.txt", lines);
       }},
      {"kernel_regression", kernel_regression::recipe, {"train.batch_size=10"}, {}, /*drops=*/false},
  };
}

/// A recipe as one of several processes has it.
struct Process {
  std::unique_ptr<AnyConfig> config;
  std::unique_ptr<AnyRecipe> recipe;

  Process(const Small& small, const data::Scratch& scratch, int rank = 0, int ranks = 1, std::int64_t evaluation_size = 0)
      : config(small.recipe().configuration()) {
    std::vector<Assignment> settings{{"run.data", scratch.path(), "test"}, {"run.threads", "1", "test"}};
    const std::string quickstart = join_text(CAPSTAN_SOURCE_DIR "/recipes/", small.recipe().name, "/quickstart.cfg");
    if (std::filesystem::exists(quickstart)) assign(config->table(), read_config_file(quickstart));
    for (const std::string& s : small.settings) {
      const std::string value = s.substr(s.find('=') + 1);
      settings.push_back({s.substr(0, s.find('=')), value.starts_with('@') ? scratch / value.substr(1) : value, "test"});
    }
    assign(config->table(), settings);
    config->finish();
    Setup setup = make_setup(config->engine(), Purpose::train);
    setup.rank = rank;
    setup.ranks = ranks;
    if (evaluation_size > 0) setup.evaluation_size = evaluation_size;
    recipe = config->make(setup);
  }
};

/// What a step takes from its pieces.
struct Sums {
  std::vector<double> losses, counts;
  double items = 0;
  std::vector<std::vector<double>> gradients = {};
  bool operator==(const Sums&) const = default;
};

Sums sums_of(AnyRecipe& recipe, const std::vector<AnyBatch>& pieces, std::int64_t step) {
  const std::size_t terms = recipe.loss_terms().size();
  Sums out{.losses = std::vector<double>(terms), .counts = std::vector<double>(terms)};
  out.gradients.resize(recipe.parameters().parameters().size());
  const nn::Run run = StepKey{.seed = 5, .step = step}.run(0);
  for (const AnyBatch& piece : pieces) {
    const std::vector<double> counts = recipe.loss_counts(piece);
    out.items += piece.items();
    Tape tape;
    const std::vector<Tensor> sums = recipe.loss(piece, run);
    std::vector<Tensor> ones;
    for (std::size_t k = 0; k < terms; ++k) {
      out.losses[k] += sums[k].item();
      out.counts[k] += counts[k];
      ones.push_back(Tensor::full(sums[k].shape(), 1, sums[k].dtype()));
    }
    const std::vector<Gradient> gradients = recipe.parameters().gradients(tape.backward(sums, ones));
    for (std::size_t p = 0; p < gradients.size(); ++p) {
      if (!gradients[p].defined()) continue;
      const std::vector<double> values = gradients[p].to_dense().to_vector();
      out.gradients[p].resize(values.size());
      std::ranges::transform(values, out.gradients[p], out.gradients[p].begin(), std::plus());
    }
  }
  return out;
}

double norm_of(const std::vector<double>& v) { return std::sqrt(std::inner_product(v.begin(), v.end(), v.begin(), 0.0)); }

/// The largest relative difference; of gradients that are all but zero, relative to a hundredth of the largest one.
double difference(const Sums& a, const Sums& b) {
  double most = std::abs(a.items - b.items), largest = 0;
  for (std::size_t k = 0; k < a.losses.size(); ++k) {
    most = std::max(most, std::abs(a.losses[k] - b.losses[k]) / std::max(1e-6, std::abs(a.losses[k])));
  }
  for (const auto& g : a.gradients) largest = std::max(largest, norm_of(g));
  for (std::size_t p = 0; p < a.gradients.size(); ++p) {
    if (a.gradients[p].size() != b.gradients[p].size()) return 1;
    std::vector<double> gap;
    std::ranges::transform(a.gradients[p], b.gradients[p], std::back_inserter(gap), std::minus());
    most = std::max(most, norm_of(gap) / std::max(norm_of(a.gradients[p]), 0.01 * largest));
  }
  return most;
}

/// One batch after the other, in so many parts; 0: whole, as one process takes it.
class Batches {
 public:
  Batches(AnyRecipe& recipe, std::int64_t parts) : recipe_(recipe), parts_(parts), order_(recipe, 2) { recipe_.begin_epoch(1); }

  std::vector<AnyBatch> next() {
    std::vector<AnyBatch> pieces;
    const auto add = [&](std::optional<AnyBatch> piece) {
      if (piece) pieces.push_back(std::move(*piece));
    };
    if (recipe_.sequential()) {
      const std::optional<AnyBatch> whole = recipe_.next_batch();
      if (!whole || parts_ == 0) {
        add(whole);
      } else {
        for (std::int64_t i = 0; i < parts_; ++i) add(recipe_.part(*whole, {.index = i, .count = parts_}));
      }
      return pieces;
    }
    const std::int64_t first = recipe_.setup().batch_size * index_++, size = recipe_.setup().batch_size;
    const auto samples = order_.samples(1, first, std::min(size, recipe_.samples_per_epoch() - first));
    for (std::int64_t i = 0; i < std::max<std::int64_t>(1, parts_); ++i) {
      const Part part{.index = i, .count = std::max<std::int64_t>(1, parts_)};
      const std::int64_t begin = part.begin(std::ssize(samples)), end = part.end(std::ssize(samples));
      const auto indices = std::span(samples).subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
      Samples some{.split = Split::train, .epoch = 1, .first = first + begin, .indices = indices};
      if (parts_ > 0) some.whole = samples, some.offset = begin;
      if (begin < end) add(recipe_.batch(some));
    }
    return pieces;
  }
  /// The sums over the next batches, each after what the ones before have left.
  std::vector<Sums> sums(std::int64_t count) {
    std::vector<Sums> out;
    for (std::int64_t step = 0; step < count; ++step) {
      const std::vector<AnyBatch> pieces = next();
      if (pieces.empty()) break;
      out.push_back(sums_of(recipe_, pieces, step));
      if (parts_ > 0) recipe_.share_rows([](const Tensor& mine) { return mine; });
    }
    return out;
  }

 private:
  AnyRecipe& recipe_;
  std::int64_t parts_, index_ = 0;
  EpochOrder order_;
};

struct Parts : testing::TestWithParam<Small> {
  Parts() {
    if (GetParam().write) GetParam().write(scratch);
  }
  data::Scratch scratch;
};

TEST_P(Parts, OfABatchAddUpToIt) {
  constexpr std::int64_t kSteps = 2, kSequentialSteps = 200;  // to the end of the epoch, where sessions run out
  const auto sums = [&](std::int64_t parts) {
    Process process(GetParam(), scratch);
    return Batches(*process.recipe, parts).sums(process.recipe->sequential() ? kSequentialSteps : kSteps);
  };
  const std::vector<Sums> whole = sums(0);
  ASSERT_GE(whole.size(), 2U);
  for (const std::int64_t parts : {1, 2, 3}) {
    const std::vector<Sums> added = sums(parts);
    ASSERT_EQ(added.size(), whole.size());
    for (std::size_t i = 0; i < whole.size(); ++i) {
      EXPECT_LT(difference(whole[i], added[i]), 1e-5) << "batch " << i << " in " << parts;
      for (std::size_t k = 0; k < whole[i].counts.size(); ++k)
        EXPECT_NEAR(added[i].counts[k], whole[i].counts[k], 1e-9 * whole[i].counts[k]) << "batch " << i << " in " << parts;
    }
  }
  EXPECT_TRUE(sums(2) == sums(2)) << "a part has the same bits wherever it is computed";
  if (!GetParam().drops) return;
  Process process(GetParam(), scratch);
  EXPECT_GT(difference(whole[0], sums_of(*process.recipe, Batches(*process.recipe, 0).next(), 1)), 1e-3) << "dropout is on";
}

/// What a pass over the validation split comes to.
struct Result {
  Metrics metrics;
  std::multiset<std::byte> rest;  // in any order
  std::vector<Finding> findings;
};

Result evaluated(const Small& small, const data::Scratch& scratch, int ranks, std::int64_t batch_size = 3) {
  const NoGrad paused;
  std::vector<Process> processes;
  std::vector<std::unique_ptr<AnyEvaluation>> shares;
  std::vector<std::vector<std::byte>> rests;
  for (int rank = 0; rank < ranks; ++rank) {
    AnyRecipe& recipe = *processes.emplace_back(small, scratch, rank, ranks, batch_size).recipe;
    AnyEvaluation& share = *shares.emplace_back(recipe.evaluation(Split::validation));
    if (recipe.sequential()) {
      const BatchSource source = recipe.evaluation_batches(Split::validation);
      for (auto batch = source(); batch; batch = source()) share.add(*batch);
    } else {
      const std::int64_t size = recipe.size(Split::validation), batches = (size + batch_size - 1) / batch_size;
      const Part part{.index = rank, .count = ranks};
      for (std::int64_t i = part.begin(batches); i < part.end(batches); ++i) {
        std::vector<std::int64_t> samples(static_cast<std::size_t>(std::min(batch_size, size - i * batch_size)));
        std::iota(samples.begin(), samples.end(), i * batch_size);
        share.add(recipe.batch({.split = Split::validation, .first = i * batch_size, .indices = samples}));
      }
    }
    rests.push_back(share.rest());
    if (rank == 0) continue;
    const auto sums = shares[0]->accumulators(), more = share.accumulators();
    for (std::size_t i = 0; i < sums.size(); ++i)
      std::ranges::transform(sums[i]->sums(), more[i]->sums(), sums[i]->sums().begin(), std::plus());
  }
  if (ranks > 1) shares[0]->set_rest(rests);
  const std::vector<std::byte> rest = shares[0]->rest();
  shares[0]->finish();
  return {reported(shares[0]->accumulators()), {rest.begin(), rest.end()}, shares[0]->findings()};
}

/// The words of a finding, and its numbers.
struct Content {
  std::vector<std::string> words;
  std::vector<double> numbers;
  std::vector<data::Image> pictures;
};

Content content_of(const Finding& finding) {
  Content out{.words = {finding.title, finding.text}, .numbers = {}, .pictures = {}};
  if (const auto* table = std::get_if<FindingTable>(&finding.shown)) {
    out.words.insert(out.words.end(), table->columns.begin(), table->columns.end());
    for (const auto& row : table->rows) {
      EXPECT_EQ(row.size(), table->columns.size()) << finding.title;
      out.words.insert(out.words.end(), row.begin(), row.end());
    }
  } else if (const auto* matrix = std::get_if<FindingMatrix>(&finding.shown)) {
    EXPECT_EQ(matrix->counts.size(), matrix->rows.size() * matrix->columns.size()) << finding.title;
    out.words.insert(out.words.end(), matrix->rows.begin(), matrix->rows.end());
    out.words.insert(out.words.end(), matrix->columns.begin(), matrix->columns.end());
    out.numbers = matrix->counts;
  } else if (const auto* curves = std::get_if<FindingCurves>(&finding.shown)) {
    for (const auto& curve : curves->curves) {
      out.words.push_back(curve.name);
      for (const auto& [x, y] : curve.points) out.numbers.insert(out.numbers.end(), {x, y});
    }
  } else {
    for (const auto& picture : std::get<FindingPictures>(finding.shown).pictures) {
      out.words.push_back(picture.caption);
      out.pictures.push_back(picture.image);
    }
  }
  return out;
}

TEST_P(Parts, OfASplitShowTheSame) {
  const std::vector<Finding> whole = evaluated(GetParam(), scratch, 1).findings;
  EXPECT_EQ(whole.empty(), GetParam().name == "text_average") << "every recipe but the one of the README shows something";
  for (const auto& [ranks, batch] : {std::pair(1, 1), {1, 64}, {2, 3}, {3, 2}}) {
    const std::vector<Finding> other = evaluated(GetParam(), scratch, ranks, batch).findings;
    ASSERT_EQ(other.size(), whole.size()) << ranks << " processes, batches of " << batch;
    for (std::size_t i = 0; i < whole.size(); ++i) {
      const Content a = content_of(whole[i]), b = content_of(other[i]);
      EXPECT_EQ(a.words, b.words) << ranks << " processes, batches of " << batch;
      ASSERT_EQ(a.numbers.size(), b.numbers.size()) << whole[i].title;
      for (std::size_t k = 0; k < a.numbers.size(); ++k)
        EXPECT_NEAR(a.numbers[k], b.numbers[k], 1e-5 * std::max(1.0, std::abs(a.numbers[k]))) << whole[i].title;
      EXPECT_TRUE(a.pictures == b.pictures) << whole[i].title;
    }
  }
}

TEST_P(Parts, OfASplitHaveItsMetrics) {
  const Result whole = evaluated(GetParam(), scratch, 1);
  for (const int ranks : {2, 3}) {
    const Result merged = evaluated(GetParam(), scratch, ranks);
    ASSERT_EQ(merged.metrics.size(), whole.metrics.size());
    for (std::size_t i = 0; i < whole.metrics.size(); ++i) {
      if (std::isnan(whole.metrics[i].value) && std::isnan(merged.metrics[i].value)) continue;
      EXPECT_NEAR(merged.metrics[i].value, whole.metrics[i].value, 1e-6 * std::max(1.0, std::abs(whole.metrics[i].value)))
          << whole.metrics[i].name << " of " << ranks;
    }
    EXPECT_TRUE(merged.rest == whole.rest) << ranks;
  }
}

INSTANTIATE_TEST_SUITE_P(Recipes, Parts, testing::ValuesIn(all_recipes()), [](const auto& of) { return of.param.name; });

}  // namespace
}  // namespace capstan::engine
