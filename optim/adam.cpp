#include "optim/adam.h"

#include <algorithm>
#include <cmath>

#include "optim/update_list.h"

namespace capstan::optim {
namespace {

constexpr double kIdle = 1e-6;  // the part of a first missed step below which further ones are left out

}  // namespace

AdamFamily::AdamFamily(std::string_view name, std::span<const Parameter> parameters, const AdamOptions& options, Decay decay,
                       bool bias_correction)
    : Optimizer(name, parameters), options_(options), decay_(decay), bias_correction_(bias_correction), moving_(parameters.size()) {
  require<ConfigError>(options.beta1 >= 0 && options.beta1 < 1, name, ": beta1 must be in [0, 1): ", options.beta1);
  require<ConfigError>(options.beta2 >= 0 && options.beta2 < 1, name, ": beta2 must be in [0, 1): ", options.beta2);
  require<ConfigError>(options.epsilon > 0, name, ": epsilon must be positive: ", options.epsilon);
  require<ConfigError>(options.weight_decay >= 0, name, ": weight decay must not be negative: ", options.weight_decay);
  first_ = add_slot("first_moment");
  second_ = add_slot("second_moment");
  if (options.sparse == SparsePolicy::catch_up) {
    const double ratio = options.beta1 / std::sqrt(options.beta2);  // by which |m| / sqrt(v) shrinks in a missed step
    require<ConfigError>(ratio < 1, name, ": catch_up needs beta1 < sqrt(beta2), or momentum outlives its scale: beta1 ", options.beta1,
                         ", beta2 ", options.beta2);
    const bool decays = options.weight_decay > 0 && std::ranges::any_of(this->parameters(), [](const Parameter& p) {
                          return p.trainable() && p.sparse_gradient() && p.decay();
                        });
    require<ConfigError>(!decays, name, ": catch_up does not go together with weight decay of tables: weight decay ", options.weight_decay);
    tail_ = ratio > 0 ? static_cast<std::int64_t>(std::ceil(std::log(kIdle) / std::log(ratio))) : 1;
    row_steps_ = add_row_slot("row_steps", 2);
  }
}

AdamFamily::~AdamFamily() = default;

kernels::rules::Adam AdamFamily::rule(double learning_rate) const {
  const auto t = static_cast<double>(step_count());
  const double correction1 = bias_correction_ ? 1 - std::pow(options_.beta1, t) : 1;
  const double root2 = bias_correction_ ? std::sqrt(1 - std::pow(options_.beta2, t)) : 1;
  const bool after = options_.placement == AdamEpsilon::after_correction;
  return {.beta1 = options_.beta1,
          .beta2 = options_.beta2,
          .epsilon = options_.epsilon,
          .step_size = learning_rate / correction1 * (after ? 1 : root2),
          .root_scale = after ? 1 / root2 : 1,
          .l2 = decay_ == Decay::in_gradient ? 1.0 : 0.0,
          .decay_rate = decay_ == Decay::decoupled ? learning_rate : 0.0};
}

void AdamFamily::update(std::span<const Item> items, double learning_rate, double gradient_scale) {
  const kernels::rules::Adam now = rule(learning_rate);
  const std::int64_t t = step_count();
  if (options_.sparse == SparsePolicy::catch_up) pass_over_tables_without(items);
  UpdateList list;
  for (const Item& item : items) {
    const std::size_t i = item.index;
    SparsePolicy policy = options_.sparse;
    if (policy == SparsePolicy::catch_up) {
      if (!row_steps_[i].defined()) {
        policy = SparsePolicy::dense;  // not declared a table: the same numbers, at the price of dense
      } else {
        const bool sparse = item.gradient.is_sparse();
        const std::span<const std::int64_t> named =
            sparse ? item.gradient.indices().span<const std::int64_t>() : std::span<const std::int64_t>();
        catch_up_rows(i, sparse ? &named : nullptr, t - 1, true);
        const std::span<std::int64_t> steps = row_steps_[i].span<std::int64_t>();
        if (sparse) {
          for (const std::int64_t row : named) std::fill_n(steps.begin() + 2 * row, 2, t);
        } else {
          std::ranges::fill(steps, t);
        }
      }
    }
    list.add(parameters()[i], item.gradient, {first_[i], second_[i]}, policy, options_.weight_decay, moving_rows(item, policy));
  }
  list.run(now, gradient_scale);

  if (options_.sparse != SparsePolicy::catch_up) return;
  if (history_.empty()) history_start_ = t - 1;
  history_.push_back({now.step_size, now.root_scale});
  if (static_cast<std::int64_t>(history_.size()) >= tail_) {  // so the history stays short; the price is shared by tail_ steps
    synchronize();
    history_.clear();
  }
}

// A row without gradients so far has moments of 0, and a step leaves them so, unless decay is part of its gradient. The passes over a large
// table spare themselves both moments of such rows.
std::span<const std::uint8_t> AdamFamily::moving_rows(const Item& item, SparsePolicy policy) {
  const Parameter& parameter = parameters()[item.index];
  const bool decays = decay_ == Decay::in_gradient && parameter.decay() && options_.weight_decay > 0;
  std::vector<std::uint8_t>& moving = moving_[item.index];
  if (policy != SparsePolicy::dense || !item.gradient.is_sparse() || decays) {
    moving.clear();
    return {};
  }
  const auto rows = static_cast<std::size_t>(parameter.value().size(0));
  if (moving.empty() && rows > 0) {
    moving.resize(rows);
    dispatch(parameter.dtype(), [&](auto zero) {
      using T = decltype(zero);
      for (const Slot& slot : {first_, second_}) {
        const std::span<const T> moments = slot[item.index].span<const T>();
        const std::size_t width = moments.size() / rows;
        for (std::size_t row = 0; row < rows; ++row)
          if (std::ranges::any_of(moments.subspan(row * width, width), [](T m) { return m != T(0); })) moving[row] = 1;
      }
    });
  }
  for (const std::int64_t row : item.gradient.indices().span<const std::int64_t>()) moving[static_cast<std::size_t>(row)] = 1;
  return moving;
}

// Such a table takes no part in this step: its rows make good what they missed before, and count this step as no step of theirs.
void AdamFamily::pass_over_tables_without(std::span<const Item> items) {
  const std::int64_t t = step_count();
  for (std::size_t i = 0; i < parameters().size(); ++i) {
    if (!row_steps_[i].defined() || std::ranges::any_of(items, [i](const Item& item) { return item.index == i; })) continue;
    catch_up_rows(i, nullptr, t - 1, false);
    const std::span<std::int64_t> steps = row_steps_[i].span<std::int64_t>();  // pairs of a row
    for (std::size_t k = 0; k < steps.size(); k += 2)
      if (steps[k] > 0) ++steps[k], ++steps[k + 1];
  }
}

void AdamFamily::catch_up_rows(std::size_t index, const std::span<const std::int64_t>* rows, std::int64_t until, bool idle) {
  if (parameters()[index].value().dtype() == DType::f64) {
    catch_up_rows_of<double>(index, rows, until, idle);
  } else {
    catch_up_rows_of<float>(index, rows, until, idle);
  }
}

// A named row's missed steps are a + 1, a + 2, ... (a = the step that named it). The first tail_ of them are repeated one by one, in one
// go or in several: that makes no difference to the bits. The rest only shrinks m and v; it is made good when the row is named again.
template <class T>
void AdamFamily::catch_up_rows_of(std::size_t index, const std::span<const std::int64_t>* rows, std::int64_t until, bool idle) {
  const Parameter& parameter = parameters()[index];
  const Tensor& value = parameter.value();
  const std::int64_t width = value.shape().without(0).numel();
  const std::span<std::int64_t> steps = row_steps_[index].span<std::int64_t>();
  std::vector<kernels::AdamMissedRow<T>> missed;
  const auto visit = [&](std::int64_t row) {
    const std::int64_t named = steps[static_cast<std::size_t>(2 * row)];
    std::int64_t& done = steps[static_cast<std::size_t>(2 * row + 1)];
    if (named == 0) return;
    const std::int64_t last = std::min(until, named + tail_);
    const std::int64_t rest = idle ? std::max<std::int64_t>(0, until - (named + tail_)) : 0;
    if (done >= last && rest == 0) return;
    std::span<const kernels::rules::AdamMissedStep> replay;
    if (done < last)
      replay = std::span(history_).subspan(static_cast<std::size_t>(done - history_start_), static_cast<std::size_t>(last - done));
    missed.push_back(
        {value.data<T>() + row * width, first_[index].data<T>() + row * width, second_[index].data<T>() + row * width, replay, rest});
    done = last;
  };
  if (rows == nullptr) {
    for (std::int64_t row = 0; row < value.size(0); ++row) visit(row);
  } else {
    for (const std::int64_t row : *rows) {
      require(row >= 0 && row < value.size(0), name(), ": rows must lie in the table: ", parameter, ", row ", row);
      visit(row);
    }
  }
  if (missed.empty()) return;
  const Tensor shadow = parameter.write_both().bf16;
  for (kernels::AdamMissedRow<T>& row : missed) {
    row.learning_rate_scale = parameter.learning_rate_scale();
    if (shadow.defined()) row.shadow = shadow.data<bfloat16>() + (row.value - value.data<T>());
  }
  kernels::adam_catch_up(std::span<const kernels::AdamMissedRow<T>>(missed), width, rule(0));
}

void AdamFamily::catch_up(std::size_t index, const std::span<const std::int64_t>* rows) {
  if (options_.sparse != SparsePolicy::catch_up || !row_steps_[index].defined()) return;
  catch_up_rows(index, rows, step_count(), false);
}

void AdamFamily::loaded() {
  history_.clear();
  std::ranges::fill(moving_, std::vector<std::uint8_t>());
}

}  // namespace capstan::optim
