#include "recipes/engine/train/failure.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "autograd/core/error.h"
#include "autograd/tape/observer.h"
#include "autograd/tape/tape.h"
#include "data/json.h"
#include "optim/coalesce.h"
#include "recipes/engine/report/run_log.h"
#include "recipes/engine/train/guard.h"

namespace capstan::engine {
namespace {

constexpr std::size_t kMostSamples = 16;  // that are looked for
constexpr std::size_t kToldSamples = 4;   // that a message names
constexpr std::string_view kEvery = "*";

/// How many elements of a tensor are which.
struct Extremes {
  double largest = 0;  // magnitude of those that are finite
  std::int64_t nan = 0, positive = 0, negative = 0;

  bool finite() const { return nan + positive + negative == 0; }
  bool wrong() const { return nan + positive > 0; }
  /// The magnitude of the largest, NaN if one is none.
  double magnitude() const {
    return nan > 0 ? std::numeric_limits<double>::quiet_NaN() : finite() ? largest : std::numeric_limits<double>::infinity();
  }
};

bool is_floating(const Tensor& t) {
  return t.defined() && (t.dtype() == DType::f32 || t.dtype() == DType::bf16 || t.dtype() == DType::f64);
}

Extremes extremes_of(const Tensor& t) {
  Extremes e;
  if (!is_floating(t)) return e;
  const Tensor straight = t.detach().contiguous();
  dispatch_floating("failure", straight.dtype(), [&](auto zero) {
    for (const auto element : straight.span<const decltype(zero)>()) {
      const auto v = static_cast<double>(element);
      if (std::isnan(v)) {
        ++e.nan;
      } else if (std::isinf(v)) {
        ++(v > 0 ? e.positive : e.negative);
      } else {
        e.largest = std::max(e.largest, std::abs(v));
      }
    }
  });
  return e;
}

/// The first operation whose result is not finite.
struct Fault {
  std::string operation, layer;  // the layer whose parameter was read last
  bool reads_layer = false;      // the operation itself reads it
  bool given = false;            // an operand was not finite that no operation gave
  std::vector<std::string> operands;
  std::string result;
  Extremes extremes;
};

/// Looks at the operations of a forward pass.
class FaultFinder final : public Observer {
 public:
  explicit FaultFinder(const nn::ParameterStore& parameters) : parameters_(parameters.parameters()) {}

  const std::optional<Fault>& fault() const { return wrong_ ? wrong_ : negative_; }

 private:
  const Parameter* parameter_of(const Tensor& t) const {
    for (const Parameter& p : parameters_)
      if (t.node().kind == NodeRef::Kind::leaf ? t.node().owner == p.leaf()
                                               : t.is_constant() && t.storage().same_as(p.value().detach().storage()))
        return &p;
    return nullptr;
  }

  void operation(std::int32_t event, std::span<const Tensor* const> operands, std::span<const Tensor> results) override {
    if (wrong_) return;
    bool reads = false;
    for (const Tensor* t : operands)
      if (const Parameter* p = t->defined() ? parameter_of(*t) : nullptr; p != nullptr) {
        layer_ = p->name().substr(0, p->name().rfind('/'));
        reads = true;
      }
    for (const Tensor& result : results) {
      const Extremes e = extremes_of(result);
      if (e.finite() || (negative_ && !e.wrong())) continue;
      Fault f{.operation = std::string(name_of(event)),
              .layer = layer_,
              .reads_layer = reads,
              .given = false,
              .operands = {},
              .result = to_text(result.spec()),
              .extremes = e};
      for (const Tensor* t : operands) {
        f.operands.push_back(to_text(t->spec()));
        f.given = f.given || extremes_of(*t).wrong();
      }
      (e.wrong() ? wrong_ : negative_) = std::move(f);
      if (wrong_) return;
    }
  }

