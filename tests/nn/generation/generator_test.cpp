// Choosing tokens and generating lines, over a decoder whose next token depends on the last one alone: numbers that can be checked by hand.
#include "nn/generation/generator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "tests/close.h"
#include "tests/message_of.h"

namespace capstan::nn {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Tokens = std::vector<std::int64_t>;

constexpr float kNever = -std::numeric_limits<float>::infinity();

TEST(Choice, PenalisesWhatWasWrittenOnce) {
  std::vector<float> logits{2, -1, .5f, 7};
  apply_penalties(logits, Tokens{0, 1, 2, 0, 2}, {.repetition_penalty = 1.2});
  expect_close({logits.begin(), logits.end()}, {1.666667, -1.2, .416667, 7}, 1e-6, "repetition");
  logits = {2, -1, 7};
  apply_penalties(logits, Tokens{1, 0, 0}, {.presence_penalty = .4});
  expect_close({logits.begin(), logits.end()}, {1.6, -1.4, 7}, 1e-6, "presence");
  apply_temperature(logits, 2);
  block(logits, Tokens{2});
  expect_close({logits.begin(), logits.end()}, {.8, -.7, kNever}, 1e-6, "temperature and block");
}

std::vector<double> probabilities(const std::vector<Candidate>& found) {
  std::vector<double> p;
  for (const Candidate& c : found) p.push_back(c.probability);
  return p;
}
Tokens tokens(const std::vector<Candidate>& found) {
  Tokens t;
  for (const Candidate& c : found) t.push_back(c.token);
  return t;
}

TEST(Choice, LeavesTheLikeliestTokens) {
  const std::vector<float> logits{2, 1, .5f, -1, 0};
  std::vector<Candidate> found;
  find_candidates(logits, 0, 1, found);
  expect_close(probabilities(found), {.563021, .207124, .125627, .028031, .076197}, 3e-5, "all");
  find_candidates(logits, 0, .8, found);
  EXPECT_THAT(tokens(found), ElementsAre(0, 1, 2));
  expect_close(probabilities(found), {.628532, .231224, .140244}, 3e-6, "top_p");
  find_candidates(logits, 2, 1, found);
  EXPECT_THAT(tokens(found), ElementsAre(0, 1));
  expect_close(probabilities(found), {.731059, .268941}, 3e-6, "top_k");
  find_candidates(logits, 3, .7, found);  // inside the three, token 0 has .6285
  EXPECT_THAT(tokens(found), ElementsAre(0, 1));
  find_candidates(logits, 3, .6, found);
  EXPECT_THAT(tokens(found), ElementsAre(0));
  find_candidates(std::vector<float>{1, 3, 3, kNever}, 0, .2, found);  // of equals the smaller token
  EXPECT_THAT(tokens(found), ElementsAre(1));
  std::vector<Candidate> sorted;
  find_candidates(std::vector<float>{2, 1, .5f}, std::vector<std::int32_t>{0, 1, 2}, .7, sorted);
  EXPECT_THAT(tokens(sorted), ElementsAre(0, 1));
  // A nucleus that is wider than what is sorted at first.
  std::vector<float> flat(1000, 0);
  flat[700] = 1;
  find_candidates(flat, 0, .5, found);
  EXPECT_EQ(found.front().token, 700);
  EXPECT_EQ(std::ssize(found), 500);
  const std::vector<double> p = probabilities(found);
  EXPECT_NEAR(std::accumulate(p.begin(), p.end(), 0.), 1, 1e-12);
}

TEST(Choice, DrawsBySeedAndPosition) {
  const std::vector<Candidate> three{{.token = 4, .probability = .5}, {.token = 2, .probability = .3}, {.token = 9, .probability = .2}};
  EXPECT_EQ(draw(three, 0), 4);
  EXPECT_EQ(draw(three, .499), 4);
  EXPECT_EQ(draw(three, .5), 2);
  EXPECT_EQ(draw(three, .81), 9);
  EXPECT_EQ(draw(std::vector<Candidate>{{.token = 1, .probability = 1 - 1e-16}, {.token = 3, .probability = 0}}, 1 - 1e-17), 1);
  EXPECT_EQ(uniform_at(3, 5), uniform_at(3, 5));
  EXPECT_NE(uniform_at(3, 5), uniform_at(3, 6));
  EXPECT_NE(uniform_at(3, 5), uniform_at(4, 5));
  double sum = 0;
  for (std::int64_t i = 0; i < 1000; ++i) sum += uniform_at(1, i) / 1000;
  EXPECT_NEAR(sum, .5, .05);
}

TEST(Choice, ScoresHypotheses) {
  EXPECT_NEAR(hypothesis_score(-3, 3, 1), -1, 1e-6);
  EXPECT_NEAR(hypothesis_score(-3, 3, .6), -1.551846, 1e-6);
  EXPECT_EQ(hypothesis_score(-3, 5, 0), -3);
  EXPECT_EQ(hypothesis_score(-3, 1, 2), -3);
}

/// The logits behind a token are a row of a table; it remembers each row's history and checks that the rows are those it may be given.
class ChainDecoder final : public Decoder {
 public:
  explicit ChainDecoder(std::vector<std::vector<double>> probabilities, std::int64_t lines = 3, std::int64_t beams = 4)
      : table_(std::move(probabilities)), lines_(lines), beams_(beams) {}

