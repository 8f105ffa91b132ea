// BLEU and chrF against sacreBLEU (tests/goldens/make_translation_metrics.py).
#include "recipes/engine/metrics/translation.h"

#include <gtest/gtest.h>

#include <cmath>

#include "data/json.h"

namespace capstan::engine {
namespace {

data::Json golden() { return data::read_json(CAPSTAN_SOURCE_DIR "/tests/goldens/translation_metrics.json"); }

TEST(TranslationMetrics, CutTextAsThirteenA) {
  for (const data::Json& c : golden()["tokens"].items()) {
    std::vector<std::string> expected;
    for (const data::Json& t : c["tokens"].items()) expected.emplace_back(t.text());
    EXPECT_EQ(bleu_tokens(c["text"].text()), expected) << c["text"].text();
  }
}

TEST(TranslationMetrics, AreThoseOfSacreBleuAndMerge) {
  for (const data::Json& c : golden()["corpora"].items()) {
    Bleu bleu, bleu_parts[2];
    ChrF chrf, chrf_parts[2];
    const std::vector<data::Json> hypotheses = c["hypotheses"].items(), references = c["references"].items();
    for (std::size_t i = 0; i < hypotheses.size(); ++i) {
      const std::string_view hypothesis = hypotheses[i].text(), reference = references[i].text();
      bleu.add(hypothesis, reference);
      chrf.add(hypothesis, reference);
      bleu_parts[i % 2].add(hypothesis, reference);
      chrf_parts[i % 2].add(hypothesis, reference);
    }
    bleu_parts[0].merge(bleu_parts[1]);
    chrf_parts[0].merge(chrf_parts[1]);
    EXPECT_NEAR(bleu.value(), c["bleu"].number(), 1e-9) << c.place();
    EXPECT_NEAR(chrf.value(), c["chrf"].number(), 1e-9) << c.place();
    EXPECT_DOUBLE_EQ(bleu_parts[0].value(), bleu.value());
    EXPECT_DOUBLE_EQ(chrf_parts[0].value(), chrf.value());
  }
  EXPECT_TRUE(std::isnan(Bleu().value()));
  EXPECT_TRUE(std::isnan(ChrF().value()));
}

}  // namespace
}  // namespace capstan::engine
