#pragma once
// What generation asks of a model that writes: logits of the next token for a few rows at a time. A row is one token of one line; the rows
// of several lines, and of several beams of a line, stand side by side. A line enters and leaves at any step, and a row says which row of
// the step before it continues, so beams are an index table: nothing is copied that a decoder can refer to.
//
// A decoder knows no text and chooses nothing (generator.h does). Its promise: the logits of a row depend on the row's own history alone,
// not in one bit on what stands beside it. Once lines and rows have reached their greatest numbers, step() allocates nothing.

#include <cstdint>
#include <span>

namespace capstan::nn {

class Decoder {
 public:
  /// A line that enters.
  struct Line {
    std::int64_t place = 0;                     ///< [0, max_lines), free from here on for this line
    std::span<const std::int64_t> source = {};  ///< what an encoder reads; empty for a language model
    std::span<const std::int64_t> before = {};  ///< tokens already written, in front of the first one that step() is given
  };
  struct Row {
    std::int64_t place = 0;      ///< of its line
    std::int64_t token = 0;      ///< the last one written
    std::int64_t position = 0;   ///< of that token in its line, counted from 0
    std::int64_t from = kBegin;  ///< the row of the step before that it continues; several may continue one
  };
  static constexpr std::int64_t kBegin = -1;  ///< the line's first row, which continues Line::before

  Decoder() = default;
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
  virtual ~Decoder() = default;

  virtual std::int64_t vocabulary() const = 0;
  virtual std::int64_t max_lines() const = 0;   ///< places
  virtual std::int64_t max_beams() const = 0;   ///< rows of a line in one step
  virtual std::int64_t max_length() const = 0;  ///< tokens of a line, Line::before among them
  virtual std::int64_t max_source() const = 0;  ///< tokens of a source; 0: there is none
  virtual std::int64_t source_vocabulary() const = 0;
  /// Bytes of weights that a step reads, for each token of a line alone: what bounds its speed. 0: not known.
  virtual std::int64_t weight_bytes() const { return 0; }
  /// What storing the weights shorter did to them: the root of the sum of their squared errors over that of their squares.
  virtual double weight_error() const { return 0; }

  /// Prepares lines. Throws ArgumentError for a source or a history that does not fit, before anything has changed.
  virtual void begin(std::span<const Line> lines) = 0;
  /// Logits of the token behind each row, [rows, vocabulary], in memory of the decoder that the caller may write to until the next call.
  /// The rows of a line stand side by side. What no row continues is forgotten. Throws ArgumentError for more rows of a
  /// line than max_beams, and for a row that continues nothing.
  virtual std::span<float> step(std::span<const Row> rows) = 0;
};

}  // namespace capstan::nn
