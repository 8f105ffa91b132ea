#pragma once
// What tests of models of other programs share: the models (tests/goldens), how one is loaded and written, and a directory to change.

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "autograd/core/error.h"
#include "data/safetensors.h"
#include "nn/foreign_names.h"
#include "nn/import.h"
#include "nn/parameter_store.h"
#include "recipes/engine/pretrained/foreign_form.h"
#include "recipes/engine/pretrained/foreign_model.h"
#include "recipes/engine/pretrained/model_directory.h"
#include "tests/data/scratch.h"
#include "tests/message_of.h"

namespace capstan::formats {

using engine::ForeignForm;

inline std::string golden(const std::string& name) { return std::string(CAPSTAN_SOURCE_DIR) + "/tests/goldens/foreign/" + name; }

inline nn::Imported load(const std::string& path, const std::vector<ForeignForm>& forms, const nn::ParameterStore& store) {
  const engine::ForeignWeights w = engine::foreign_weights(path, forms, store, "test");
  return nn::import_parameters(w.tensors, {.heads = w.heads}, {}, store);
}

/// The store's tensors in a form are those of the file, names, shapes and bytes.
inline void expect_goes_out(const ForeignForm& form, const nn::ParameterStore& store, const std::string& path) {
  const nn::TensorSource file = engine::foreign_tensors(path);
  std::map<std::string, Tensor> written;
  for (const auto& [name, value] : nn::translated_back(form.names({}), store)) written.emplace(name, value);
  EXPECT_EQ(written.size(), file.tensors.size());
  for (const auto& [name, spec] : file.tensors) {
    ASSERT_TRUE(written.contains(name)) << name;
    EXPECT_EQ(written.at(name).spec(), spec) << name;
    EXPECT_EQ(written.at(name).to_vector(), file.read(name).to_vector()) << name;
  }
}

/// A file of these tensors.
inline std::string written(const data::Scratch& scratch, const std::vector<std::pair<std::string, Tensor>>& tensors) {
  std::vector<data::NamedTensor> all;
  for (const auto& [name, value] : tensors) all.push_back({name, value});
  data::write_safetensors(scratch / "file.safetensors", all);
  return scratch / "file.safetensors";
}

inline void expect_same(const nn::ParameterStore& store, const nn::ParameterStore& wanted) {
  for (const Parameter& p : wanted.parameters()) EXPECT_EQ(store.find(p.name()).value().to_vector(), p.value().to_vector()) << p.name();
}

inline void expect_near(const Tensor& value, const Tensor& wanted, const std::string& what) {
  ASSERT_EQ(value.numel(), wanted.numel()) << what;
  const auto a = value.to_vector(), b = wanted.to_vector();
  for (std::size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 1e-5) << what << " " << i;
}

/// A copy of a model directory that a test may change.
struct Copy {
  explicit Copy(const std::string& name) : path(scratch / "model") {
    std::filesystem::copy(golden(name), path);
    for (const auto& file : std::filesystem::directory_iterator(path))
      std::filesystem::permissions(file.path(), std::filesystem::perms::owner_write, std::filesystem::perm_options::add);
  }
  std::string text(const std::string& file) const { return data::content(path + "/" + file); }
  void change(const std::string& file, const std::string& from, const std::string& to) {
    std::string all = text(file);
    ASSERT_NE(all.find(from), std::string::npos) << from;
    all.replace(all.find(from), from.size(), to);
    scratch.write("model/" + file, all);
  }
  std::string setting(const ForeignForm& form, const std::string& key) const {
    for (const engine::Assignment& a : form.directory.settings(engine::ModelDirectory(path)))
      if (a.key == key) return a.value;
    return "";
  }
  std::string refusal(const ForeignForm& form) const {
    return message_of<DataError>([&] { form.directory.settings(engine::ModelDirectory(path)); });
  }
  data::Scratch scratch;
  std::string path;
};

}  // namespace capstan::formats
