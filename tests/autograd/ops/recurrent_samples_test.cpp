#include "autograd/ops/recurrent.h"

#include <array>

#include "tests/autograd/ops/op_table.h"

namespace capstan::testing {
namespace {

const Tensor kNone;

Tensor lengths(std::initializer_list<std::int64_t> values) { return Tensor::from(values, Shape{static_cast<std::int64_t>(values.size())}); }

}  // namespace

template <>
struct Samples<ops::GruCell> {
  static constexpr std::array<std::size_t, 2> parameters{2, 3};
  static std::vector<Sample<ops::GruCell>> good() {
    std::vector<Sample<ops::GruCell>> out;
    for (const auto variant : {GruVariant::reset_before, GruVariant::reset_after}) {
      const std::string name = variant == GruVariant::reset_before ? "reset before, " : "reset after, ";
      out.push_back(
          {.name = name + "odd width",
           .args = {variant},
           .inputs = {uniform({3, 21}, -1.5, 1.5, 1), uniform({3, 7}, -1, 1, 2), uniform({21, 7}, -1, 1, 3), uniform({21}, -1, 1, 4)}});
      out.push_back({.name = name + "no bias",
                     .args = {variant},
                     .inputs = {uniform({2, 51}, -1.5, 1.5, 1), uniform({2, 17}, -1, 1, 2), uniform({51, 17}, -.5, .5, 3), kNone}});
      out.push_back({.name = name + "one row, one unit",
                     .args = {variant},
                     .inputs = {uniform({1, 3}), uniform({1, 1}, -1, 1, 2), uniform({3, 1}, -1, 1, 3), uniform({3}, -1, 1, 4)}});
      out.push_back({.name = name + "no rows",
                     .args = {variant},
                     .inputs = {uniform({0, 9}), uniform({0, 3}), uniform({9, 3}, -1, 1, 3), uniform({9}, -1, 1, 4)}});
    }
    return out;
  }
  static Sample<ops::GruCell> large() {
    return {.name = "large",
            .args = {GruVariant::reset_before},
            .inputs = {uniform({531, 192}), uniform({531, 64}, -1, 1, 2), uniform({192, 64}, -.2, .2, 3), uniform({192}, -1, 1, 4)},
            .same_bits = false};
  }
  static std::vector<BadSample<ops::GruCell>> bad() {
    return {{.name = "two gates",
             .inputs = {uniform({2, 6}), uniform({2, 3}), uniform({9, 3}), kNone},
             .message = "gates f64[2, 6], weight f64[9, 3]"},
            {.name = "weight",
             .inputs = {uniform({2, 9}), uniform({2, 3}), uniform({9, 4}), kNone},
             .message = "weight must be [3 * H, H]: weight f64[9, 4]"},
            {.name = "state",
             .inputs = {uniform({2, 9}), uniform({3, 3}), uniform({9, 3}), kNone},
             .message = "a state must be [B, H] = [2, 3]: state f64[3, 3]"},
            {.name = "no state", .inputs = {uniform({2, 9}), kNone, uniform({9, 3}), kNone}, .message = "a state must be [B, H]"},
            {.name = "bias", .inputs = {uniform({2, 9}), uniform({2, 3}), uniform({9, 3}), uniform({3})}, .message = "bias f64[3]"},
            {.name = "mixed types",
             .inputs = {uniform({2, 9}), uniform({2, 3}), Tensor::zeros({9, 3}, DType::f32), kNone},
             .message = "one element type"},
            {.name = "integers",
             .inputs = {Tensor::zeros({2, 9}, DType::i64), uniform({2, 3}), uniform({9, 3}), kNone},
             .message = "floating type"}};
  }
};

template <>
struct Samples<ops::Gru> {
  static constexpr std::array<std::size_t, 2> parameters{2, 3};
  static std::vector<Sample<ops::Gru>> good() {
    std::vector<Sample<ops::Gru>> out;
    for (const auto variant : {GruVariant::reset_before, GruVariant::reset_after}) {
      for (const bool reverse : {false, true}) {
        const std::string name =
            std::string(variant == GruVariant::reset_before ? "reset before" : "reset after") + (reverse ? ", reverse" : "");
        out.push_back({.name = name + ", lengths",
                       .args = {variant, reverse},
                       .inputs = {uniform({4, 3, 9}), uniform({4, 3}, -1, 1, 2), uniform({9, 3}, -1, 1, 3), uniform({9}, -1, 1, 4),
                                  lengths({3, 1, 0, 2})},
                       .f32_tolerance = 5e-5,
                       .bf16_tolerance = 6e-2});
        out.push_back({.name = name + ", whole, no state",
                       .args = {variant, reverse},
                       .inputs = {uniform({2, 4, 15}), kNone, uniform({15, 5}, -1, 1, 3), kNone, kNone},
                       .f32_tolerance = 5e-5,
                       .bf16_tolerance = 6e-2});
      }
    }
    out.push_back({.name = "one step, no state", .inputs = {uniform({2, 1, 6}), kNone, uniform({6, 2}), uniform({6}), lengths({1, 0})}});
    out.push_back({.name = "no steps", .inputs = {uniform({2, 0, 6}), uniform({2, 2}), uniform({6, 2}), uniform({6}), kNone}});
    return out;
  }
  static Sample<ops::Gru> large() {
    return {.name = "large",
            .args = {GruVariant::reset_after},
            .inputs = {uniform({531, 2, 192}), uniform({531, 64}, -1, 1, 2), uniform({192, 64}, -.2, .2, 3), uniform({192}, -1, 1, 4),
                       some_indices({531}, 3)},
            .f32_tolerance = 5e-5,
            .bf16_tolerance = 6e-2,
            .same_bits = false};
  }
  static std::vector<BadSample<ops::Gru>> bad() {
    return {{.name = "rank", .inputs = {uniform({2, 9}), kNone, uniform({9, 3}), kNone, kNone}, .message = "gates must be [B, T, 3 * H]"},
            {.name = "length", .inputs = {uniform({2, 3, 9}), kNone, uniform({9, 3}), kNone, lengths({2, 4})}, .message = "length 4, T 3"},
            {.name = "negative length",
             .inputs = {uniform({2, 3, 9}), kNone, uniform({9, 3}), kNone, lengths({-1, 3})},
             .message = "length -1, T 3"},
            {.name = "lengths type",
             .inputs = {uniform({2, 3, 9}), kNone, uniform({9, 3}), kNone, uniform({2})},
             .message = "lengths must be i64"},
            {.name = "lengths shape",
             .inputs = {uniform({2, 3, 9}), kNone, uniform({9, 3}), kNone, lengths({1})},
             .message = "lengths i64[1]"}};
  }
};

template <>
struct Samples<ops::LstmCell> {
  static constexpr std::array<std::size_t, 2> parameters{3, 4};
  static std::vector<Sample<ops::LstmCell>> good() {
    return {{.name = "odd width",
             .inputs = {uniform({3, 28}), uniform({3, 7}, -1, 1, 2), uniform({3, 7}, -1, 1, 5), uniform({28, 7}, -1, 1, 3),
                        uniform({28}, -1, 1, 4)}},
            {.name = "no bias",
             .inputs = {uniform({1, 68}), uniform({1, 17}, -1, 1, 2), uniform({1, 17}, -1, 1, 5), uniform({68, 17}, -.5, .5, 3), kNone}},
            {.name = "no rows", .inputs = {uniform({0, 8}), uniform({0, 2}), uniform({0, 2}), uniform({8, 2}), uniform({8})}}};
  }
  static Sample<ops::LstmCell> large() {
    return {.name = "large",
            .inputs = {uniform({531, 192}), uniform({531, 48}, -1, 1, 2), uniform({531, 48}, -1, 1, 5), uniform({192, 48}, -.2, .2, 3),
                       uniform({192}, -1, 1, 4)},
            .same_bits = false};
  }
  static std::vector<BadSample<ops::LstmCell>> bad() {
    return {{.name = "three gates",
             .inputs = {uniform({2, 9}), uniform({2, 3}), uniform({2, 3}), uniform({9, 3}), kNone},
             .message = "weight must be [4 * H, H]"},
            {.name = "cell state",
             .inputs = {uniform({2, 12}), uniform({2, 3}), uniform({2, 4}), uniform({12, 3}), kNone},
             .message = "state f64[2, 4]"}};
  }
};

template <>
struct Samples<ops::Lstm> {
  static constexpr std::array<std::size_t, 2> parameters{3, 4};
  static std::vector<Sample<ops::Lstm>> good() {
    std::vector<Sample<ops::Lstm>> out;
    for (const bool reverse : {false, true}) {
      const std::string name = reverse ? "reverse, " : "";
      out.push_back({.name = name + "lengths",
                     .args = {reverse},
                     .inputs = {uniform({4, 3, 12}), uniform({4, 3}, -1, 1, 2), uniform({4, 3}, -1, 1, 5), uniform({12, 3}, -1, 1, 3),
                                uniform({12}, -1, 1, 4), lengths({3, 1, 0, 2})},
                     .f32_tolerance = 5e-5,
                     .bf16_tolerance = 6e-2});
      out.push_back({.name = name + "whole, no state",
                     .args = {reverse},
                     .inputs = {uniform({2, 4, 20}), kNone, kNone, uniform({20, 5}, -1, 1, 3), kNone, kNone},
                     .f32_tolerance = 5e-5,
                     .bf16_tolerance = 6e-2});
    }
    out.push_back({.name = "no steps", .inputs = {uniform({2, 0, 8}), uniform({2, 2}), kNone, uniform({8, 2}), uniform({8}), kNone}});
    return out;
  }
  static Sample<ops::Lstm> large() {
    return {.name = "large",
            .inputs = {uniform({531, 2, 192}), uniform({531, 48}, -1, 1, 2), uniform({531, 48}, -1, 1, 5), uniform({192, 48}, -.2, .2, 3),
                       uniform({192}, -1, 1, 4), some_indices({531}, 3)},
            .f32_tolerance = 5e-5,
            .bf16_tolerance = 6e-2,
            .same_bits = false};
  }
  static std::vector<BadSample<ops::Lstm>> bad() {
    return {{.name = "gates",
             .inputs = {uniform({2, 3, 9}), kNone, kNone, uniform({12, 3}), kNone, kNone},
             .message = "gates f64[2, 3, 9], weight f64[12, 3]"},
            {.name = "length",
             .inputs = {uniform({1, 3, 12}), kNone, kNone, uniform({12, 3}), kNone, lengths({4})},
             .message = "length 4, T 3"}};
  }
};

namespace {
const bool registered = register_family<ops::RecurrentOps>();
}

}  // namespace capstan::testing
