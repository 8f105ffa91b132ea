// Foreign tensors into a model: names, rows by name, and everything that does not fit in one message.
#include "nn/import.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "autograd/core/error.h"
#include "nn/init.h"

namespace capstan::nn {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// A model of three parameters, all 0, and files for it.
struct Import : testing::Test {
  ParameterStore store;
  Parameter encoder = (store.root() / "encoder" / 0).parameter("weight", {2}, zeros());
  Parameter table = store.root().parameter("table", {4, 2}, zeros());
  Parameter head = (store.root() / "head").parameter("bias", {3}, zeros());
  std::map<std::string, Tensor, std::less<>> file{{"encoder/0/weight", Tensor::from({1.f, 2.f}, {2})},
                                                  {"table", Tensor::from({1.f, 2.f, 3.f, 4.f, 5.f, 6.f, 7.f, 8.f}, {4, 2})},
                                                  {"head/bias", Tensor::from({7.f, 8.f, 9.f}, {3})}};

  Imported run(const NameMap& map = {}, const std::vector<RowMap>& rows = {}) {
    TensorSource source{.name = "file.h5", .tensors = {}, .read = [&](std::string_view name) { return file.find(name)->second; }};
    for (const auto& [name, value] : file) source.tensors.emplace_back(name, value.spec());
    return import_parameters(source, map, rows, store);
  }
  void rename(const std::string& from, const std::string& to) {
    auto node = file.extract(from);
    node.key() = to;
    file.insert(std::move(node));
  }
  std::string refusal(const NameMap& map = {}, const std::vector<RowMap>& rows = {}) {
    try {
      run(map, rows);
    } catch (const CheckpointError& e) {
      for (const Parameter& p : store.parameters()) EXPECT_THAT(p.value().to_vector(), testing::Each(0)) << "changed: " << p.name();
      return e.what();
    }
    return "taken";
  }
};

TEST_F(Import, TakesTheSameNamesInANewVersion) {
  const auto before = head.version();
  const Imported done = run();
  EXPECT_THAT(done.taken, ElementsAre("encoder/0/weight", "table", "head/bias"));
  EXPECT_THAT(head.value().to_vector(), ElementsAre(7, 8, 9));
  EXPECT_THAT(table.value().to_vector(), ElementsAre(1, 2, 3, 4, 5, 6, 7, 8));
  EXPECT_GT(head.version(), before);
}

TEST_F(Import, RenamesPrefixesTheLongestFirst) {
  rename("encoder/0/weight", "model/layers/0/weight");
  rename("table", "model/words");
  rename("head/bias", "model/bias");
  run({.renames = {{"model", "head"}, {"model/layers", "encoder"}, {"model/words", "table"}}});
  EXPECT_THAT(encoder.value().to_vector(), ElementsAre(1, 2));
  EXPECT_THAT(head.value().to_vector(), ElementsAre(7, 8, 9));
}

TEST_F(Import, AddsAndRemovesAPrefix) {
  rename("encoder/0/weight", "0/weight");
  file.erase("table");
  file.erase("head/bias");
  run({.renames = {{"", "encoder"}}, .fresh = {"table", "head"}});
  EXPECT_THAT(encoder.value().to_vector(), ElementsAre(1, 2));
  rename("0/weight", "bert/encoder/0/weight");
  file["bert/encoder/0/weight"] = Tensor::from({3.f, 4.f}, {2});
  run({.renames = {{"bert", ""}}, .fresh = {"table", "head"}});
  EXPECT_THAT(encoder.value().to_vector(), ElementsAre(3, 4));
}

TEST_F(Import, DropsAHeadAndLeavesItsParametersFresh) {
  file["head/bias"] = Tensor::from({1.f}, {1});
  const Imported done = run({.dropped = {"head"}});
  EXPECT_THAT(done.fresh, ElementsAre("head/bias"));
  EXPECT_THAT(done.dropped, ElementsAre("head/bias"));
  EXPECT_THAT(head.value().to_vector(), ElementsAre(0, 0, 0));
  EXPECT_THAT(encoder.value().to_vector(), ElementsAre(1, 2));
}

TEST_F(Import, FreshParametersKeepTheirValues) {
  EXPECT_THAT(run({.fresh = {"encoder/0"}}).dropped, ElementsAre("encoder/0/weight"));
  EXPECT_THAT(encoder.value().to_vector(), ElementsAre(0, 0));
}

TEST_F(Import, TakesRowsByName) {
  file["table"] = Tensor::from({1.f, 2.f, 3.f, 4.f, 5.f, 6.f}, {3, 2});
  const std::vector<std::string> own{"c", "new", "b"}, theirs{"b", "c"};
  const RowMap rows = rows_by_name("table", 1, own, theirs);
  EXPECT_THAT(rows.rows, ElementsAre(0, 2, -1, 1));
  run({}, {rows});
  EXPECT_THAT(table.value().to_vector(), ElementsAre(1, 2, 5, 6, 0, 0, 3, 4));
}

TEST_F(Import, NamesEverythingThatDoesNotFit) {
  file["table"] = Tensor::from({1.f, 2.f}, {2});
  rename("head/bias", "classifier/bias");
  file["optimizer"] = Tensor::from({1.f}, {1});
  EXPECT_THAT(refusal({.renames = {{"clasifier", "head"}}, .dropped = {"pooler"}, .fresh = {"heads"}}),
              AllOf(HasSubstr("file.h5"), HasSubstr("missing: head/bias f32[3]"), HasSubstr("unexpected: classifier/bias f32[3]"),
                    HasSubstr("unexpected: optimizer f32[1]"), HasSubstr("table: the model has f32[4, 2], the file f32[2]"),
                    HasSubstr("no tensor of the file is called, or lies below, pooler"),
                    HasSubstr("no tensor of the file is called, or lies below, clasifier"),
                    HasSubstr("no parameter of the model is called, or lies below, heads")));
}

TEST_F(Import, RefusesTwoTensorsForOneName) {
  file["old/bias"] = Tensor::from({7.f, 8.f, 9.f}, {3});
  EXPECT_THAT(refusal({.renames = {{"old", "head"}}}), HasSubstr("twice: head/bias and old/bias would both become head/bias"));
}

TEST_F(Import, RefusesRowsThatTheFileDoesNotHave) {
  EXPECT_THAT(refusal({}, {{"table", {0, 1, 2, 4}}}), HasSubstr("of another shape or type: table"));
  EXPECT_THAT(refusal({}, {{"table", {0, 1, 2}}}), HasSubstr("of another shape or type: table"));
}

}  // namespace
}  // namespace capstan::nn
