// What the section generation makes of a search.
#include "recipes/tasks/text/generation.h"

#include <gmock/gmock.h>

#include <string>
#include <utility>
#include <vector>

#include "autograd/core/error.h"
#include "recipes/engine/config/option_table.h"

namespace capstan::text {
namespace {

using testing::ElementsAre;

struct Config {
  GenerationOptions generation = {};
  template <class V>
  void visit(V& v) {
    v.section("generation", generation);
  }
};

GenerationOptions set(const std::vector<std::pair<std::string, std::string>>& values) {
  Config config;
  engine::OptionTable table(config);
  for (const auto& [key, value] : values) {
    engine::Option* const option = table.find("generation." + key);
    require<ConfigError>(option != nullptr, "no key ", key);
    option->set(value);
  }
  return config.generation;
}

TEST(GenerationOptions, EveryKeyReachesTheSearch) {
  const nn::GenerationOptions o = search_options(set({{"beams", "6"},
                                                      {"hypotheses", "3"},
                                                      {"length_penalty", "0.75"},
                                                      {"early_stop", "enough"},
                                                      {"diversity", "-0.5"},
                                                      {"min_length", "2"},
                                                      {"max_length", "9"},
                                                      {"temperature", "0.25"},
                                                      {"top_k", "7"},
                                                      {"top_p", "0.875"},
                                                      {"repetition_penalty", "1.5"},
                                                      {"presence_penalty", "0.125"}}),
                                                 100, {4, 5});
  EXPECT_EQ(o.beams, 6);
  EXPECT_EQ(o.hypotheses, 3);
  EXPECT_EQ(o.length_penalty, .75);
  EXPECT_EQ(o.early_stop, nn::EarlyStop::enough);
  EXPECT_EQ(o.diversity, -.5);
  EXPECT_EQ(o.min_length, 2);
  EXPECT_EQ(o.max_length, 9);
  EXPECT_EQ(o.choice.temperature, .25);
  EXPECT_EQ(o.choice.top_k, 7);
  EXPECT_EQ(o.choice.top_p, .875);
  EXPECT_EQ(o.choice.repetition_penalty, 1.5);
  EXPECT_EQ(o.choice.presence_penalty, .125);
  EXPECT_THAT(o.stop_tokens, ElementsAre(4, 5));
  EXPECT_EQ(search_options(set({}), 100, {}).early_stop, nn::EarlyStop::exact);
}

TEST(GenerationOptions, NothingIsWrittenBeyondTheRoom) {
  const nn::GenerationOptions o = search_options(set({{"min_length", "20"}, {"max_length", "30"}}), 8, {});
  EXPECT_EQ(o.min_length, 8);
  EXPECT_EQ(o.max_length, 8);
}

TEST(GenerationOptions, RefusesWhatContradictsItself) {
  EXPECT_THROW(set({{"beams", "2"}, {"hypotheses", "3"}}).validate("task"), ConfigError);
  EXPECT_THROW(set({{"beams", "2"}, {"top_k", "0"}}).validate("task"), ConfigError);
  EXPECT_NO_THROW(set({{"beams", "1"}, {"top_k", "0"}}).validate("task"));
}

}  // namespace
}  // namespace capstan::text
