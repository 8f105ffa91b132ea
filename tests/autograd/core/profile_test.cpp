#include "autograd/core/profile.h"

#include <gmock/gmock.h>

#include <string>
#include <thread>
#include <vector>

#include "autograd/core/dtype.h"

namespace capstan::profile {
namespace {

using testing::ElementsAre;

TEST(Profile, ScopesNestAndHoldTheWorkTheyAreToldOf) {
  add_work({.flops = 1});  // nobody listens
  Recorder recorder;
  add_work({.flops = 2});  // nor is a scope open
  {
    const Scope step("step", Kind::phase);
    {
      const Scope product("product", Kind::product);
      add_work({.flops = 8, .bytes = 3});
      add_work({.flops = 1});
    }
    add_work({.bytes = 5});
    const Scope copy("copy", Kind::conversion);
  }
  const Scope open("open", Kind::wait);
  ASSERT_EQ(recorder.events().size(), 4u);
  std::vector<std::string_view> names;
  std::vector<std::int32_t> parents;
  for (const Event& e : recorder.events()) {
    names.push_back(e.name);
    parents.push_back(e.parent);
  }
  EXPECT_THAT(names, ElementsAre("step", "product", "copy", "open"));
  EXPECT_THAT(parents, ElementsAre(-1, 0, 0, -1));
  const Event &step = recorder.events()[0], &product = recorder.events()[1], &copy = recorder.events()[2];
  EXPECT_LE(step.begin, product.begin);
  EXPECT_LE(product.end, copy.begin);
  EXPECT_LE(copy.end, step.end);
  EXPECT_EQ(recorder.events()[3].end, 0) << "still open";
  EXPECT_EQ(product.work.flops, 9);
  EXPECT_EQ(product.work.bytes, 3);
  EXPECT_EQ(step.work.flops, 0) << "that of the scopes in it is not its own";
  EXPECT_EQ(step.work.bytes, 5);
  EXPECT_EQ(product.kind, Kind::product);
}

TEST(Profile, TheInnermostRecorderOfAThreadRecords) {
  const Recorder outer;
  {
    const Recorder inner;
    { const Scope scope("inner", Kind::pass); }
    std::jthread([] { const Scope scope("another thread", Kind::pass); }).join();
    EXPECT_EQ(inner.events().size(), 1u);
  }
  { const Scope scope("outer", Kind::pass); }
  ASSERT_EQ(outer.events().size(), 1u);
  EXPECT_EQ(outer.events()[0].name, "outer");
  EXPECT_TRUE(is_recording());
}

template <class T>
struct Family {};

TEST(Profile, TypesHaveNamesWithoutNamespaceAndArguments) {
  EXPECT_EQ(type_name<Family<float>>(), "Family");
  EXPECT_EQ(type_name<bfloat16>(), "bfloat16");
  EXPECT_EQ(type_name<int>(), "int");
}

}  // namespace
}  // namespace capstan::profile