  std::span<const Parameter> parameters_;
  std::string layer_;
  std::optional<Fault> wrong_, negative_;
};

/// What a forward pass, and a backward pass if it is wanted, over a batch give.
struct Outcome {
  bool failed = false;
  std::vector<std::pair<std::string, double>> norms;  // of the gradients, in the order in which they were ready
  std::string first_gradient;                         // that is not finite; empty: none
};

Outcome run_batch(AnyRecipe& recipe, const AnyBatch& batch, const nn::Run& run, bool with_gradients) {
  Outcome outcome;
  try {
    Tape tape;
    const std::vector<Tensor> terms = recipe.loss(batch, run);
    for (const Tensor& t : terms) outcome.failed = outcome.failed || !extremes_of(t).finite();
    if (!with_gradients) return outcome;
    const std::vector<double> counts = recipe.loss_counts(batch);
    std::vector<Tensor> cotangents;
    for (std::size_t k = 0; k < terms.size(); ++k) cotangents.push_back(Tensor::full(terms[k].shape(), 1.0 / counts[k], terms[k].dtype()));
    tape.backward(terms, cotangents, [&](std::uint64_t leaf, const Gradient& gradient) {
      const auto parameters = recipe.parameters().parameters();
      const auto p = std::ranges::find(parameters, leaf, &Parameter::leaf);
      if (p == parameters.end()) return;
      const Tensor values = gradient.is_sparse() ? optim::coalesced(gradient).row_values() : gradient.to_dense();
      double squares = 0;
      for (const double v : values.to_vector()) squares += v * v;
      outcome.norms.emplace_back(p->name(), std::sqrt(squares));
      if (std::isfinite(squares)) return;
      outcome.failed = true;
      if (outcome.first_gradient.empty()) outcome.first_gradient = p->name();
    });
  } catch (const NumericalError&) {
    outcome.failed = true;
  } catch (const Error&) {  // such as a part of a batch with nothing to learn from, which tells nothing
  }
  return outcome;
}

/// What a process has found in its pieces of a step.
struct Found {
  bool failed = false;  // again
  std::optional<Fault> fault;
  Outcome outcome;                     // of the piece
  std::int64_t number = 0;             // of its batch in the step
  std::vector<std::int64_t> of_piece;  // its samples
  std::vector<std::int64_t> samples;   // those that fail alone
  bool spared = false;                 // a part did not fail
  bool together = false;               // parts fail of which no part does

  bool every_tried() const { return samples.size() > 1 && !spared; }
};

/// Halves a batch of samples for as long as a part fails.
class SampleSearch {
 public:
  SampleSearch(AnyRecipe& recipe, const BatchPlace& drawn, const nn::Run& run, bool with_gradients)
      : recipe_(recipe), epoch_(drawn.epoch), run_(run), with_gradients_(with_gradients) {
    EpochOrder order(recipe);
    const std::int64_t size = recipe.setup().batch_size;
    first_ = drawn.index * size;
    whole_ = order.samples(epoch_, first_, std::min(size, recipe.samples_per_epoch() - first_));
  }

  std::span<const std::int64_t> whole() const { return whole_; }
  void search(std::int64_t begin, std::int64_t end, Found& found) {
    if (begin < end) halve(begin, end, found);
  }

 private:
  bool fails(std::int64_t begin, std::int64_t end) {
    try {
      const AnyBatch batch =
          recipe_.batch({.split = Split::train,
                         .epoch = epoch_,
                         .first = first_ + begin,
                         .indices = std::span(whole_).subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin)),
                         .whole = whole_,
                         .offset = begin});
      return run_batch(recipe_, batch, run_, with_gradients_).failed;
    } catch (const Error&) {
      return false;
    }
  }
  /// The samples begin .. end - 1, which fail together.
  void halve(std::int64_t begin, std::int64_t end, Found& found) {
    if (found.samples.size() >= kMostSamples) return;
    if (end - begin == 1) {
      found.samples.push_back(whole_[static_cast<std::size_t>(begin)]);
      return;
    }
    const std::int64_t middle = begin + (end - begin) / 2;
    bool any = false;
    for (const auto& [from, to] : {std::pair(begin, middle), std::pair(middle, end)})
      if (found.samples.size() < kMostSamples) {
        const bool failed = fails(from, to);
        any = any || failed;
        found.spared = found.spared || !failed;
        if (failed) halve(from, to, found);
      }
    if (!any && found.samples.size() < kMostSamples) found.together = true;
  }

