#pragma once
// Dropout with a mask that is a pure function of its arguments.
//
// The elements of x, in row-major order, form as many equal groups as there are row ids; element e of the group with id i is kept or
// dropped by (key, i, e) alone, with probabilities in steps of 2^-16. With the global number of a sample as id, the mask of a sample
// does not depend on which batch, micro batch or process it is in. Nothing is stored: backward draws the same mask again.

#include <cstdint>
#include <string_view>

#include "autograd/tape/op.h"

namespace capstan {
namespace ops {

struct Dropout {
  static constexpr std::string_view name = "dropout";
  struct Args {
    double p = 0;           ///< probability to drop, 0 ... 1
    std::uint64_t key = 0;  ///< what the mask is drawn for: see random_key
  };
  struct Saved {
    Tensor row_ids;
  };
  static Spec spec(const Args& args, const Spec& x, const Spec& row_ids);
  static Tensor forward(const Args& args, const Tensor& x, const Tensor& row_ids, const Call<2>& call, Saved& saved);
  static Grads<2> backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<2> needs);
};

using DropoutOps = TypeList<Dropout>;

}  // namespace ops

/// x / (1 - p) where kept, else 0; x itself if p is 0 (pass 0 at inference). `row_ids`: i64 [n], n divides the number of elements; absent:
/// one group of id 0.
Tensor dropout(const Tensor& x, double p, std::uint64_t key, const Tensor& row_ids = {});

}  // namespace capstan
