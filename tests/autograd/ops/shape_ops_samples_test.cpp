// Samples of the shape ops and of arrange_rows; see op_table.h.

#include "autograd/ops/shape_ops.h"

#include "autograd/ops/arrange_rows.h"
#include "tests/autograd/ops/op_table.h"

namespace capstan::testing {
namespace {

Tensor numbers(std::initializer_list<std::int64_t> values, const Shape& shape) { return Tensor::from<std::int64_t>(values, shape); }

// x turned round: strides that are not row-major, so that a reshape must copy.
Tensor turned(const Tensor& x) { return x.view(x.layout().transpose(0, x.rank() - 1)); }

template <class O>
Sample<O> view_of_large(const typename O::Args& args) {
  return {.name = "large", .args = args, .inputs = {uniform(kLarge)}, .threads = false};
}

}  // namespace

template <>
struct Samples<ops::Reshape> {
  static std::vector<Sample<ops::Reshape>> good() {
    return {{.name = "merge", .args = {.shape = {6, 5}}, .inputs = {uniform({2, 3, 5})}},
            {.name = "part", .args = {.shape = {2, 3, 1, 5}}, .inputs = {uniform({6, 5})}},
            {.name = "copy", .args = {.shape = {12}}, .inputs = {turned(uniform({4, 3}))}},
            {.name = "to scalar", .args = {.shape = {}}, .inputs = {uniform({1, 1})}},
            {.name = "from scalar", .args = {.shape = {1}}, .inputs = {uniform({})}},
            {.name = "empty", .args = {.shape = {5, 0}}, .inputs = {uniform({0, 2})}}};
  }
  static auto large() { return view_of_large<ops::Reshape>({.shape = {kLarge[1], kLarge[0]}}); }
  static std::vector<BadSample<ops::Reshape>> bad() {
    return {{.name = "count", .args = {.shape = {4}}, .inputs = {uniform({2, 3})}, .message = "x f64[2, 3] has 6, [4] has 4"}};
  }
};

template <>
struct Samples<ops::Permute> {
  static std::vector<Sample<ops::Permute>> good() {
    return {{.name = "turn", .args = {.order = {1, 0}}, .inputs = {uniform({3, 5})}},
            {.name = "heads", .args = {.order = {0, 2, 1, 3}}, .inputs = {uniform({2, 3, 4, 5})}},
            {.name = "cycle", .args = {.order = {2, 0, 1}}, .inputs = {uniform({2, 3, 4})}},
            {.name = "negative", .args = {.order = {-1, 0, 1}}, .inputs = {uniform({2, 3, 4})}},
            {.name = "scalar", .args = {.order = {}}, .inputs = {uniform({})}},
            {.name = "empty", .args = {.order = {1, 0}}, .inputs = {uniform({0, 5})}}};
  }
  static auto large() { return view_of_large<ops::Permute>({.order = {1, 0}}); }
  static std::vector<BadSample<ops::Permute>> bad() {
    return {{.name = "twice", .args = {.order = {0, 0}}, .inputs = {uniform({2, 3})}, .message = "axis 0 named twice"},
            {.name = "too few", .args = {.order = {0}}, .inputs = {uniform({2, 3})}, .message = "1 axes given"},
            {.name = "no such axis", .args = {.order = {0, 2}}, .inputs = {uniform({2, 3})}, .message = "x f64[2, 3] has 2 axes, axis 2"}};
  }
};

template <>
struct Samples<ops::Slice> {
  static std::vector<Sample<ops::Slice>> good() {
    return {{.name = "rows", .args = {.axis = 0, .start = 1, .length = 2}, .inputs = {uniform({4, 3})}},
            {.name = "columns", .args = {.axis = -1, .start = 2, .length = 5}, .inputs = {uniform({2, 3, 9})}},
            {.name = "every second", .args = {.axis = 1, .start = 1, .length = 3, .step = 2}, .inputs = {uniform({2, 6, 2})}},
            {.name = "nothing", .args = {.axis = 0, .start = 4, .length = 0}, .inputs = {uniform({4, 3})}},
            {.name = "all", .args = {.axis = 0, .start = 0, .length = 4}, .inputs = {uniform({4})}}};
  }
  static auto large() { return view_of_large<ops::Slice>({.axis = 1, .start = 1, .length = 150, .step = 2}); }
  static std::vector<BadSample<ops::Slice>> bad() {
    return {
        {.name = "beyond",
         .args = {.axis = 1, .start = 2, .length = 2},
         .inputs = {uniform({2, 3})},
         .message = "axis 1 has 3, start 2, length 2"},
        {.name = "axis", .args = {.axis = 2, .start = 0, .length = 1}, .inputs = {uniform({2, 3})}, .message = "axis 2"},
        {.name = "backwards", .args = {.axis = 0, .start = 1, .length = 1, .step = -1}, .inputs = {uniform({2})}, .message = "step -1"}};
  }
};

template <>
struct Samples<ops::Split> {
  static std::vector<Sample<ops::Split>> good() {
    return {{.name = "columns", .args = {.axis = -1, .sizes = {3, 3}}, .inputs = {uniform({4, 6})}},
            {.name = "rows", .args = {.axis = 0, .sizes = {3, 3, 3}}, .inputs = {uniform({9, 2, 2})}},
            {.name = "uneven", .args = {.axis = 1, .sizes = {0, 1, 2, 3}}, .inputs = {uniform({2, 6, 3})}},
            {.name = "one", .args = {.axis = 0, .sizes = {4}}, .inputs = {uniform({4})}},
            {.name = "seven", .args = {.axis = 0, .sizes = {1, 1, 1, 1, 1, 1, 1}}, .inputs = {uniform({7, 3})}}};
  }
  static Sample<ops::Split> large() { return {.name = "large", .args = {.axis = 1, .sizes = {7, 300}}, .inputs = {uniform(kLarge)}}; }
  static std::vector<BadSample<ops::Split>> bad() {
    return {{.name = "sum", .args = {.axis = 0, .sizes = {2, 3}}, .inputs = {uniform({4})}, .message = "axis 0 has 4, the pieces 5"},
            {.name = "negative", .args = {.axis = 0, .sizes = {5, -1}}, .inputs = {uniform({4})}, .message = "must make up the axis"},
            {.name = "axis", .args = {.axis = 1, .sizes = {2, 2}}, .inputs = {uniform({4})}, .message = "axis 1"}};
  }
};

template <>
struct Samples<ops::Contiguous> {
  static std::vector<Sample<ops::Contiguous>> good() {
    return {{.name = "rows", .args = {}, .inputs = {uniform({4, 3})}},
            {.name = "turned", .args = {}, .inputs = {turned(uniform({2, 5, 3}))}}};
  }
  static auto large() { return view_of_large<ops::Contiguous>({}); }
  static std::vector<BadSample<ops::Contiguous>> bad() {
    return {{.name = "nothing", .args = {}, .inputs = {Tensor{}}, .message = "must not be undefined"}};
  }
};

template <>
struct Samples<ops::Expand> {
  static std::vector<Sample<ops::Expand>> good() {
    return {{.name = "rows", .args = {.shape = {4, 3}}, .inputs = {uniform({3})}},
            {.name = "columns", .args = {.shape = {2, 4, 3}}, .inputs = {uniform({4, 1})}},
            {.name = "scalar", .args = {.shape = {2, 3}}, .inputs = {uniform({})}},
            {.name = "same", .args = {.shape = {2, 3}}, .inputs = {uniform({2, 3})}},
            {.name = "to nothing", .args = {.shape = {0, 3}}, .inputs = {uniform({1, 3})}}};
  }
  static Sample<ops::Expand> large() { return {.name = "large", .args = {.shape = kLarge}, .inputs = {uniform({kLarge[0], 1})}}; }
  static std::vector<BadSample<ops::Expand>> bad() {
    return {{.name = "shape", .args = {.shape = {2, 4}}, .inputs = {uniform({3})}, .message = "x [3], to [2, 4]"}};
  }
};

template <>
struct Samples<ops::Concat> {
  static std::vector<Sample<ops::Concat>> good() {
    return {{.name = "rows", .args = {.axis = 0}, .inputs = {uniform({2, 3}), uniform({1, 3}, -1, 1, 2), uniform({4, 3}, -1, 1, 3)}},
            {.name = "columns", .args = {.axis = -1}, .inputs = {uniform({2, 3, 1}), uniform({2, 3, 5}, -1, 1, 2)}},
            {.name = "middle", .args = {.axis = 1}, .inputs = {uniform({2, 1, 3}), uniform({2, 4, 3}, -1, 1, 2)}},
            {.name = "one part", .args = {.axis = 0}, .inputs = {uniform({3})}},
            {.name = "an empty part", .args = {.axis = 0}, .inputs = {uniform({0, 2}), uniform({3, 2})}}};
  }
  static Sample<ops::Concat> large() {
    return {.name = "large", .args = {.axis = -1}, .inputs = {uniform(kLarge), uniform({kLarge[0], 5}, -1, 1, 2)}};
  }
  static std::vector<BadSample<ops::Concat>> bad() {
    return {{.name = "shape",
             .args = {.axis = 0},
             .inputs = {uniform({2, 3}), uniform({2, 4})},
             .message = "part 0 f64[2, 3], part 1 f64[2, 4]"},
            {.name = "type", .args = {.axis = 0}, .inputs = {uniform({2}), Tensor::zeros({2})}, .message = "part 1 f32[2]"},
            {.name = "axis", .args = {.axis = 1}, .inputs = {uniform({2})}, .message = "x f64[2] has 1 axes, axis 1"},
            {.name = "nothing", .args = {.axis = 0}, .inputs = {}, .message = "at least one part"}};
  }
};

template <>
struct Samples<ops::IndexSelect> {
  static std::vector<Sample<ops::IndexSelect>> good() {
    return {{.name = "rows, one twice", .args = {.axis = 0}, .inputs = {uniform({4, 3}), numbers({2, 0, 2}, {3})}},
            {.name = "columns", .args = {.axis = -1}, .inputs = {uniform({3, 5}), numbers({4, 1, 1, 1}, {4})}},
            {.name = "middle", .args = {.axis = 1}, .inputs = {uniform({2, 3, 4}), numbers({1, 2}, {2})}},
            {.name = "none", .args = {.axis = 0}, .inputs = {uniform({4, 3}), numbers({}, {0})}}};
  }
  static Sample<ops::IndexSelect> large() {
    return {.name = "large", .args = {.axis = 0}, .inputs = {uniform({150, kLarge[1]}), some_indices({kLarge[0]}, 150)}};
  }
  static std::vector<BadSample<ops::IndexSelect>> bad() {
    return {{.name = "outside",
             .args = {.axis = 1},
             .inputs = {uniform({4, 3}), numbers({0, 3}, {2})},
             .message = "axis 1 has 3, index 1 is 3"},
            {.name = "negative", .args = {.axis = 0}, .inputs = {uniform({4, 3}), numbers({-1}, {1})}, .message = "index 0 is -1"},
            {.name = "rank", .args = {.axis = 0}, .inputs = {uniform({4, 3}), numbers({1, 1}, {1, 2})}, .message = "indices i64[1, 2]"}};
  }
};

template <>
struct Samples<ops::ArrangeRows> {
  static std::vector<Sample<ops::ArrangeRows>> good() {
    return {{.name = "another order", .args = {}, .inputs = {uniform({2, 4, 3}), numbers({2, 0, 3, 1}, {4})}},
            {.name = "padded", .args = {}, .inputs = {uniform({2, 3, 2}), numbers({-1, 2, 0, -1, 1, -1}, {6})}},
            {.name = "some left out", .args = {}, .inputs = {uniform({3, 4, 1, 2}), numbers({3, -1, 1}, {3})}},
            {.name = "single numbers", .args = {}, .inputs = {uniform({2, 3}), numbers({1, 0}, {2})}},
            {.name = "none", .args = {}, .inputs = {uniform({2, 3, 2}), numbers({}, {0})}}};
  }
  static Sample<ops::ArrangeRows> large() {
    std::vector<std::int64_t> rows;
    for (std::int64_t i = 0; i < 140; ++i) rows.push_back(i % 7 == 0 ? -1 : 139 - i);
    return {.name = "large", .args = {}, .inputs = {uniform({6, 150, kLarge[1]}), Tensor::from<std::int64_t>(rows, {140})}};
  }
  static std::vector<BadSample<ops::ArrangeRows>> bad() {
    return {
        {.name = "outside", .args = {}, .inputs = {uniform({2, 3, 2}), numbers({0, 3}, {2})}, .message = "place 1 holds 3"},
        {.name = "twice", .args = {}, .inputs = {uniform({2, 3, 2}), numbers({1, 0, 1}, {3})}, .message = "row 1 goes to places 0 and 2"},
        {.name = "rank", .args = {}, .inputs = {uniform({3}), numbers({0}, {1})}, .message = "x f64[3]"},
        {.name = "type", .args = {}, .inputs = {uniform({2, 3}), uniform({2})}, .message = "rows f64[2]"}};
  }
};

template <>
struct Samples<ops::Gather> {
  static std::vector<Sample<ops::Gather>> good() {
    return {{.name = "columns", .args = {.axis = 1}, .inputs = {uniform({3, 4}), numbers({0, 3, 1, 1, 2, 2}, {3, 2})}},
            {.name = "rows", .args = {.axis = 0}, .inputs = {uniform({3, 4}), numbers({0, 2, 1, 1}, {1, 4})}},
            {.name = "middle", .args = {.axis = -2}, .inputs = {uniform({2, 3, 2}), numbers({0, 2, 1, 1, 2, 2, 0, 0}, {2, 2, 2})}},
            {.name = "none", .args = {.axis = 0}, .inputs = {uniform({3}), numbers({}, {0})}}};
  }
  static Sample<ops::Gather> large() {
    return {.name = "large", .args = {.axis = 1}, .inputs = {uniform({kLarge[0], 150}), some_indices(kLarge, 150)}};
  }
  static std::vector<BadSample<ops::Gather>> bad() {
    return {
        {.name = "outside", .args = {.axis = 0}, .inputs = {uniform({3}), numbers({0, 5}, {2})}, .message = "axis 0 has 3, index 1 is 5"},
        {.name = "shape", .args = {.axis = 0}, .inputs = {uniform({3, 2}), numbers({0}, {1})}, .message = "x f64[3, 2], indices i64[1]"}};
  }
};

template <>
struct Samples<ops::Flip> {
  static std::vector<Sample<ops::Flip>> good() {
    return {{.name = "row", .args = {.axis = 0}, .inputs = {uniform({5})}},
            {.name = "middle", .args = {.axis = 1}, .inputs = {uniform({2, 3, 4})}},
            {.name = "empty", .args = {.axis = 0}, .inputs = {uniform({0, 2})}}};
  }
  static Sample<ops::Flip> large() { return {.name = "large", .args = {.axis = 1}, .inputs = {uniform(kLarge)}}; }
  static std::vector<BadSample<ops::Flip>> bad() {
    return {{.name = "axis", .args = {.axis = 1}, .inputs = {uniform({5})}, .message = "axis 1"}};
  }
};

template <>
struct Samples<ops::Roll> {
  static std::vector<Sample<ops::Roll>> good() {
    return {{.name = "up", .args = {.axis = 0, .shift = 2}, .inputs = {uniform({5})}},
            {.name = "down", .args = {.axis = 1, .shift = -1}, .inputs = {uniform({2, 3, 4})}},
            {.name = "round and round", .args = {.axis = -1, .shift = 11}, .inputs = {uniform({2, 4})}},
            {.name = "empty", .args = {.axis = 0, .shift = 1}, .inputs = {uniform({0, 2})}}};
  }
  static Sample<ops::Roll> large() { return {.name = "large", .args = {.axis = 0, .shift = 11}, .inputs = {uniform({347, 307})}}; }
  static std::vector<BadSample<ops::Roll>> bad() {
    return {{.name = "axis", .args = {.axis = -2}, .inputs = {uniform({5})}, .message = "axis -2"}};
  }
};

namespace {
const bool registered = register_family<ops::ShapeOps>() && register_family<ops::ArrangeRowsOps>();
}

}  // namespace capstan::testing
