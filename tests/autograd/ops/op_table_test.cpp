#include "tests/autograd/ops/op_table.h"

#include <gtest/gtest.h>

#include "autograd/ops/all.h"

namespace capstan::testing {
namespace {

template <class... Ops>
std::set<std::string> names_of(TypeList<Ops...>) {
  return {std::string(Ops::name)...};
}
template <class... Ops>
constexpr std::size_t size_of_list(TypeList<Ops...>) {
  return sizeof...(Ops);
}

TEST(AllOps, AreRegistered) { EXPECT_EQ(registered_ops(), names_of(ops::AllOps{})); }

TEST(AllOps, HaveNamesOfTheirOwn) { EXPECT_EQ(names_of(ops::AllOps{}).size(), size_of_list(ops::AllOps{})); }

}  // namespace
}  // namespace capstan::testing
