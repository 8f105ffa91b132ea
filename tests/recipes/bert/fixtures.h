#pragma once
// What the tests of BERT share: instances from lists, `capstan` in process, small configurations and texts.

#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "recipes/bert/recipe.h"
#include "tests/recipes/recipe_program.h"

namespace capstan::bert {

inline data::Instance instance(std::vector<std::int32_t> ids, std::int32_t first_segment, bool random_next,
                               std::vector<std::int32_t> positions, std::vector<std::int32_t> labels) {
  return {std::move(ids), first_segment, random_next, std::move(positions), std::move(labels)};
}

/// The two instances of the worked example.
inline std::vector<data::Instance> worked_instances() {
  return {instance({2, 5, 4, 7, 3, 8, 4, 3}, 5, false, {2, 6}, {6, 9}), instance({2, 10, 3, 4, 12, 13, 14, 15, 16, 3}, 3, true, {3}, {11})};
}
inline ModelOptions worked_options(Activation activation) {
  return {.layers = 2,
          .hidden_size = 8,
          .heads = 2,
          .intermediate_size = 16,
          .max_positions = 12,
          .activation = activation,
          .hidden_dropout = 0,
          .attention_dropout = 0,
          .packed = false};
}

/// Parameter t gets 0.2 sin(0.7 i + 0.3 t + 0.1), gains of layer norms 1 more.
inline void fill_by_formula(const nn::ParameterStore& store) {
  std::size_t t = 0;
  for (const Parameter& p : store.parameters()) {
    const bool gain = p.name().find("orm/weight") != std::string::npos;
    dispatch_floating("test", p.value().dtype(), [&](auto zero) {
      using T = decltype(zero);
      for (std::int64_t i = 0; i < p.value().numel(); ++i) {
        const double v = 0.2 * std::sin(0.7 * static_cast<double>(i) + 0.3 * static_cast<double>(t) + 0.1) + (gain ? 1 : 0);
        p.value().data<T>()[i] = T(static_cast<float>(v));
        if constexpr (std::is_same_v<T, double>) p.value().data<T>()[i] = v;
      }
    });
    ++t;
  }
}

/// A few short stories, one sentence a line, a blank line between them.
inline std::string tiny_text() {
  return "the cat sat on the mat\nit saw a small bird\nthe bird flew away\nthe cat slept all day\n\n"
         "rain fell on the old town\nthe river rose by night\nmen built a wall of stone\nthe water stayed outside\n\n"
         "two ships left the port\none carried salt and iron\nthe other carried wine\na storm took them both\n";
}

struct BertProgram : engine::test::RecipeProgram<Bert> {
  /// A small model on the text of the file text.txt.
  std::vector<std::string> small() {
    return {"data.train=" + scratch / "text.txt",
            "data.form=sentences",
            "data.vocab_size=90",
            "data.prepared=" + scratch / "prepared",
            "run.threads=1",
            "instances.max_length=24",
            "instances.max_predictions=4",
            "model.positions=absolute",
            "model.hidden_size=16",
            "model.intermediate_size=32",
            "train.batch_size=4",
            "train.log_every=1",
            "train.evaluate_every=0"};
  }
  std::vector<std::string> with_small(const std::vector<std::string>& arguments, const std::vector<std::string>& more = {}) {
    return joined(joined(arguments, small()), more);
  }
  int train(const std::string& run, const std::vector<std::string>& more = {}) {
    if (!std::filesystem::exists(scratch / "text.txt")) scratch.write("text.txt", tiny_text());
    return train_quickstart(run, joined(small(), more));
  }
};

}  // namespace capstan::bert
