#include "recipes/engine/train/guard.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>

#include "autograd/core/error.h"
#include "autograd/tape/tape.h"
#include "recipes/engine/distributed/agreement.h"
#include "recipes/engine/terminal/terminal.h"

namespace capstan::engine {
namespace {

constexpr double kLeastDeviation = 0.01;  // of the mean
constexpr std::int64_t kLeastSteps = 8;   // in the window before anything is said

/// Compares with a window and adds to it.
std::optional<Spike> judge(const GuardOptions& options, std::vector<double>& window, std::string_view of, double value, double share) {
  const auto steps = std::ssize(window);
  std::optional<Spike> spike;
  double entered = value;
  if (steps >= std::max(kLeastSteps, options.spike_window / 2)) {
    const auto n = static_cast<double>(steps);
    double mean = 0, squares = 0;
    for (const double v : window) mean += v / n;
    for (const double v : window) squares += (v - mean) * (v - mean) / n;
    const double deviation = std::max(std::sqrt(squares), kLeastDeviation * std::abs(mean));
    if (deviation > 0 && share * (value - mean) > options.spike_threshold * deviation) {
      spike = Spike{.of = of, .value = value, .mean = mean, .deviations = (value - mean) / deviation, .steps = steps};
      entered = mean + options.spike_threshold * deviation;
    }
  }
  if (share < 1) return spike;
  window.push_back(entered);
  if (std::ssize(window) > options.spike_window) window.erase(window.begin(), window.end() - options.spike_window);
  return spike;
}

template <class F>
void with_values(const Tensor& t, const F& f) {
  const Tensor straight = t.detach().contiguous();
  dispatch_floating("guard", straight.dtype(), [&](auto zero) { f(straight.span<const decltype(zero)>()); });
}

/// Of f32 by its bits, whose order is that of magnitudes: a loop that the compiler may run on many at once, unlike one that compares
/// floating-point numbers.
double largest_of(std::span<const float> values) {
  std::uint32_t largest = 0;
  for (const float v : values) largest = std::max(largest, std::bit_cast<std::uint32_t>(v) & 0x7fff'ffffu);
  return static_cast<double>(std::bit_cast<float>(largest));
}
template <class T>
double largest_of(std::span<const T> values) {
  double largest = 0;
  for (const T v : values) largest = std::max(largest, std::abs(static_cast<double>(v)));
  return largest;
}

double largest_magnitude(const Tensor& t) {
  double largest = 0;
  with_values(t, [&](const auto values) { largest = largest_of(values); });
  return largest;
}

std::vector<double> sample_of(const Tensor& t) {
  std::vector<double> sample;
  const auto every = static_cast<std::size_t>(1 + (t.numel() - 1) / LayerWatch::kSample);
  with_values(t, [&](const auto values) {
    sample.reserve(values.size() / every + 1);
    for (std::size_t i = 0; i < values.size(); i += every) sample.push_back(static_cast<double>(values[i]));
  });
  return sample;
}

void copy_values(const Tensor& from, const Tensor& to) {
  dispatch_floating("guard", to.dtype(), [&](auto zero) {
    using T = decltype(zero);
    std::ranges::copy(from.span<const T>(), to.span<T>().begin());
  });
}

}  // namespace

std::string to_text(const Spike& s) {
  return join_text(s.of, " ", short_number(s.value), " is ", short_number(s.deviations), " standard deviations above ",
                   short_number(s.mean), ", the mean of ", s.steps, " steps");
}

std::optional<Spike> find_spike(const GuardOptions& options, GuardState& state, double loss, double gradient_norm, double share) {
  if (options.spike_threshold == 0) {
    state.losses.clear();
    state.norms.clear();
    return std::nullopt;
  }
  const auto of_loss = judge(options, state.losses, "loss", loss, share);
  auto of_norm = judge(options, state.norms, "gradient norm", gradient_norm * std::sqrt(share), share);
  if (of_norm) of_norm->value = gradient_norm;
  return of_loss ? of_loss : of_norm;
}

std::string place_text(const TrainState& state, std::int64_t batches) {
  const std::int64_t first = state.position + 1;
  return batches == 1 ? join_text("epoch ", state.epoch + 1, ", batch ", first)
                      : join_text("epoch ", state.epoch + 1, ", batches ", first, " to ", state.position + batches);
}

void StatisticsBefore::keep() {
  if (!kept_) {
    kept_.emplace();
    for (const Parameter& p : parameters_.parameters())
      if (!p.trainable()) kept_->push_back({p, p.value().detach().clone(), p.version()});
    return;
  }
  // What one pass has left alone is left alone by all.
  std::erase_if(*kept_, [](const Kept& k) { return !k.moves && k.version == k.parameter.version(); });
  for (Kept& k : *kept_) {
    k.moves = true;
    if (k.version == k.parameter.version()) continue;
    copy_values(k.parameter.value().detach(), k.value);
    k.version = k.parameter.version();
  }
}

void StatisticsBefore::put_back() {
  if (!kept_) return;
  for (Kept& k : *kept_) {
    if (k.version == k.parameter.version()) continue;
    copy_values(k.value, k.parameter.write());
    k.version = k.parameter.version();
    k.moves = true;
  }
}

void LayerWatch::before(const StepGradients& step) {
  gradients_.clear();
  samples_.clear();
  for (const Gradient& g : step.gradients)
    gradients_.push_back(g.defined() ? largest_magnitude(g.is_sparse() ? g.row_values() : g.dense()) : -1);
  if (step.of_shares && comm_ != nullptr)
    for (const auto& of : comm_->gather(std::as_bytes(std::span(gradients_)))) {
      std::vector<double> theirs(gradients_.size());
      std::memcpy(theirs.data(), of.data(), of.size());
      std::ranges::transform(gradients_, theirs, gradients_.begin(), [](double a, double b) { return std::max(a, b); });
    }
  for (const Parameter& p : parameters_.parameters()) samples_.push_back(sample_of(p.value()));
}

std::vector<JsonRow> LayerWatch::rows(std::int64_t step) const {
  std::vector<JsonRow> rows;
  for (std::size_t i = 0; i < gradients_.size(); ++i) {
    const Parameter& p = parameters_.parameters()[i];
    if (!p.trainable() || gradients_[i] < 0) continue;
    const std::vector<double> now = sample_of(p.value());
    double moved = 0, size = 0;
    for (std::size_t k = 0; k < now.size(); ++k) {
      moved += (now[k] - samples_[i][k]) * (now[k] - samples_[i][k]);
      size += samples_[i][k] * samples_[i][k];
    }
    rows.push_back({{"step", step},
                    {"name", p.name()},
                    {"weight", largest_magnitude(p.value())},
                    {"gradient", gradients_[i]},
                    {"update", moved == 0 ? 0.0 : std::sqrt(moved / size)}});
  }
  return rows;
}

void pass_over(AnyRecipe& recipe, const StepWork& work, const StepKey& key, GradientExchange& exchange) {
  const NoGrad no_grad;
  std::int64_t shared = 0;
  const auto share_rows = [&](std::int64_t until) {
    for (; exchange.parts() > 1 && shared < until; ++shared)
      recipe.share_rows([&](const Tensor& mine) { return gather_rows(exchange.comm(), mine); });
  };
  for (const Piece& piece : work.pieces) {
    share_rows(piece.number);
    recipe.loss(piece.batch, key.run(piece.number));
  }
  share_rows(work.batches);
}

}  // namespace capstan::engine
