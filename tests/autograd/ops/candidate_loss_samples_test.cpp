#include "autograd/ops/candidate_loss.h"
#include "tests/autograd/ops/op_table.h"

namespace capstan::testing {
namespace {

Tensor items(const std::vector<std::int64_t>& values, const Shape& shape) { return Tensor::from(values, shape); }
Tensor valid(const std::vector<std::uint8_t>& values) { return Tensor::from(values, {static_cast<std::int64_t>(values.size())}); }

}  // namespace

template <>
struct Samples<ops::CandidateScores> {
  static std::vector<Sample<ops::CandidateScores>> good() {
    const Tensor few = items({1, 4, 0, 1, 3, 1}, {3, 2}), pads = items({1, 4, -7, 99, 3, 1}, {3, 2});
    std::vector<Sample<ops::CandidateScores>> list;
    for (const bool sparse : {false, true}) {
      list.push_back({.name = "repeated items",
                      .args = {.sparse = sparse},
                      .inputs = {uniform({3, 5}), uniform({6, 5}, -1, 1, 2), few, {}},
                      .bf16_tolerance = 6e-2});
      list.push_back({.name = "padding",
                      .args = {.sparse = sparse},
                      .inputs = {uniform({3, 19}), uniform({6, 19}, -1, 1, 2), pads, valid({1, 0, 1})},
                      .bf16_tolerance = 6e-2});
      list.push_back(
          {.name = "only padding", .args = {.sparse = sparse}, .inputs = {uniform({3, 4}), uniform({6, 4}), pads, valid({0, 0, 0})}});
      list.push_back({.name = "no rows", .args = {.sparse = sparse}, .inputs = {uniform({0, 4}), uniform({6, 4}), items({}, {0, 3}), {}}});
    }
    return list;
  }
  static Sample<ops::CandidateScores> large() {
    return {.name = "large",
            .args = {},
            .inputs = {uniform({331, 16}), uniform({200, 16}, -1, 1, 2), some_indices({331, 21}, 200), {}},
            .bf16_tolerance = 6e-2};
  }
  static std::vector<BadSample<ops::CandidateScores>> bad() {
    const Tensor h = uniform({2, 3}), table = uniform({5, 3}), one = items({0, 1}, {2, 1});
    return {{.name = "width", .args = {}, .inputs = {h, uniform({5, 4}), one, {}}, .message = "h f64[2, 3], table f64[5, 4]"},
            {.name = "type", .args = {}, .inputs = {h, Tensor::zeros({5, 3}), one, {}}, .message = "table f32[5, 3]"},
            {.name = "candidates", .args = {}, .inputs = {h, table, items({0}, {1, 1}), {}}, .message = "candidates i64[1, 1]"},
            {.name = "valid", .args = {}, .inputs = {h, table, one, valid({1})}, .message = "h f64[2, 3], valid u8[1]"},
            {.name = "beyond",
             .args = {},
             .inputs = {h, table, items({0, 1, 2, 5}, {2, 2}), {}},
             .message = "row 1, column 1 holds 5, V is 5"}};
  }
};

template <>
struct Samples<ops::RankingLoss> {
  static std::vector<Sample<ops::RankingLoss>> good() {
    std::vector<Sample<ops::RankingLoss>> list;
    for (const RankingLossKind kind :
         {RankingLossKind::bce_sum, RankingLossKind::bce, RankingLossKind::gbce, RankingLossKind::sampled_softmax}) {
      const std::string name = "kind " + std::to_string(static_cast<int>(kind));
      list.push_back({.name = name, .args = {.kind = kind, .items = 40}, .inputs = {uniform({3, 2}), {}, {}}, .bf16 = false});
      list.push_back({.name = name + ", many, padding",
                      .args = {.kind = kind, .items = 40, .reduction = Reduction::sum()},
                      .inputs = {uniform({3, 37}, -3, 3), valid({1, 0, 1}), {}},
                      .bf16 = false});
      list.push_back({.name = name + ", no rows", .args = {.kind = kind, .items = 40}, .inputs = {uniform({0, 2}), {}, {}}, .bf16 = false});
    }
    const Tensor log_q = Tensor::from<double>({99, -1, -2, 99, -3, -.5}, {2, 3});
    list.push_back(
        {.name = "log q", .args = {.kind = RankingLossKind::sampled_softmax}, .inputs = {uniform({2, 3}), {}, log_q}, .bf16 = false});
    return list;
  }
  static Sample<ops::RankingLoss> large() {
    return {.name = "large", .args = {.kind = RankingLossKind::sampled_softmax}, .inputs = {uniform(kLarge, -3, 3), {}, {}}, .bf16 = false};
  }
  static std::vector<BadSample<ops::RankingLoss>> bad() {
    return {{.name = "no negatives", .args = {}, .inputs = {uniform({2, 1}), {}, {}}, .message = "with k >= 1 negatives: scores f64[2, 1]"},
            {.name = "type", .args = {}, .inputs = {Tensor::zeros({2, 2}, DType::bf16), {}, {}}, .message = "scores bf16[2, 2]"},
            {.name = "items",
             .args = {.kind = RankingLossKind::gbce, .items = 2},
             .inputs = {uniform({2, 3}), {}, {}},
             .message = "items 2, negatives 2"},
            {.name = "calibration",
             .args = {.kind = RankingLossKind::gbce, .calibration = 2, .items = 9},
             .inputs = {uniform({2, 3}), {}, {}},
             .message = "[0, 1]: 2"},
            {.name = "log q",
             .args = {},
             .inputs = {uniform({2, 3}), {}, Tensor::zeros({2, 3})},
             .message = "log_q belongs to sampled_softmax"}};
  }
};

namespace {
[[maybe_unused]] const bool registered = register_family<ops::CandidateLossOps>();
}  // namespace

}  // namespace capstan::testing
