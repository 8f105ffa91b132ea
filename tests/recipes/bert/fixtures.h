#pragma once
// What the tests of BERT share: `capstan` in process, a small configuration and a text.

#include <filesystem>
#include <string>
#include <vector>

#include "recipes/bert/recipe.h"
#include "recipes/engine/system.h"
#include "tests/recipes/recipe_program.h"

namespace capstan::bert {

/// A few short stories, one sentence a line, a blank line between them.
inline std::string tiny_text() {
  return "the cat sat on the mat\nit saw a small bird\nthe bird flew away\nthe cat slept all day\n\n"
         "rain fell on the old town\nthe river rose by night\nmen built a wall of stone\nthe water stayed outside\n\n"
         "two ships left the port\none carried salt and iron\nthe other carried wine\na storm took them both\n";
}

struct BertProgram : engine::test::RecipeProgram {
  BertProgram() : RecipeProgram(bert::recipe()) {}

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