  AnyRecipe& recipe_;
  std::int64_t epoch_, first_ = 0;
  nn::Run run_;
  bool with_gradients_;
  std::vector<std::int64_t> whole_;
};

Found look_again(AnyRecipe& recipe, const FailedStep& step, bool with_gradients, bool find_samples) {
  Found found;
  for (const Piece& piece : step.work.pieces) {
    const nn::Run run = step.key.run(piece.number);
    found.number = piece.number;
    {
      FaultFinder finder(recipe.parameters());
      found.failed = run_batch(recipe, piece.batch, run, false).failed;
      if (found.failed) found.fault = finder.fault();
    }
    if (found.failed || with_gradients) {
      found.outcome = run_batch(recipe, piece.batch, run, true);
      found.failed = found.failed || found.outcome.failed;
    }
    if (!found.failed) continue;
    if (recipe.sequential()) break;
    SampleSearch search(recipe, {step.drawn.epoch, step.drawn.index + piece.number}, run, with_gradients);
    const Part part{.index = piece.place - piece.number * step.parts, .count = step.parts};
    const auto n = std::ssize(search.whole());
    found.of_piece.assign(search.whole().begin() + part.begin(n), search.whole().begin() + part.end(n));
    if (find_samples) search.search(part.begin(n), part.end(n), found);
    break;
  }
  return found;
}

std::string list_text(std::span<const std::int64_t> numbers, std::string_view between) {
  std::string text;
  for (const std::int64_t n : numbers) text += join_text(text.empty() ? "" : between, n);
  return text;
}

std::string operation_text(const Fault& f) {
  const std::string where = f.layer.empty() ? f.operation : join_text("layer ", f.layer, " (", f.operation, ")");
  return join_text(f.layer.empty() || f.reads_layer ? "first in " : "first behind ", where, f.given ? ", whose input is not finite" : "");
}

std::string json_list(const std::vector<std::string>& texts) {
  std::string out;
  for (const std::string& t : texts) out += join_text(out.empty() ? "" : ",", data::json_string(t));
  return join_text("[", out, "]");
}

std::string json_of(const Found& found, int rank, std::int64_t position) {
  std::string out = join_text("{\"rank\":", rank, ",\"fails_again\":", found.failed ? "true" : "false");
  if (found.failed) out += join_text(",\"batch\":", position + found.number + 1);
  if (found.fault) {
    const Fault& f = *found.fault;
    out += join_text(",\n   \"operation\":{\"name\":", data::json_string(f.operation), ",\"layer\":", data::json_string(f.layer),
                     ",\"reads_its_parameters\":", f.reads_layer ? "true" : "false", ",\"input_not_finite\":", f.given ? "true" : "false",
                     ",\"operands\":", json_list(f.operands), ",\"result\":", data::json_string(f.result), ",\"nan\":", f.extremes.nan,
                     ",\"infinite\":", f.extremes.positive + f.extremes.negative, "}");
  }
  if (found.failed)
    out += join_text(",\n   \"samples\":[", list_text(found.samples, ","),
                     "],\"more_samples\":", found.samples.size() >= kMostSamples ? "true" : "false",
                     ",\"every_sample_tried\":", found.every_tried() ? "true" : "false",
                     ",\"only_together\":", found.together ? "true" : "false", ",\n   \"samples_of_batch\":[",
                     list_text(found.of_piece, ","), "]");
  if (!found.outcome.first_gradient.empty()) out += join_text(",\n   \"first_gradient\":", data::json_string(found.outcome.first_gradient));
  std::string norms;
  for (const auto& [name, norm] : found.outcome.norms)
    norms += join_text(norms.empty() ? "" : ",", "\n    ", to_json({{"name", name}, {"norm", norm}}));
  return join_text(out, ",\n   \"gradients\":[", norms, "]}");
}

std::string own_where(const Found& found) {
  if (!found.failed) return "";
  if (found.fault) return operation_text(*found.fault);
  return found.outcome.first_gradient.empty() ? "" : join_text("first in the gradient of ", found.outcome.first_gradient);
}

