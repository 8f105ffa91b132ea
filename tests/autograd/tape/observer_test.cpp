#include "autograd/tape/observer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "autograd/ops/activation.h"
#include "autograd/ops/matmul.h"
#include "autograd/tape/tape.h"

namespace capstan {
namespace {

TEST(Observer, IsToldOfOperationsRecordedOrNot) {
  std::vector<std::string> seen;
  const Tensor leaf = make_leaf(Tensor::full({2, 2}, 3)), constant = Tensor::full({2, 2}, 2);
  const auto note = [&](std::string_view op, std::span<const Tensor* const> operands, std::span<const Tensor> results) {
    seen.push_back(join_text(op, operands[0]->node().kind == NodeRef::Kind::leaf ? " of a leaf, " : ", ", results[0].to_vector()[0]));
  };
  {
    const Observer observer(note);
    {
      Tape tape;
      matmul(leaf, constant);
    }
    matmul(constant, constant);
    {
      const Observer inner([](std::string_view, std::span<const Tensor* const>, std::span<const Tensor>) {});
      matmul(constant, constant);
    }
    NoGrad none;
    exp(Tensor::zeros({1}));
  }
  matmul(leaf, constant);
  EXPECT_THAT(seen, testing::ElementsAre("matmul of a leaf, 12", "matmul, 8", "exp, 1"));
}

}  // namespace
}  // namespace capstan
