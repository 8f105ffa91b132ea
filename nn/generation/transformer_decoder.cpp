#include "nn/generation/transformer_decoder.h"

#include <algorithm>
#include <array>

#include "autograd/core/error.h"

namespace capstan::nn {
namespace {

// Rows of sources that are encoded, and of prompts that are read, at a time.
constexpr std::int64_t kRowsAtOnce = 512;

Tensor value_of(const Parameter& p) { return p.defined() ? p.value().detach() : Tensor(); }

/// Writes layers into a step program. Buffers are shared by all layers.
class LayerWriter {
 public:
  /// `places`: of the longest line.
  LayerWriter(StepProgram& program, WeightStorage storage, std::int64_t places) : program_(program), storage_(storage), places_(places) {}

  template <class Layer>
  void begin(const TransformerStack<Layer>& stack, const TransformerTables& tables) {
    require<ArgumentError>(!stack.layers().empty(), "transformer_decoder: there must be layers");
    require<ArgumentError>(tables.embedding.defined() && tables.embedding.rank() == 2,
                           "transformer_decoder: the embedding must be [vocabulary, width]: ", tables.embedding);
    const Residual& first = stack.layers().front().residual();
    pre_norm_ = first.pre_norm();
    x_ = program_.buffer(tables.embedding.size(1));
    input_ = pre_norm_ ? program_.buffer(x_.width) : x_;
    branch_ = program_.buffer(x_.width);
    program_.embedding(tables.embedding, tables.scale, tables.positions, x_);
    if (pre_norm_) norm({}, first.norm());
  }

  /// Self-attention, of the rows of a line to each other or, with a cache, of each row to its line so far.
  void attention(const AttentionSublayer& sublayer, const LayerNorm* next, const StepCache* cache) {
    const MultiHeadAttention& a = checked(sublayer.attention());
    const std::int64_t width = a.heads() * a.head_width(), keys = a.key_value_heads() * a.head_width();
    const RowBuffer all = sized(projected_, width + 2 * keys), context = sized(context_, width);
    const RowBuffer q = all.columns(0, width), k = all.columns(width, keys), v = all.columns(width + keys, keys);
    product(input_, std::array{&a.query(), &a.key(), &a.value()}, {}, all);
    if (a.rotary_base() != 0) program_.rotary(all.columns(0, width + keys), a.head_width(), a.rotary_base(), places_);
    if (cache == nullptr) {
      program_.line_attention(q, k, v, a.head_width(), context);
    } else {
      program_.causal_attention(q, k, v, *cache, context);
    }
    product(context, std::array{&a.output()}, {}, branch_);
    add(sublayer.residual(), next);
  }

  void memory_attention(const AttentionSublayer& sublayer, const LayerNorm* next, const StepCache& memory) {
    const MultiHeadAttention& a = checked(sublayer.attention());
    const RowBuffer q = sized(query_, a.heads() * a.head_width()), context = sized(context_, q.width);
    product(input_, std::array{&a.query()}, {}, q);
    program_.memory_attention(q, memory, context);
    product(context, std::array{&a.output()}, {}, branch_);
    add(sublayer.residual(), next);
  }

  /// Keys and values of what the rows are now.
  void store_memory(const AttentionSublayer& sublayer, const StepCache& memory) {
    const MultiHeadAttention& a = sublayer.attention();
    const std::int64_t width = a.key_value_heads() * a.head_width();
    const RowBuffer both = sized(memory_, 2 * width);
    product(input_, std::array{&a.key(), &a.value()}, {}, both);
    program_.store(both.columns(0, width), both.columns(width, width), memory);
  }

  void feed_forward(const FeedForwardSublayer& sublayer, const LayerNorm* next) {
    const FeedForward& f = sublayer.feed_forward();
    const RowBuffer inner = sized(inner_, f.inner().weight().size(0));
    if (f.gate() != nullptr) {
      const RowBuffer both = sized(gated_, 2 * inner.width);
      product(input_, std::array{f.gate(), &f.inner()}, {}, both);
      program_.gated(both.columns(0, inner.width), both.columns(inner.width, inner.width), f.gate_kind(), inner);
    } else {
      product(input_, std::array{&f.inner()}, f.activation(), inner);
    }
    product(inner, std::array{&f.outer()}, {}, branch_);
    add(sublayer.residual(), next);
  }