/// What each process says, by rank.
std::vector<std::string> texts_of_all(Comm* comm, std::string_view mine) {
  if (comm == nullptr) return {std::string(mine)};
  std::vector<std::string> texts;
  for (const auto& bytes : comm->gather(std::as_bytes(std::span(mine))))
    texts.emplace_back(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return texts;
}

/// Of the words of all processes: a sample's number, or kEvery for all that were tried.
std::string samples_text(std::vector<std::string> names) {
  if (names.empty()) return "";
  if (std::ranges::all_of(names, [](const std::string& name) { return name == kEvery; })) return " for every sample that was tried";
  std::erase(names, kEvery);
  const bool more = names.size() > kToldSamples;
  names.resize(std::min(names.size(), kToldSamples));
  std::string text;
  for (const std::string& name : names) text += join_text(text.empty() ? "" : ", ", name);
  return join_text(" for ", names.size() == 1 ? "sample " : "samples ", text, more ? " and others" : "");
}

}  // namespace

FailureReport examine_failure(AnyRecipe& recipe, const TrainState& state, const FailedStep* step, const NumericalError& error, Comm* comm) {
  const auto* const of = dynamic_cast<const NotFinite*>(&error);
  FailureReport report;
  std::string bad_parameter, parameters;
  for (const Parameter& p : recipe.parameters().parameters()) {
    const Extremes e = extremes_of(p.value());
    if (!e.finite() && bad_parameter.empty()) bad_parameter = p.name();
    parameters +=
        join_text(parameters.empty() ? "" : ",", "\n  ",
                  to_json({{"name", p.name()}, {"weight", e.magnitude()}, {"not_finite_elements", e.nan + e.positive + e.negative}}));
  }

  std::string found_by_rank;
  if (step != nullptr) {
    const bool with_gradients = of != nullptr && of->of() == NotFinite::Of::gradient;
    const bool moved = of != nullptr && of->of() == NotFinite::Of::parameter;  // the step cannot be repeated
    const Found found = moved ? Found{} : look_again(recipe, *step, with_gradients, bad_parameter.empty());
    std::vector<std::string> samples;
    std::string where;
    for (const std::string& theirs : texts_of_all(comm, own_where(found)))
      if (where.empty()) where = theirs;
    for (const std::string& theirs : texts_of_all(comm, found.every_tried() ? std::string(kEvery) : list_text(found.samples, " ")))
      for (std::size_t at = 0; at < theirs.size();) {
        const std::size_t end = std::min(theirs.find(' ', at), theirs.size());
        samples.push_back(theirs.substr(at, end - at));
        at = end + 1;
      }
    const int rank = comm != nullptr ? comm->rank() : 0;
    for (const std::string& theirs : texts_of_all(comm, moved ? std::string() : json_of(found, rank, state.position)))
      if (!theirs.empty()) found_by_rank += join_text(found_by_rank.empty() ? "" : ",", "\n  ", theirs);
    if (!bad_parameter.empty() && !moved) where = join_text("the parameter ", bad_parameter, " is not finite");
    report.where = join_text(" (", place_text(state, step->work.batches), ")");
    if (!where.empty()) {
      report.where += join_text(": ", where, samples_text(samples));
    } else if (!moved) {
      report.where += ": not again when the step was repeated";
    }
  }

  JsonRow head{{"step", state.step}, {"epoch", state.epoch + 1}};
  if (step != nullptr) {
    head.emplace_back("first_batch", state.position + 1);
    head.emplace_back("batches", step->work.batches);
    head.emplace_back("learning_rate", step->learning_rate);
  }
  if (of != nullptr) {
    if (of->of() != NotFinite::Of::loss) head.emplace_back("gradient_norm", of->loss().gradient_norm);
    const std::vector<std::string> terms = recipe.loss_terms();
    for (std::size_t k = 0; k < terms.size() && k < of->loss().sums.size(); ++k)
      head.emplace_back("loss/" + terms[k], of->loss().sums[k] / of->loss().counts[k]);
  }
  head.emplace_back("message", std::string(error.what()));
  report.json = join_text("{\"failure\":", to_json(head), ",\n \"found\":[", found_by_rank, "],\n \"parameters\":[", parameters, "]}\n");
  return report;
}

}  // namespace capstan::engine
