#include "autograd/ops/matmul.h"

#include <gtest/gtest.h>

namespace capstan {
namespace {

TEST(Matmul, HandChecked) {
  const Tensor a = Tensor::from<double>({1, 2, 3, 4, 5, 6}, {2, 3}), b = Tensor::from<double>({7, 8, 9, 10, 11, 12}, {3, 2});
  EXPECT_EQ(matmul(a, b).to_vector(), (std::vector<double>{58, 64, 139, 154}));
  EXPECT_EQ(matmul(a, b, 0.5).to_vector(), (std::vector<double>{29, 32, 69.5, 77}));
}

TEST(Matmul, TransposedViewIsReadInPlace) {
  const Tensor a = Tensor::from<float>({1, 2, 3, 4, 5, 6}, {2, 3});
  const Tensor gram = matmul(a, a.view(a.layout().transpose(0, 1)));
  EXPECT_EQ(gram.to_vector(), (std::vector<double>{14, 32, 32, 77}));
}

TEST(Linear, HandChecked) {
  const Tensor x = make_leaf(Tensor::from<float>({1, 2, 3, 4}, {2, 2})), w = make_leaf(Tensor::from<float>({1, 0, -1, 2, 3, 1}, {3, 2})),
               b = make_leaf(Tensor::from<float>({10, 20, 30}, {3}));
  Tape tape;
  const Tensor y = linear(x, w, b);
  EXPECT_EQ(y.to_vector(), (std::vector<double>{11, 23, 35, 13, 25, 43}));
  const Tensor dy = Tensor::from<float>({1, 2, 3, 4, 5, 6}, {2, 3});
  const Gradients g = tape.backward(std::span(&y, 1), std::span(&dy, 1));
  EXPECT_EQ(g.of(x).dense().to_vector(), (std::vector<double>{8, 7, 17, 16}));
  EXPECT_EQ(g.of(w).dense().to_vector(), (std::vector<double>{13, 18, 17, 24, 21, 30}));
  EXPECT_EQ(g.of(b).dense().to_vector(), (std::vector<double>{5, 7, 9}));
}

}  // namespace
}  // namespace capstan
