#include "autograd/ops/session_loss.h"

#include "tests/autograd/ops/op_table.h"

namespace capstan::testing {
namespace {

const Tensor kNone;

Tensor ids(std::initializer_list<std::int64_t> values) { return Tensor::from(values, Shape{static_cast<std::int64_t>(values.size())}); }

std::vector<std::pair<std::string, SessionLossRule>> rules() {
  using enum SessionLossKind;
  return {{"cross entropy", {cross_entropy}},
          {"bpr", {bpr}},
          {"bpr, elu", {bpr, .7}},
          {"top1", {top1}},
          {"top1 max", {top1_max}},
          {"top1 max, elu", {top1_max, .5}},
          {"bpr max", {bpr_max}},
          {"bpr max, elu, bpreg", {bpr_max, .5, 1.3}}};
}

}  // namespace

template <>
struct Samples<ops::SessionLoss> {
  static std::vector<Sample<ops::SessionLoss>> good() {
    std::vector<Sample<ops::SessionLoss>> out;
    for (const auto& [name, rule] : rules()) {
      out.push_back({.name = name + ", odd columns",
                     .args = rule,
                     .inputs = {uniform({5, 37}), kNone, kNone},
                     .f32_tolerance = 1e-4,
                     .bf16_tolerance = 6e-2});
      out.push_back({.name = name + ", correction, in-batch only",
                     .args = rule,
                     .inputs = {uniform({4, 4}), uniform({4}, -1, 1, 2), kNone},
                     .f32_tolerance = 1e-4,
                     .bf16_tolerance = 6e-2});
      out.push_back({.name = name + ", collisions",
                     .args = rule,
                     .inputs = {uniform({3, 6}), kNone, ids({4, 1, 4, 1, 7, 1})},
                     .f32_tolerance = 1e-4,
                     .bf16_tolerance = 6e-2});
      out.push_back({.name = name + ", no negative", .args = rule, .inputs = {uniform({2, 3}), kNone, ids({4, 4, 4})}});
      out.push_back({.name = name + ", one row, one column", .args = rule, .inputs = {uniform({1, 1}), kNone, kNone}});
      out.push_back({.name = name + ", no rows", .args = rule, .inputs = {uniform({0, 3}), kNone, kNone}});
    }
    return out;
  }
  static Sample<ops::SessionLoss> large() {
    return {.name = "large",
            .args = {SessionLossKind::bpr_max, .5, 1.3},
            .inputs = {uniform({307, 331}), uniform({331}, -1, 1, 2), some_indices({331}, 200)},
            .f32_tolerance = 1e-4,
            .bf16_tolerance = 6e-2};
  }
  static std::vector<BadSample<ops::SessionLoss>> bad() {
    return {{.name = "targets missing",
             .inputs = {uniform({3, 2}), kNone, kNone},
             .message = "M <= N, column i being the target of row i: scores f64[3, 2]"},
            {.name = "correction",
             .inputs = {uniform({2, 3}), uniform({2}), kNone},
             .message = "correction must be [3]: scores f64[2, 3], correction f64[2]"},
            {.name = "items", .inputs = {uniform({2, 3}), kNone, ids({1, 2})}, .message = "items i64[2], scores f64[2, 3]"},
            {.name = "items type", .inputs = {uniform({2, 3}), kNone, uniform({3})}, .message = "items must be i64"},
            {.name = "elu", .args = {.elu = .5}, .inputs = {uniform({2, 3}), kNone, kNone}, .message = "0 for cross entropy: elu 0.5"},
            {.name = "bpreg",
             .args = {.kind = SessionLossKind::bpr_max, .bpreg = -1},
             .inputs = {uniform({2, 3}), kNone, kNone},
             .message = "bpreg -1"},
            {.name = "type", .inputs = {Tensor::zeros({2, 3}, DType::i64), kNone, kNone}, .message = "floating type: scores i64[2, 3]"}};
  }
};

template <>
struct Samples<ops::SampledSessionLoss> {
  static std::vector<Sample<ops::SampledSessionLoss>> good() {
    std::vector<Sample<ops::SampledSessionLoss>> out;
    const Tensor hidden = uniform({3, 5}), table = uniform({7, 5}, -1, 1, 2), bias = uniform({7}, -1, 1, 3),
                 correction = uniform({6}, -1, 1, 4);
    for (const auto& [name, rule] : rules()) {
      for (const bool mask : {false, true})
        out.push_back({.name = name + (mask ? ", masked" : ""),
                       .args = {rule, mask},
                       .inputs = {hidden, table, bias, ids({2, 0, 2, 6, 6, 0}), correction},
                       .f32_tolerance = 1e-4,
                       .bf16_tolerance = 8e-2});
      out.push_back({.name = name + ", no bias",
                     .args = {rule},
                     .inputs = {hidden, table, kNone, ids({1, 4, 2, 5}), kNone},
                     .f32_tolerance = 1e-4,
                     .bf16_tolerance = 8e-2});
    }
    out.push_back({.name = "many candidates",
                   .args = {},
                   .inputs = {uniform({2, 17}, -1, 1, 5), uniform({9, 17}, -1, 1, 6), kNone,
                              ids({8, 7, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 2, 2}), kNone},
                   .f32_tolerance = 1e-4,
                   .bf16_tolerance = 8e-2});
    return out;
  }
  static Sample<ops::SampledSessionLoss> large() {
    return {.name = "large",
            .args = {{SessionLossKind::cross_entropy}, true},
            .inputs = {uniform({307, 16}), uniform({200, 16}, -1, 1, 2), uniform({200}, -1, 1, 3), some_indices({331}, 200),
                       uniform({331}, -1, 1, 4)},
            .f32_tolerance = 1e-4,
            .bf16_tolerance = 8e-2,
            .same_bits = false};
  }
  static std::vector<BadSample<ops::SampledSessionLoss>> bad() {
    return {{.name = "width",
             .inputs = {uniform({2, 3}), uniform({7, 4}), kNone, ids({0, 1}), kNone},
             .message = "hidden f64[2, 3], table f64[7, 4]"},
            {.name = "targets missing",
             .inputs = {uniform({2, 3}), uniform({7, 3}), kNone, ids({0}), kNone},
             .message = "begin with a target for every row: candidates i64[1]"},
            {.name = "candidate type",
             .inputs = {uniform({2, 3}), uniform({7, 3}), kNone, uniform({2}), kNone},
             .message = "candidates must be i64"},
            {.name = "candidate unknown",
             .inputs = {uniform({2, 3}), uniform({7, 3}), kNone, ids({0, 7}), kNone},
             .message = "candidate 7, rows 7"},
            {.name = "bias",
             .inputs = {uniform({2, 3}), uniform({7, 3}), uniform({3}), ids({0, 1}), kNone},
             .message = "bias must be [7]: table f64[7, 3], bias f64[3]"},
            {.name = "correction type",
             .inputs = {uniform({2, 3}), uniform({7, 3}), kNone, ids({0, 1}), Tensor::zeros({2})},
             .message = "correction f32[2]"}};
  }
};

namespace {
const bool registered = register_family<ops::SessionLossOps>();
}

}  // namespace capstan::testing
