#include "autograd/tape/observer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "autograd/ops/activation.h"
#include "autograd/ops/matmul.h"
#include "autograd/ops/reduce.h"
#include "autograd/tape/tape.h"

namespace capstan {
namespace {

/// Writes down what it is told.
class Notes final : public Observer {
 public:
  explicit Notes(std::vector<std::string>& seen) : seen_(seen) {}

 private:
  void operation(std::int32_t event, std::span<const Tensor* const> operands, std::span<const Tensor> results) override {
    seen_.push_back(
        join_text(name_of(event), operands[0]->node().kind == NodeRef::Kind::leaf ? " of a leaf, " : ", ", results[0].to_vector()[0]));
  }
  void backward(std::int32_t event, const Tape&, std::size_t record) override {
    seen_.push_back(join_text("backward of ", name_of(event), ", record ", record));
  }

  std::vector<std::string>& seen_;
};

TEST(Observer, IsToldOfOperationsRecordedOrNot) {
  std::vector<std::string> seen, of_inner;
  const Tensor leaf = make_leaf(Tensor::full({2, 2}, 3)), constant = Tensor::full({2, 2}, 2);
  {
    const Notes observer(seen);
    {
      Tape tape;
      const Tensor product = matmul(leaf, constant);
      tape.backward(sum(product));
    }
    matmul(constant, constant);
    {
      const Notes inner(of_inner);
      matmul(constant, constant);
    }
    NoGrad none;
    exp(Tensor::zeros({1}));
  }
  matmul(leaf, constant);
  EXPECT_THAT(seen, testing::ElementsAre("matmul of a leaf, 12", "sum, 48", "backward of sum, record 1", "backward of matmul, record 0",
                                         "matmul, 8", "exp, 1"));
  EXPECT_THAT(of_inner, testing::ElementsAre("matmul, 8"));
}

}  // namespace
}  // namespace capstan
