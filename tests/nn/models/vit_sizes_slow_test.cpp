// The published sizes have the published numbers of parameters. (Building a large one takes a second and a gigabyte.)
#include <gtest/gtest.h>

#include "nn/models/vit.h"

namespace capstan::nn {
namespace {

/// Parameters of a model of any depth, from models of one and two layers.
std::int64_t parameters(VitOptions o, std::int64_t layers) {
  const auto count = [&](std::int64_t n) {
    o.layers = n;
    ParameterStore store;
    const Vit model(store.root(), o);
    return store.numel();
  };
  const std::int64_t one = count(1);
  return one + (layers - 1) * (count(2) - one);
}

TEST(VitSizes, ArePublished) {
  const std::int64_t with_head[] = {5'717'416, 22'050'664, 86'567'656, 304'326'632};
  for (std::size_t i = 0; i < 4; ++i) {
    const VitSize& size = kVitSizes[i];
    EXPECT_EQ(parameters({.hidden_size = size.hidden_size, .heads = size.heads, .mlp_size = size.mlp_size}, size.layers), with_head[i])
        << size.name;
  }
  const VitSize& large = kVitSizes[3];
  const VitSize& huge = kVitSizes[4];
  EXPECT_EQ(parameters({.patch_size = 32}, 12), 88'224'232);
  EXPECT_EQ(
      parameters({.patch_size = 32, .hidden_size = large.hidden_size, .heads = large.heads, .mlp_size = large.mlp_size}, large.layers),
      306'535'400);
  EXPECT_EQ(parameters({.patch_size = 14, .hidden_size = huge.hidden_size, .heads = huge.heads, .mlp_size = huge.mlp_size}, huge.layers),
            632'045'800);
}

}  // namespace
}  // namespace capstan::nn