  /// The normalisation at the end, where it has not been taken with the last sum.
  void end(const LayerNorm* final_norm) {
    if (!pre_norm_ && final_norm != nullptr) norm({}, *final_norm);
    if (pre_norm_ && final_norm == nullptr) input_ = x_;
  }

  RowBuffer logits(const TransformerTables& tables) {
    require<ArgumentError>(tables.output.defined() && tables.output.rank() == 2 && tables.output.size(1) == x_.width,
                           "transformer_decoder: the output's weights must be [vocabulary, width]: ", tables.output, ", width ", x_.width);
    const RowBuffer y = program_.buffer(tables.output.size(0));
    program_.product(input_, PackedWeight(std::array{tables.output.detach()}, storage_), tables.output_bias, {}, y);
    return y;
  }

 private:
  static const MultiHeadAttention& checked(const MultiHeadAttention& a) {
    require<ArgumentError>(a.relative() == RelativePositions::none, "transformer_decoder: runs layers without relative positions");
    return a;
  }

  /// A buffer that all layers use.
  RowBuffer sized(RowBuffer& buffer, std::int64_t width) {
    if (buffer.width != width) buffer = program_.buffer(width);
    return buffer;
  }

  template <std::size_t kCount>
  void product(const RowBuffer& x, const std::array<const Linear*, kCount>& linears, std::optional<Activation> activation,
               const RowBuffer& y) {
    std::vector<Tensor> weights;
    std::vector<float> biases;
    for (const Linear* const l : linears) {
      weights.push_back(l->weight().value().detach());
      if (l->bias().defined()) {
        const Tensor bias = value_of(l->bias()).contiguous();
        biases.insert(biases.end(), bias.data<const float>(), bias.data<const float>() + bias.numel());
      }
    }
    const Tensor bias = biases.empty() ? Tensor() : Tensor::from(biases, {std::ssize(biases)});
    program_.product(x, PackedWeight(weights, storage_), bias, activation, y);
  }

  void norm(const std::optional<RowBuffer>& branch, const LayerNorm& n) {
    program_.add_norm(branch, x_, value_of(n.weight()), value_of(n.bias()), n.epsilon(), input_, n.kind());
  }

  /// Adds the branch, and the normalisation behind it: a post-norm layer's own, or the next one of a pre-norm stack.
  void add(const Residual& residual, const LayerNorm* next) {
    if (!pre_norm_) return norm(branch_, residual.norm());
    if (next != nullptr) return norm(branch_, *next);
    program_.add_norm(branch_, x_, {}, {}, 0, {});
  }

