#pragma once
// The sum of the gradients of a step's pieces in an order that depends on their places alone: a binary tree over places 0, 1, 2, ..., whose
// node of 2^k places begins at a multiple of 2^k. Whoever has some places sums what lies below whole nodes, and the nodes of all give the
// same bits as one process that had every place.

#include <cstdint>
#include <vector>

#include "autograd/core/gradient.h"

namespace capstan::engine {

/// a + b, either of which may be absent: rows stay rows, and anything else is dense.
Gradient sum_of(Gradient a, Gradient b);

/// A node: places first .. first + count - 1. `Value` has `void add(Value)`.
template <class Value>
struct TreeNode {
  std::int64_t first = 0, count = 1;
  Value value;
};

template <class Value>
class SumTree {
 public:
  /// Places in ascending order; a node is one that another SumTree has left.
  void add(TreeNode<Value> node) {
    nodes_.push_back(std::move(node));
    while (nodes_.size() > 1) {
      const auto &left = nodes_[nodes_.size() - 2], &right = nodes_.back();
      const bool siblings = left.count == right.count && left.first + left.count == right.first && left.first % (2 * left.count) == 0;
      if (!siblings) return;
      join();
    }
  }
  /// Whole nodes, in the order of their places.
  std::vector<TreeNode<Value>>& nodes() { return nodes_; }
  /// The sum of all, once every place has been added; not of none.
  Value total() {
    while (nodes_.size() > 1) join();
    return std::move(nodes_.back().value);
  }

 private:
  void join() {
    TreeNode<Value> right = std::move(nodes_.back());
    nodes_.pop_back();
    nodes_.back().count += right.count;
    nodes_.back().value.add(std::move(right.value));
  }

  std::vector<TreeNode<Value>> nodes_;
};

}  // namespace capstan::engine
