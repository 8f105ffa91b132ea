#pragma once
// The section bench of every task on text.

#include <cstdint>

namespace capstan::text {

struct BenchOptions {
  std::int64_t vocab_size = 30522;

  template <class V>
  void visit(V& v) {
    v("vocab_size", vocab_size, "vocabulary of `capstan bench`", V::between(32, 1e7));
  }
};

}  // namespace capstan::text
