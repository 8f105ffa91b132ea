// The published sizes have the published numbers of parameters.
#include <gtest/gtest.h>

#include "nn/models/resnet.h"

namespace capstan::nn {
namespace {

TEST(ResNetSizes, ArePublished) {
  const std::int64_t published[] = {11'689'512, 21'797'672, 25'557'032, 44'549'160, 60'192'808};
  for (std::size_t i = 0; i < kResNetSizes.size(); ++i) {
    ParameterStore store;
    const ResNet model(store.root(), resnet_options(kResNetSizes[i]));
    std::int64_t trainable = 0;
    for (const Parameter& p : store.parameters()) trainable += p.trainable() ? p.value().numel() : 0;
    EXPECT_EQ(trainable, published[i]) << kResNetSizes[i].name;
  }
}

}  // namespace
}  // namespace capstan::nn