  StepProgram& program_;
  WeightStorage storage_;
  std::int64_t places_;
  bool pre_norm_ = false;
  RowBuffer x_, input_, branch_;  // the sum; what the next sublayer reads (post-norm: the same); a sublayer's result
  RowBuffer projected_, query_, context_, gated_, inner_, memory_;
};

/// What a pre-norm stack normalises behind layer i.
template <class Layer>
const LayerNorm* norm_behind(const TransformerStack<Layer>& stack, std::size_t i) {
  return i + 1 < stack.layers().size() ? &stack.layers()[i + 1].residual().norm() : stack.norm();
}

StepCache cache_for(const AttentionSublayer& s, std::int64_t slots, std::int64_t capacity, DType type) {
  return StepCache(slots, s.attention().key_value_heads(), capacity, s.attention().head_width(), type);
}

void check_positions(const TransformerTables& t, std::int64_t length, std::string_view what) {
  require<ArgumentError>(!t.positions.defined() || t.positions.size(0) >= length, "transformer_decoder: there must be a position for each ",
                         what, ": positions ", t.positions, ", asked for ", length);
}

TransformerDecoderOptions checked(TransformerDecoderOptions o) {
  require<ArgumentError>(o.lines >= 1 && o.beams >= 1 && o.max_length >= 1, "transformer_decoder: needs room for a token: lines ", o.lines,
                         ", beams ", o.beams, ", max_length ", o.max_length);
  return o;
}

}  // namespace

TransformerDecoder::TransformerDecoder(const TransformerStack<EncoderLayer>& encoder, const TransformerTables& source,
                                       const TransformerStack<DecoderLayer>& decoder, const TransformerTables& target,
                                       const TransformerDecoderOptions& options)
    : options_(checked(options)), encoder_(std::max(options.max_source, kRowsAtOnce)), program_(std::max(max_rows(), kRowsAtOnce)) {
  require<ArgumentError>(options.max_source >= 1, "transformer_decoder: needs room for a source: max_source ", options.max_source);
  check_positions(source, options.max_source, "token of a source");
  source_vocabulary_ = source.embedding.size(0);
  for (const DecoderLayer& layer : decoder.layers()) {
    caches_.push_back(cache_for(layer.self_attention(), max_rows(), options.max_length, options.cache));
    memory_caches_.push_back(cache_for(layer.cross_attention(), options.lines, options.max_source, options.cache));
  }

  LayerWriter reads(encoder_, options.weights, options.max_source);
  reads.begin(encoder, source);
  for (std::size_t i = 0; i < encoder.layers().size(); ++i) {
    const EncoderLayer& layer = encoder.layers()[i];
    reads.attention(layer.attention(), &layer.feed_forward().residual().norm(), nullptr);
    reads.feed_forward(layer.feed_forward(), norm_behind(encoder, i));
  }
  reads.end(encoder.norm());
  for (std::size_t i = 0; i < decoder.layers().size(); ++i) reads.store_memory(decoder.layers()[i].cross_attention(), memory_caches_[i]);

  LayerWriter writes(program_, options.weights, options.max_length);
  writes.begin(decoder, target);
  for (std::size_t i = 0; i < decoder.layers().size(); ++i) {
    const DecoderLayer& layer = decoder.layers()[i];
    writes.attention(layer.self_attention(), &layer.cross_attention().residual().norm(), &caches_[i]);
    writes.memory_attention(layer.cross_attention(), &layer.feed_forward().residual().norm(), memory_caches_[i]);
    writes.feed_forward(layer.feed_forward(), norm_behind(decoder, i));
  }
  writes.end(decoder.norm());
  body_ = program_.stages();
  logits_ = writes.logits(target);
  prepare(target);
}

TransformerDecoder::TransformerDecoder(const TransformerStack<EncoderLayer>& decoder, const TransformerTables& tables,
                                       const TransformerDecoderOptions& options)
    : options_(checked(options)), encoder_(0), program_(std::max(max_rows(), kRowsAtOnce)) {
  options_.max_source = 0;
  LayerWriter writes(program_, options.weights, options.max_length);
  writes.begin(decoder, tables);
  for (std::size_t i = 0; i < decoder.layers().size(); ++i) {
    const EncoderLayer& layer = decoder.layers()[i];
    caches_.push_back(cache_for(layer.attention(), max_rows(), options.max_length, options.cache));
    writes.attention(layer.attention(), &layer.feed_forward().residual().norm(), &caches_.back());
    writes.feed_forward(layer.feed_forward(), norm_behind(decoder, i));
  }
  writes.end(decoder.norm());
  body_ = program_.stages();
  logits_ = writes.logits(tables);
  prepare(tables);
}

void TransformerDecoder::prepare(const TransformerTables& target) {
  check_positions(target, options_.max_length, "token of a line");
  vocabulary_ = target.output.size(0);
  require<ArgumentError>(target.embedding.size(0) == vocabulary_,
                         "transformer_decoder: tokens read and written must be the same: embedding ", target.embedding, ", output ",
                         target.output);
  memory_size_.resize(static_cast<std::size_t>(options_.lines));
  const auto size = static_cast<std::size_t>(program_.max_rows() * options_.max_length);
  history_.resize(size);
  last_history_.resize(size);
}

std::int64_t TransformerDecoder::cache_bytes() const {
  std::int64_t bytes = 0;
  for (const std::vector<StepCache>* const caches : {&caches_, &memory_caches_})
    for (const StepCache& c : *caches) bytes += c.bytes();
  return bytes;
}

void TransformerDecoder::begin(std::span<const Line> lines) {
  for (const Line& line : lines) {
    require<ArgumentError>(line.place >= 0 && line.place < options_.lines,
                           "transformer_decoder: a line's place must be below the lines: place ", line.place, ", lines ", options_.lines);
    require<ArgumentError>(std::ssize(line.source) <= options_.max_source && line.source.empty() == (options_.max_source == 0),
                           "transformer_decoder: a source must have between 1 and max_source tokens (0: there is none): ",
                           line.source.size(), ", max_source ", options_.max_source);
    require<ArgumentError>(std::ssize(line.before) < options_.max_length,
                           "transformer_decoder: a line must have room for a token: tokens before ", line.before.size(), ", max_length ",
                           options_.max_length);
  }
  if (options_.max_source > 0) encode(lines);
  for (const Line& line : lines) prefill(line);
}

void TransformerDecoder::encode(std::span<const Line> lines) {
  for (std::size_t first = 0; first < lines.size();) {
    tokens_.clear(), positions_.clear(), slots_.clear(), line_begin_.assign(1, 0);
    std::size_t last = first;
    for (; last < lines.size() && (last == first || std::ssize(tokens_) + std::ssize(lines[last].source) <= encoder_.max_rows()); ++last) {
      const Line& line = lines[last];
      for (std::int64_t t = 0; t < std::ssize(line.source); ++t) {
        tokens_.push_back(line.source[static_cast<std::size_t>(t)]);
        positions_.push_back(t);
        slots_.push_back(static_cast<std::int32_t>(line.place));
      }
      line_begin_.push_back(std::ssize(tokens_));
      memory_size_[static_cast<std::size_t>(line.place)] = std::ssize(line.source);
    }
    encoder_.run({.tokens = tokens_, .positions = positions_, .slots = slots_, .line_begin = line_begin_});
    first = last;
  }
}

void TransformerDecoder::prefill(const Line& line) {
  for (std::int64_t first = 0; first < std::ssize(line.before); first += program_.max_rows()) {
    const auto count = std::min(std::ssize(line.before) - first, program_.max_rows());
    run_prompt(line.place, line.before.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count)), first);
  }
}

