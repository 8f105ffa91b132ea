#include "autograd/ops/dropout.h"
#include "tests/autograd/ops/op_table.h"

namespace capstan::testing {

template <>
struct Samples<ops::Dropout> {
  static std::vector<Sample<ops::Dropout>> good() {
    return {{.name = "one group", .args = {.p = 0.3, .key = 7}, .inputs = {uniform({3, 5, 7}), {}}},
            {.name = "row ids", .args = {.p = 0.5, .key = 7}, .inputs = {uniform({3, 67}), Tensor::from<std::int64_t>({4, 9, 2}, {3})}},
            {.name = "scalar", .args = {.p = 0.1, .key = 3}, .inputs = {uniform({}), {}}},
            {.name = "nothing", .args = {.p = 0.1, .key = 3}, .inputs = {uniform({0, 4}), Tensor::from<std::int64_t>({}, {0})}},
            {.name = "keep all", .args = {.p = 0, .key = 3}, .inputs = {uniform({9}), {}}},
            {.name = "drop all", .args = {.p = 1, .key = 3}, .inputs = {uniform({9}), {}}}};
  }
  static Sample<ops::Dropout> large() {
    return {.name = "large", .args = {.p = 0.3, .key = 7}, .inputs = {uniform(kLarge), some_indices({kLarge[0]}, 900)}};
  }
  static std::vector<BadSample<ops::Dropout>> bad() {
    return {{.name = "p", .args = {.p = 1.5}, .inputs = {uniform({3}), {}}, .message = "must lie in [0, 1]: p 1.5"},
            {.name = "integers", .args = {.p = .5}, .inputs = {Tensor::zeros({3}, DType::u8), {}}, .message = "x u8[3]"},
            {.name = "id type", .args = {.p = .5}, .inputs = {uniform({3}), Tensor::zeros({3}, DType::i32)}, .message = "row_ids i32[3]"},
            {.name = "id count",
             .args = {.p = .5},
             .inputs = {uniform({3, 4}), Tensor::zeros({5}, DType::i64)},
             .message = "x f64[3, 4] has 12, row_ids i64[5]"}};
  }
};

namespace {
[[maybe_unused]] const bool registered = register_family<ops::DropoutOps>();
}  // namespace

}  // namespace capstan::testing