  std::int64_t vocabulary() const override { return std::ssize(table_); }
  std::int64_t max_lines() const override { return lines_; }
  std::int64_t max_beams() const override { return beams_; }
  std::int64_t max_length() const override { return 40; }
  std::int64_t max_source() const override { return 0; }
  std::int64_t source_vocabulary() const override { return 0; }

  void begin(std::span<const Line> lines) override {
    for (const Line& line : lines) begun_[line.place] = std::ssize(line.before);
  }
  std::span<float> step(std::span<const Row> rows) override {
    ++steps;
    most_rows = std::max(most_rows, std::ssize(rows));
    logits_.clear();
    std::map<std::int64_t, std::int64_t> of_place;
    for (const Row& row : rows) {
      EXPECT_LE(++of_place[row.place], beams_);
      if (row.from == kBegin) {
        EXPECT_EQ(row.position, begun_.at(row.place));
      } else {
        const Row& before = last_.at(static_cast<std::size_t>(row.from));
        EXPECT_TRUE(before.place == row.place && before.position + 1 == row.position);
      }
      for (const double p : table_.at(static_cast<std::size_t>(row.token))) logits_.push_back(static_cast<float>(std::log(p)));
    }
    last_.assign(rows.begin(), rows.end());
    return logits_;
  }

  std::int64_t steps = 0, most_rows = 0;

