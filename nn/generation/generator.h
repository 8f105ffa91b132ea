#pragma once
// Generation: lines of tokens by greedy choice, sampling or beam search, over any Decoder. Lines of unlike lengths and options run side by
// side: one that is finished leaves, and the next one waiting takes its place (continuous batching). What a line writes depends on its own
// request alone. It knows no text: tokens in, tokens out.
//
//     Generator generator(decoder, {.deliver = [&](Generation g) { print(g.hypotheses.front().tokens); }});
//     while (next(request)) {
//       generator.submit(std::move(request));
//       while (generator.full()) generator.step();
//     }
//     generator.finish();

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "nn/generation/choice.h"
#include "nn/generation/decoder.h"

namespace capstan::nn {

/// When a beam search of a line ends before its greatest length.
enum class EarlyStop : std::uint8_t {
  exact,   ///< when no hypothesis that could still come would be among those asked for
  enough,  ///< when as many hypotheses as beams are finished (fairseq): sooner, and possibly without the best
};

struct GenerationOptions {
  ChoiceOptions choice = {};
  std::int64_t beams = 1;       ///< 1: greedy or drawn by choice.top_k; more: beam search, which draws nothing
  std::int64_t hypotheses = 1;  ///< of a beam search, the best; at most `beams`
  double length_penalty = 1;    ///< hypothesis_score (choice.h)
  /// Added to the score of a beam's candidates times their rank in it, where candidates are compared: negative numbers hold siblings back
  /// (Li et al. 2016). Scores of hypotheses are without it.
  double diversity = 0;
  EarlyStop early_stop = EarlyStop::exact;
  std::int64_t min_length = 0;                                 ///< tokens before a stop token may come
  std::int64_t max_length = 128;                               ///< tokens at most
  std::vector<std::int64_t> stop_tokens = {};                  ///< end a line and are not part of it
  std::vector<std::vector<std::int64_t>> stop_sequences = {};  ///< likewise, once all of their tokens have been written
};

struct GenerationRequest {
  std::vector<std::int64_t> source = {};  ///< what an encoder reads; empty for a language model
  std::vector<std::int64_t> prompt = {};  ///< what the line begins with, at least one token: a start token, or a text to go on with
  GenerationOptions options = {};
  std::uint64_t seed = 0;  ///< of this line's draws
  /// Called for each token of a line of one beam as it comes, those of a stop sequence among them; false ends the line. For streams, and
  /// for stops that are not made of tokens.
  std::function<bool(std::int64_t token, double log_probability)> on_token = {};
};

enum class Finish : std::uint8_t { stop_token, stop_sequence, length, caller };
std::string to_text(Finish f);

struct Hypothesis {
  std::vector<std::int64_t> tokens = {};       ///< without the prompt and what stopped it
  std::vector<double> log_probabilities = {};  ///< of these, under what was chosen from: after temperature, penalties and blocks
  double score = 0;                            ///< hypothesis_score of the sum over all that was written, the stop included
  Finish finish = Finish::length;
};

struct Generation {
  std::int64_t request = 0;            ///< its number in the order of submission
  std::vector<Hypothesis> hypotheses;  ///< best first
};

struct GeneratorOptions {
  std::function<void(Generation)> deliver;
  bool in_order = true;  ///< results come in the order of submission; else as they are finished
};

class Generator {
 public:
  /// The decoder must outlive it and serve nobody else meanwhile.
  Generator(Decoder& decoder, GeneratorOptions options);

  /// Puts a line at the end of the queue; its number. Throws ArgumentError for options outside their ranges, tokens outside the
  /// vocabulary, and a source, prompt or length for which the decoder has no room: nothing has happened then.
  std::int64_t submit(GenerationRequest request);
  /// Whether all places are taken: what is submitted now waits.
  bool full() const { return waiting_.size() + lines_.size() >= static_cast<std::size_t>(decoder_.max_lines()); }
  bool idle() const { return waiting_.empty() && lines_.empty(); }
  /// Lets waiting lines enter, writes a token to every line, and delivers those that are finished. Throws NumericalError if a decoder's
  /// logits are no numbers.
  void step();
  /// Steps until nothing is left.
  void finish() {
    while (!idle()) step();
  }

 private:
  /// A token that was written; hypotheses are chains of them.
  struct Node {
    std::int64_t token, before;  // before: the place of the one in front, -1: none
    double log_probability;
  };
  struct Beam {
    std::int64_t node = -1;  // its last token, -1: nothing yet
    std::int64_t row = Decoder::kBegin;
    double sum = 0;
  };
  struct Line {
    std::int64_t number = 0, place = 0;
    GenerationRequest request;
    std::int64_t written = 0;  // tokens of each beam
    std::vector<Node> nodes = {};
    std::vector<Beam> beams = {Beam{}};     // alive
    std::vector<Hypothesis> finished = {};  // kept aside, best first, as many as there are beams
    std::int64_t finished_count = 0;
    bool done = false;
  };
  struct Selected {
    double value, sum, log_probability;
    std::int64_t token, beam;
  };

  void enter();
  void change_logits(const Line& line, const Beam& beam, std::span<float> logits);
  void choose(Line& line, std::int64_t row, std::span<const float> logits);
  void search(Line& line, std::int64_t row);
  void tokens_of(const Line& line, std::int64_t node, std::vector<std::int64_t>& to) const;
  bool completes_sequence(const Line& line, std::int64_t node, std::int64_t token, std::size_t& length) const;
  void keep(Line& line, std::int64_t node, double sum, std::int64_t length, Finish finish, std::size_t cut);
  bool nothing_better(const Line& line) const;
  void deliver(Line& line);

  Decoder& decoder_;
  GeneratorOptions options_;
  std::int64_t submitted_ = 0, delivered_ = 0;
  std::deque<std::pair<std::int64_t, GenerationRequest>> waiting_;
  std::vector<Line> lines_;  // in the order of their rows
  std::vector<std::int64_t> free_places_;
  std::map<std::int64_t, Generation> held_;  // finished before their turn

  // Of one step, kept for the next.
  std::vector<Decoder::Row> rows_;
  std::int64_t largest_ = 0;  // how many of a row's largest logits are looked up
  std::vector<float> top_values_, log_sums_;
  std::vector<std::int32_t> top_tokens_;
  std::vector<std::int64_t> written_;
  std::vector<Candidate> candidates_;
  std::vector<Selected> selected_;
  std::vector<Beam> next_beams_;
};

}  // namespace capstan::nn
