#pragma once
// Ops that move elements about and compute nothing. Any element type; floating ones are differentiable.
//
// reshape (where strides allow), permute, slice, expand, squeeze, unsqueeze and split return views of the operand's memory: a write
// through one would be seen through the other, which is why tensors on a tape are never written to. The others copy. Axes may be negative.

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "autograd/tape/op.h"

namespace capstan {
namespace ops {

struct Reshape {
  static constexpr std::string_view name = "reshape";
  struct Args {
    Shape shape;
  };
  struct Saved {
    Shape from;
  };
  static Spec spec(const Args& args, const Spec& x);
  static Tensor forward(const Args& args, const Tensor& x, const Call<1>& call, Saved& saved);
  static Grads<1> backward(const Args& args, const Saved& saved, const Gradient& dy, Needs<1> needs);
};

struct Permute {
  static constexpr std::string_view name = "permute";
  struct Args {
    std::vector<int> order;
  };
  struct Saved {};
  static Spec spec(const Args& args, const Spec& x);
  static Tensor forward(const Args& args, const Tensor& x, const Call<1>& call, Saved& saved);
  static Grads<1> backward(const Args& args, const Saved& saved, const Gradient& dy, Needs<1> needs);
};

struct Slice {
  static constexpr std::string_view name = "slice";
  struct Args {
    int axis = 0;
    std::int64_t start = 0, length = 0, step = 1;
  };
  struct Saved {
    Shape from;
  };
  static Spec spec(const Args& args, const Spec& x);
  static Tensor forward(const Args& args, const Tensor& x, const Call<1>& call, Saved& saved);
  static Grads<1> backward(const Args& args, const Saved& saved, const Gradient& dy, Needs<1> needs);
};

/// A slice for each piece, whose gradients come back together in one pass.
struct Split {
  static constexpr std::string_view name = "split";
  struct Args {
    int axis = 0;
    std::vector<std::int64_t> sizes;
  };
  struct Saved {
    Spec from;
  };
  static std::vector<Spec> spec(const Args& args, const Spec& x);
  static std::vector<Tensor> forward(const Args& args, const Tensor& x, const Call<1, std::vector<Spec>>& call, Saved& saved);
  static Grads<1> backward(const Args& args, const Saved& saved, std::span<const Tensor> dy, Needs<1> needs);
};

/// x itself if its elements lie in a row, else a copy in which they do.
struct Contiguous {
  static constexpr std::string_view name = "contiguous";
  struct Args {};
  struct Saved {};
  static Spec spec(const Args&, const Spec& x);
  static Tensor forward(const Args&, const Tensor& x, const Call<1>& call, Saved& saved);
  static Grads<1> backward(const Args&, const Saved&, const Gradient& dy, Needs<1> needs);
};

struct Expand {
  static constexpr std::string_view name = "expand";
  struct Args {
    Shape shape;
  };
  struct Saved {};
  static Spec spec(const Args& args, const Spec& x);
  static Tensor forward(const Args& args, const Tensor& x, const Call<1>& call, Saved& saved);
  static Grads<1> backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<1> needs);
};

struct Concat {
  static constexpr std::string_view name = "concat";
  struct Args {
    int axis = 0;
  };
  struct Saved {
    std::vector<std::int64_t> sizes;
  };  ///< of the inputs along the axis
  static Spec spec(const Args& args, std::span<const Spec> parts);
  static Tensor forward(const Args& args, std::span<const Tensor> parts, const ListCall<>& call, Saved& saved);
  static std::vector<Gradient> backward(const Args& args, const Saved& saved, const Tensor& dy, const std::vector<bool>& needs);
};

struct IndexSelect {
  static constexpr std::string_view name = "index_select";
  static constexpr bool picks_rows = true;
  struct Args {
    int axis = 0;
  };
  struct Saved {
    Tensor indices;
    Shape from;
  };
  static Spec spec(const Args& args, const Spec& x, const Spec& indices);
  static Tensor forward(const Args& args, const Tensor& x, const Tensor& indices, const Call<2>& call, Saved& saved);
  static Grads<2> backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<2> needs);
};

struct Gather {
  static constexpr std::string_view name = "gather";
  static constexpr bool picks_rows = true;
  struct Args {
    int axis = 0;
  };
  struct Saved {
    Tensor indices;
    Shape from;
  };
  static Spec spec(const Args& args, const Spec& x, const Spec& indices);
  static Tensor forward(const Args& args, const Tensor& x, const Tensor& indices, const Call<2>& call, Saved& saved);
  static Grads<2> backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<2> needs);
};