 private:
  std::vector<std::vector<double>> table_;
  std::int64_t lines_, beams_;
  std::map<std::int64_t, std::int64_t> begun_;
  std::vector<Row> last_;
  std::vector<float> logits_;
};

/// 0 begins, 3 ends.
std::vector<std::vector<double>> chain() { return {{0, .5, .4, .1}, {0, .1, .2, .7}, {0, .05, .05, .9}, {0, 0, 0, 1}}; }

std::vector<Generation> generate(Decoder& decoder, std::vector<GenerationRequest> requests, bool in_order = true) {
  std::vector<Generation> all;
  Generator generator(decoder, {.deliver = [&](Generation g) { all.push_back(std::move(g)); }, .in_order = in_order});
  for (GenerationRequest& r : requests) generator.submit(std::move(r));
  generator.finish();
  return all;
}

GenerationOptions stopping_at_three() { return {.length_penalty = 0, .max_length = 20, .stop_tokens = {3}}; }

TEST(Generator, WritesGreedily) {
  ChainDecoder decoder(chain());
  const Generation g = generate(decoder, {{.prompt = {0}, .options = stopping_at_three()}}).at(0);
  ASSERT_EQ(g.hypotheses.size(), 1u);
  const Hypothesis& h = g.hypotheses[0];
  EXPECT_THAT(h.tokens, ElementsAre(1));
  EXPECT_EQ(h.finish, Finish::stop_token);
  EXPECT_NEAR(h.score, -1.049822, 1e-6);
  EXPECT_NEAR(h.log_probabilities.at(0), std::log(.5), 1e-6);
}

TEST(Generator, SearchesByBeams) {
  ChainDecoder decoder(chain());
  GenerationOptions o = stopping_at_three();
  o.beams = o.hypotheses = 2;
  const Generation g = generate(decoder, {{.prompt = {0}, .options = o}}).at(0);
  ASSERT_EQ(g.hypotheses.size(), 2u);
  EXPECT_THAT(g.hypotheses[0].tokens, ElementsAre(2));
  EXPECT_THAT(g.hypotheses[1].tokens, ElementsAre(1));
  EXPECT_NEAR(g.hypotheses[0].score, -1.021651, 1e-6);
  EXPECT_NEAR(g.hypotheses[1].score, -1.049822, 1e-6);
}

/// All hypotheses of a chain, at most `longest` tokens, the best first.
std::vector<Hypothesis> exhaustive(const std::vector<std::vector<double>>& table, std::int64_t longest, double penalty) {
  std::vector<Hypothesis> all;
  const auto extend = [&](auto&& self, const Tokens& so_far, std::int64_t last, double sum) -> void {
    const auto length = std::ssize(so_far);
    if (length == longest) return all.push_back({.tokens = so_far, .score = hypothesis_score(sum, length, penalty)});
    for (std::int64_t t = 0; t < std::ssize(table); ++t) {
      const double p = table[static_cast<std::size_t>(last)][static_cast<std::size_t>(t)];
      if (p == 0) continue;
      if (t == 3) {
        all.push_back({.tokens = so_far, .score = hypothesis_score(sum + std::log(p), length + 1, penalty)});
      } else {
        Tokens more = so_far;
        more.push_back(t);
        self(self, more, t, sum + std::log(p));
      }
    }
  };
  extend(extend, {}, 0, 0);
  std::ranges::stable_sort(all, std::greater<>(), &Hypothesis::score);
  return all;
}

// With as many beams as there are prefixes nothing is lost, so the search must give the best of all hypotheses, whatever the penalty: it
// must not stop before.
TEST(Generator, StopsWhenNothingBetterCanCome) {
  for (const double penalty : {0., 1., 2., -1.})
    for (const auto& table : {chain(), {{0, .3, .3, .4}, {0, .9, .05, .05}, {0, .1, .6, .3}, {0, 0, 0, 1}}}) {
      ChainDecoder decoder(table, 1, 64);
      const GenerationOptions o{.beams = 64, .hypotheses = 5, .length_penalty = penalty, .max_length = 6, .stop_tokens = {3}};
      const Generation g = generate(decoder, {{.prompt = {0}, .options = o}}).at(0);
      const std::vector<Hypothesis> expected = exhaustive(table, 6, penalty);
      ASSERT_EQ(g.hypotheses.size(), 5u);
      for (std::size_t i = 0; i < 5; ++i) EXPECT_NEAR(g.hypotheses[i].score, expected[i].score, 1e-5) << penalty << " " << i;
      EXPECT_EQ(g.hypotheses[0].tokens, expected[0].tokens);
    }
}

TEST(Generator, StopsAsSoonAsItMay) {
  const auto steps = [](double penalty, EarlyStop stop) {
    ChainDecoder decoder(chain());
    generate(decoder, {{.prompt = {0},
                        .options = {.beams = 2, .length_penalty = penalty, .early_stop = stop, .max_length = 20, .stop_tokens = {3}}}});
    return decoder.steps;
  };
  EXPECT_EQ(steps(0, EarlyStop::exact), 2);
  EXPECT_EQ(steps(-1, EarlyStop::exact), 2);
  // The best hypothesis has -1.02 / 2; as good would be -10.2 / 20, which the beams fall below in six steps.
  EXPECT_EQ(steps(1, EarlyStop::exact), 6);
  EXPECT_EQ(steps(1, EarlyStop::enough), 2);
}

TEST(Generator, HoldsSiblingsBack) {
  ChainDecoder decoder({{0, .5, .4, .1}, {0, .45, .45, .1}, {0, .1, .5, .4}, {0, 0, 0, 1}});
  GenerationOptions o{.beams = 2, .hypotheses = 2, .length_penalty = 0, .max_length = 2, .stop_tokens = {}};
  EXPECT_THAT(generate(decoder, {{.prompt = {0}, .options = o}}).at(0).hypotheses[1].tokens, ElementsAre(1, 2));
  o.diversity = -.5;
  const std::vector<Hypothesis> apart = generate(decoder, {{.prompt = {0}, .options = o}}).at(0).hypotheses;
  EXPECT_THAT(apart[1].tokens, ElementsAre(2, 2));
  EXPECT_NEAR(apart[1].score, std::log(.4 * .5), 1e-6);
}

TEST(Generator, KeepsToLengths) {
  ChainDecoder decoder(chain());
  GenerationOptions o = stopping_at_three();
  o.min_length = 3;
  for (const std::int64_t beams : {1, 2}) {
    o.beams = beams;
    EXPECT_EQ(generate(decoder, {{.prompt = {0}, .options = o}}).at(0).hypotheses[0].tokens.size(), 3u);
  }
  o.min_length = 0, o.stop_tokens = {}, o.max_length = 5;
  for (const std::int64_t beams : {1, 2}) {
    o.beams = beams;
    const Hypothesis h = generate(decoder, {{.prompt = {0, 2, 1}, .options = o}}).at(0).hypotheses[0];
    EXPECT_EQ(h.tokens.size(), 5u);
    EXPECT_EQ(h.log_probabilities.size(), 5u);
    EXPECT_EQ(h.finish, Finish::length);
  }
}

TEST(Generator, StopsAtSequences) {
  const std::vector<std::vector<double>> ring{
      {.05, .8, .05, .1}, {.05, .05, .8, .1}, {.8, .05, .05, .1}, {.25, .25, .25, .25}};  // 0 1 2 0 1 2
  ChainDecoder decoder(ring);
  for (const std::int64_t beams : {1, 3}) {
    const GenerationOptions o{.beams = beams, .length_penalty = 0, .max_length = 12, .stop_sequences = {{2, 2, 2}, {2, 0, 1}}};
    const Hypothesis h = generate(decoder, {{.prompt = {0}, .options = o}}).at(0).hypotheses[0];
    EXPECT_THAT(h.tokens, ElementsAre(1)) << beams;
    EXPECT_EQ(h.finish, Finish::stop_sequence);
    EXPECT_EQ(h.log_probabilities.size(), 1u);
    EXPECT_NEAR(h.score, 4 * std::log(.8), 1e-6);
  }
}

TEST(Generator, PenaltiesActWhileItWrites) {
  const std::vector<double> next{.35, .3, .2, .15};
  ChainDecoder decoder({next, next, next, next});
  const GenerationOptions o{.choice = {.presence_penalty = 9}, .max_length = 4};
  for (const std::int64_t beams : {1, 2}) {
    GenerationOptions with = o;
    with.beams = beams;
    EXPECT_THAT(generate(decoder, {{.prompt = {0}, .options = with}}).at(0).hypotheses[0].tokens, ElementsAre(0, 1, 2, 3));
  }
}

TEST(Generator, StreamsTokens) {
  ChainDecoder decoder(chain());
  Tokens streamed;
  const auto until = [&](std::size_t n) {
    return [&, n](std::int64_t token, double) {
      streamed.push_back(token);
      return streamed.size() < n;
    };
  };
  GenerationOptions o = stopping_at_three();
  o.min_length = 5;
  const Generation all = generate(decoder, {{.prompt = {0}, .options = o, .on_token = until(99)}}).at(0);
  EXPECT_EQ(streamed, all.hypotheses[0].tokens);
  streamed.clear();
  const Generation some = generate(decoder, {{.prompt = {0}, .options = o, .on_token = until(2)}}).at(0);
  EXPECT_EQ(some.hypotheses[0].tokens.size(), 2u);
  EXPECT_EQ(some.hypotheses[0].finish, Finish::caller);
}

/// Lines of all kinds, all at once.
std::vector<GenerationRequest> mixed() {
  std::vector<GenerationRequest> requests;
  for (std::uint64_t i = 0; i < 14; ++i) {
    GenerationOptions o = stopping_at_three();
    o.max_length = static_cast<std::int64_t>(3 + i % 5);
    if (i % 3 == 0) o.beams = 2 + static_cast<std::int64_t>(i) % 3, o.hypotheses = 2;
    if (i % 3 == 1) o.choice = {.temperature = .7, .repetition_penalty = 1.3, .top_k = static_cast<std::int64_t>(i % 2) * 3, .top_p = .95};
    o.min_length = static_cast<std::int64_t>(i % 4);
    o.stop_sequences = {{2, 1}};
    requests.push_back({.prompt = Tokens(1 + i % 3, static_cast<std::int64_t>(i % 3)), .options = o, .seed = i});
  }
  return requests;
}

TEST(Generator, ALineDependsOnItsOwnRequestAlone) {
  ChainDecoder together(chain(), 5, 4), alone(chain(), 1, 4);
  const std::vector<Generation> side_by_side = generate(together, mixed());
  ASSERT_EQ(side_by_side.size(), 14u);
  EXPECT_LT(together.steps, 40);
  for (std::size_t i = 0; i < 14; ++i) {
    const Generation one = generate(alone, {mixed()[i]}).at(0);
    EXPECT_EQ(side_by_side[i].request, static_cast<std::int64_t>(i));
    ASSERT_EQ(side_by_side[i].hypotheses.size(), one.hypotheses.size());
    for (std::size_t n = 0; n < one.hypotheses.size(); ++n) {
      EXPECT_EQ(side_by_side[i].hypotheses[n].tokens, one.hypotheses[n].tokens) << i;
      EXPECT_EQ(side_by_side[i].hypotheses[n].score, one.hypotheses[n].score) << i;
      EXPECT_EQ(side_by_side[i].hypotheses[n].log_probabilities, one.hypotheses[n].log_probabilities) << i;
    }
  }
}

TEST(Generator, DrawsAsOftenAsIsLikely) {
  ChainDecoder decoder(chain(), 8, 1);
  std::vector<GenerationRequest> requests;
  for (std::uint64_t i = 0; i < 4000; ++i)
    requests.push_back({.prompt = {0}, .options = {.choice = {.top_k = static_cast<std::int64_t>(i % 2) * 2}, .max_length = 1}, .seed = i});
  std::map<std::int64_t, double> from_all, from_two;
  for (const Generation& g : generate(decoder, std::move(requests)))
    (g.request % 2 == 0 ? from_all : from_two)[g.hypotheses[0].tokens[0]] += 1. / 2000;
  EXPECT_NEAR(from_all[1], .5, .04);
  EXPECT_NEAR(from_all[3], .1, .03);
  EXPECT_NEAR(from_two[1], .5 / .9, .04);
  EXPECT_EQ(from_two.size(), 2u);
}

TEST(Generator, DeliversInEitherOrder) {
  const auto requests = [] {
    std::vector<GenerationRequest> r;
    for (const std::int64_t length : {6, 2, 4}) r.push_back({.prompt = {0}, .options = {.max_length = length}});
    return r;
  };
  ChainDecoder decoder(chain());
  std::vector<std::int64_t> order;
  for (const Generation& g : generate(decoder, requests(), /*in_order=*/false)) order.push_back(g.request);
  EXPECT_THAT(order, ElementsAre(1, 2, 0));
  order.clear();
  for (const Generation& g : generate(decoder, requests())) order.push_back(g.request);
  EXPECT_THAT(order, ElementsAre(0, 1, 2));
}

TEST(Generator, SaysWhatIsWrong) {
  ChainDecoder decoder(chain());
  std::vector<Generation> all;
  Generator generator(decoder, {.deliver = [&](Generation g) { all.push_back(std::move(g)); }});
  const auto refused = [&](GenerationRequest r) { return message_of<ArgumentError>([&] { generator.submit(std::move(r)); }); };
  EXPECT_THAT(refused({}), HasSubstr("a line begins with a token"));
  EXPECT_THAT(refused({.prompt = {4}, .options = {.max_length = 3}}),
              HasSubstr("token of the prompt is not in the vocabulary: token 4, vocabulary 4"));
  EXPECT_THAT(refused({.source = {1}, .prompt = {0}, .options = {.max_length = 3}}), HasSubstr("the source must have"));
  EXPECT_THAT(refused({.prompt = Tokens(30), .options = {.max_length = 12}}), HasSubstr("prompt 30, max_length 12, longest 40"));
  EXPECT_THAT(refused({.prompt = {0}, .options = {.beams = 5}}), HasSubstr("5, room for 4"));
  EXPECT_THAT(refused({.prompt = {0}, .options = {.hypotheses = 2}}), HasSubstr("hypotheses must be between 1 and the beams: 2, beams 1"));
  EXPECT_THAT(refused({.prompt = {0}, .options = {.choice = {.top_k = 2}, .beams = 2}}), HasSubstr("top_k must be 1"));
  EXPECT_THAT(refused({.prompt = {0}, .options = {.choice = {.temperature = 0}}}), HasSubstr("temperature"));
  EXPECT_THAT(refused({.prompt = {0}, .options = {.choice = {.top_p = 1.5}}}), HasSubstr("top_p"));
  EXPECT_THAT(refused({.prompt = {0}, .options = {.min_length = 9, .max_length = 8}}), HasSubstr("9, 8"));
  generator.submit({.prompt = {0}, .options = {.max_length = 3}});  // what was refused has left no trace
  generator.finish();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].request, 0);
  ChainDecoder broken({{std::nan(""), 1}, {1, 1}});
  EXPECT_THAT(message_of<NumericalError>([&] { generate(broken, {{.prompt = {0}, .options = {.max_length = 3}}}); }),
              HasSubstr("logits are no numbers: line 0, token 0"));
}

}  // namespace
}  // namespace capstan::nn