void TransformerDecoder::run_prompt(std::int64_t place, std::span<const std::int64_t> tokens, std::int64_t first) {
  const auto rows = std::ssize(tokens);
  positions_.clear();
  for (std::int64_t r = 0; r < rows; ++r) positions_.push_back(first + r);
  slots_.assign(tokens.size(), slot(place, 0));
  std::fill_n(history_.begin(), rows * options_.max_length, slot(place, 0));
  line_begin_.assign({0, rows});
  memories_.assign(1, static_cast<std::int32_t>(place));
  memory_sizes_.assign(1, memory_size_[static_cast<std::size_t>(place)]);
  run(tokens, body_);
}

void TransformerDecoder::run(std::span<const std::int64_t> tokens, std::size_t stages) {
  program_.run({.tokens = tokens,
                .positions = positions_,
                .slots = slots_,
                .history = history_,
                .history_row = options_.max_length,
                .line_begin = line_begin_,
                .memories = memories_,
                .memory_sizes = memory_sizes_},
               stages);
}

std::span<float> TransformerDecoder::step(std::span<const Row> rows) {
  tokens_.clear(), positions_.clear(), slots_.clear(), line_begin_.clear(), memories_.clear(), memory_sizes_.clear();
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const Row& row = rows[r];
    require<ArgumentError>(row.place >= 0 && row.place < options_.lines && row.position >= 0 && row.position < options_.max_length,
                           "transformer_decoder: a row must have a place and a position: row ", r, ", place ", row.place, ", position ",
                           row.position);
    const auto from = static_cast<std::size_t>(row.from);
    require<ArgumentError>(row.from == kBegin || (from < last_rows_.size() && last_rows_[from].place == row.place &&
                                                  last_rows_[from].position + 1 == row.position),
                           "transformer_decoder: a row must continue one of its line in the step before: row ", r, ", from ", row.from,
                           ", position ", row.position);
    if (r == 0 || rows[r - 1].place != row.place) {
      line_begin_.push_back(static_cast<std::int64_t>(r));
      memories_.push_back(static_cast<std::int32_t>(row.place));
      memory_sizes_.push_back(memory_size_[static_cast<std::size_t>(row.place)]);
    }
    const std::int64_t beam = static_cast<std::int64_t>(r) - line_begin_.back();
    require<ArgumentError>(beam < options_.beams, "transformer_decoder: more rows of a line than beams: line at place ", row.place,
                           ", beams ", options_.beams);
    tokens_.push_back(row.token);
    positions_.push_back(row.position);
    slots_.push_back(slot(row.place, beam));
    std::int32_t* const history = history_.data() + static_cast<std::int64_t>(r) * options_.max_length;
    if (row.from == kBegin) {
      std::fill_n(history, row.position, slot(row.place, 0));
    } else {
      std::copy_n(last_history_.data() + row.from * options_.max_length, row.position, history);
    }
    history[row.position] = slots_.back();
  }
  line_begin_.push_back(std::ssize(rows));
  run(tokens_, program_.stages());
  last_rows_.assign(rows.begin(), rows.end());
  history_.swap(last_history_);
  return {logits_.data, rows.size() * static_cast<std::size_t>(vocabulary_)};
}

}  // namespace capstan::nn