struct Flip {
  static constexpr std::string_view name = "flip";
  struct Args {
    int axis = 0;
  };
  struct Saved {};
  static Spec spec(const Args& args, const Spec& x);
  static Tensor forward(const Args& args, const Tensor& x, const Call<1>& call, Saved& saved);
  static Grads<1> backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<1> needs);
};

struct Roll {
  static constexpr std::string_view name = "roll";
  struct Args {
    int axis = 0;
    std::int64_t shift = 0;
  };
  struct Saved {};
  static Spec spec(const Args& args, const Spec& x);
  static Tensor forward(const Args& args, const Tensor& x, const Call<1>& call, Saved& saved);
  static Grads<1> backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<1> needs);
};

using ShapeOps = TypeList<Reshape, Permute, Slice, Split, Contiguous, Expand, Concat, IndexSelect, Gather, Flip, Roll>;

}  // namespace ops

/// The same elements in row-major order under another shape; one size may be -1 and follows from the others.
Tensor reshape(const Tensor& x, std::span<const std::int64_t> sizes);
inline Tensor reshape(const Tensor& x, const Shape& shape) { return apply<ops::Reshape>({.shape = shape}, x); }
inline Tensor reshape(const Tensor& x, std::initializer_list<std::int64_t> sizes) {
  return reshape(x, std::span(sizes.begin(), sizes.size()));
}
/// Axis i of the result is axis order[i] of x.
inline Tensor permute(const Tensor& x, std::vector<int> order) { return apply<ops::Permute>({.order = std::move(order)}, x); }
/// x with two axes exchanged.
Tensor transpose(const Tensor& x, int a, int b);
/// Elements [start, start + length) of an axis, or with a step that many, every step-th from start.
inline Tensor slice(const Tensor& x, int axis, std::int64_t start, std::int64_t length, std::int64_t step = 1) {
  return apply<ops::Slice>({.axis = axis, .start = start, .length = length, .step = step}, x);
}
/// One element of an axis, which goes: slice and reshape.
Tensor select(const Tensor& x, int axis, std::int64_t index);
/// x with its elements in a row: x itself, or a copy.
inline Tensor contiguous(const Tensor& x) { return apply<ops::Contiguous>({}, x); }
/// x broadcast to a shape by NumPy's rule.
inline Tensor expand(const Tensor& x, const Shape& shape) { return apply<ops::Expand>({.shape = shape}, x); }
/// An axis of size 1 more, before `axis` (0 ... rank, or -1 for the end), or one less.
Tensor unsqueeze(const Tensor& x, int axis);
Tensor squeeze(const Tensor& x, int axis);
/// Axes [first, last] as one.
Tensor flatten(const Tensor& x, int first = 0, int last = -1);

/// The parts one after another along an axis; all other sizes equal.
inline Tensor concat(std::span<const Tensor> parts, int axis) { return apply<ops::Concat>({.axis = axis}, parts); }
inline Tensor concat(std::initializer_list<Tensor> parts, int axis) { return concat(std::span(parts.begin(), parts.size()), axis); }
/// Equal parts along a new axis before `axis`.
Tensor stack(std::span<const Tensor> parts, int axis);
inline Tensor stack(std::initializer_list<Tensor> parts, int axis) { return stack(std::span(parts.begin(), parts.size()), axis); }
/// The pieces of the given sizes (their sum is the axis), or of one size (the last may be shorter), as views.
std::vector<Tensor> split(const Tensor& x, std::span<const std::int64_t> sizes, int axis);
inline std::vector<Tensor> split(const Tensor& x, std::initializer_list<std::int64_t> sizes, int axis) {
  return split(x, std::span(sizes.begin(), sizes.size()), axis);
}
std::vector<Tensor> split(const Tensor& x, std::int64_t size, int axis);

/// Slices of an axis by number: y[..., i, ...] = x[..., indices[i], ...]; indices i64 [N]. The gradient adds up slices taken twice, in the
/// order of i. For tables and large vocabularies see embedding.h, whose gradient is row-sparse.
inline Tensor index_select(const Tensor& x, int axis, const Tensor& indices) { return apply<ops::IndexSelect>({.axis = axis}, x, indices); }
/// An element for each index: y[.., i, ..] = x[.., indices[.., i, ..], ..]; indices i64, of x's shape but for the axis.
inline Tensor gather(const Tensor& x, int axis, const Tensor& indices) { return apply<ops::Gather>({.axis = axis}, x, indices); }
/// The axis backwards.
inline Tensor flip(const Tensor& x, int axis) { return apply<ops::Flip>({.axis = axis}, x); }
/// Elements moved `shift` positions up along an axis, the last ones to the front; negative: down.
inline Tensor roll(const Tensor& x, int axis, std::int64_t shift) { return apply<ops::Roll>({.axis = axis, .shift = shift}, x); }

}  // namespace capstan
