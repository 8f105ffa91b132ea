// Shape ops: which of them are views, the compositions, large copies on several threads.

#include "autograd/ops/shape_ops.h"

#include <gtest/gtest.h>

#include "autograd/core/rng.h"

namespace capstan {
namespace {

Tensor counting(const Shape& shape, DType dtype = DType::f32) {
  std::vector<double> values(static_cast<std::size_t>(shape.numel()));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i % 251);
  Tensor t(shape, dtype);
  dispatch(dtype, [&](auto zero) {
    using T = decltype(zero);
    for (std::size_t i = 0; i < values.size(); ++i) t.data<T>()[i] = static_cast<T>(static_cast<float>(values[i]));
  });
  return t;
}

using Values = std::vector<double>;

TEST(ShapeOps, ViewsShareMemoryAndCopiesDoNot) {
  const Tensor x = counting({2, 3, 4});
  for (const Tensor& view : {reshape(x, {6, 4}), permute(x, {2, 0, 1}), transpose(x, 0, 2), slice(x, 1, 1, 2), expand(x, {5, 2, 3, 4}),
                             unsqueeze(x, 1), select(x, 2, 3), flatten(x), split(x, {1, 2}, 1)[1], split(x, 1, 2)[3]})
    EXPECT_TRUE(view.storage().same_as(x.storage())) << to_text(view);
  const std::int64_t two[] = {0, 1};
  for (const Tensor& copy : {reshape(transpose(x, 0, 2), {24}), concat({x}, 0), stack({x, x}, 0), flip(x, 0), roll(x, 0, 1),
                             index_select(x, 0, Tensor::from<std::int64_t>(std::span(two), {2}))})
    EXPECT_FALSE(copy.storage().same_as(x.storage())) << to_text(copy);
}

TEST(ShapeOps, KnownValues) {
  const Tensor x = counting({2, 3});
  EXPECT_EQ(transpose(x, 0, 1).to_vector(), (Values{0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(transpose(x, 0, -1).to_vector(), (Values{0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(select(x, 1, 2).to_vector(), (Values{2, 5}));
  EXPECT_EQ(flip(x, 1).to_vector(), (Values{2, 1, 0, 5, 4, 3}));
  EXPECT_EQ(roll(x, 1, 1).to_vector(), (Values{2, 0, 1, 5, 3, 4}));
  EXPECT_EQ(roll(x, 1, -1).to_vector(), (Values{1, 2, 0, 4, 5, 3}));
  EXPECT_EQ(concat({x, slice(x, 1, 0, 1)}, 1).to_vector(), (Values{0, 1, 2, 0, 3, 4, 5, 3}));
  EXPECT_EQ(stack({x, x}, -1).shape(), (Shape{2, 3, 2}));
  EXPECT_EQ(stack({x, x}, -1).to_vector(), (Values{0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5}));
  EXPECT_EQ(stack({x, x}, 0).shape(), (Shape{2, 2, 3}));
  EXPECT_EQ(index_select(x, 1, Tensor::from<std::int64_t>({2, 2, 0}, {3})).to_vector(), (Values{2, 2, 0, 5, 5, 3}));
  EXPECT_EQ(gather(x, 1, Tensor::from<std::int64_t>({2, 0}, {2, 1})).to_vector(), (Values{2, 3}));
  EXPECT_EQ(reshape(x, {3, -1}).shape(), (Shape{3, 2}));
  EXPECT_EQ(reshape(x, {-1}).shape(), (Shape{6}));
  EXPECT_EQ(squeeze(unsqueeze(x, -1), 2).shape(), x.shape());
  EXPECT_EQ(unsqueeze(x, 1).shape(), (Shape{2, 1, 3}));
  EXPECT_EQ(flatten(counting({2, 3, 4, 5}), 1, 2).shape(), (Shape{2, 12, 5}));
  EXPECT_EQ(split(counting({7}), 3, 0).back().to_vector(), (Values{6}));
  EXPECT_EQ(split(counting({7}), {1, 1, 1, 1, 3}, 0).back().to_vector(), (Values{4, 5, 6}));
}

TEST(ShapeOps, MoveEveryElementType) {
  const Tensor indices = Tensor::from<std::int64_t>({2, 0}, {2}), places = Tensor::from<std::int64_t>({2, 0}, {2, 1});
  for (const DType dtype : {DType::f32, DType::bf16, DType::f64, DType::i32, DType::i64, DType::u8}) {
    const Tensor x = counting({2, 3}, dtype);
    EXPECT_EQ(concat({x, x}, 0).to_vector(), (Values{0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5}));
    EXPECT_EQ(index_select(transpose(x, 0, 1), 0, indices).to_vector(), (Values{2, 5, 0, 3}));
    EXPECT_EQ(gather(slice(x, 0, 0, 2), 1, places).to_vector(), (Values{2, 3}));
    EXPECT_EQ(reshape(transpose(x, 0, 1), {6}).to_vector(), (Values{0, 3, 1, 4, 2, 5}));
  }
}

TEST(ShapeOps, LargeCopiesKeepEveryElement) {
  const Tensor x = counting({40, 300, 30});
  EXPECT_EQ(reshape(permute(x, {2, 0, 1}), {-1}).to_vector(), permute(x, {2, 0, 1}).clone().to_vector());
  EXPECT_EQ(concat(split(x, 7, 1), 1).to_vector(), x.to_vector());
  EXPECT_EQ(flip(flip(x, 1), 1).to_vector(), x.to_vector());
  EXPECT_EQ(roll(roll(x, 0, 13), 0, -13).to_vector(), x.to_vector());
}

TEST(ShapeOps, TheGradientOfASplitInPiecesIsWhole) {
  const Tensor x = make_leaf(counting({2, 10}));
  Tape tape;
  const std::vector<Tensor> pieces = split(x, 2, 1);  // five: more than Split takes
  const Tensor dy = Tensor::full({2, 2}, 1.0);
  const Tensor outputs[] = {pieces[0], pieces[4], pieces[4]}, cotangents[] = {dy, dy, dy};
  EXPECT_EQ(tape.backward(outputs, cotangents).of(x).dense().to_vector(),
            (Values{1, 1, 0, 0, 0, 0, 0, 0, 2, 2, 1, 1, 0, 0, 0, 0, 0, 0, 2, 2}));
}

TEST(ShapeOps, GatherAddsUpElementsTakenOftenInFloat) {
  const Tensor x = make_leaf(Tensor::zeros({2}, DType::bf16)), places = Tensor::full({1000}, 1, DType::i64);
  Tape tape;
  const Tensor y = gather(x, 0, places), ones = Tensor::full({1000}, 1.0, DType::bf16);
  EXPECT_EQ(tape.backward(std::span(&y, 1), std::span(&ones, 1)).of(x).dense().to_vector(), (Values{0, 1000}));
}

TEST(ShapeOps, CompositionsNameTheMistake) {
  const Tensor x = counting({2, 3});
  const auto message = [](auto f) {
    try {
      f();
    } catch (const ShapeError& e) {
      return std::string(e.what());
    }
    return std::string("no error");
  };
  EXPECT_EQ(message([&] {
              reshape(x, {4, -1});
            }),
            "reshape: the size given as -1 must follow from the others: x f32[2, 3], which has 6 elements, the other sizes make 4");
  EXPECT_EQ(message([&] { squeeze(x, 1); }), "squeeze: the axis must have size 1: x f32[2, 3], axis 1 has 3");
  EXPECT_EQ(message([&] { transpose(x, 0, 2); }), "transpose: there must be such an axis: x f32[2, 3] has 2 axes, axis 2");
  EXPECT_EQ(message([&] {
              split(x, {1, 1, 1, 1, 1}, 1);
            }),
            "split: the pieces must make up the axis: x f32[2, 3], axis 1 has 3, the pieces 5");
  EXPECT_EQ(message([&] {
              stack({x, slice(x, 0, 0, 1)}, 0);
            }),
            "stack: the parts must have one shape and type: part 0 f32[2, 3], part 1 f32[1, 3]");
}

}  // namespace
}  // namespace capstan
