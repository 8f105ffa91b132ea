#include "autograd/ops/recurrent.h"

#include "autograd/ops/compute_type.h"

namespace capstan {
namespace {

using detail::converted;
using detail::input_pointer;
using detail::narrowed;
using detail::output_pointer;
using detail::widened;
using detail::with_compute_type;

bool absent(const Spec& s) { return s.shape.rank() == 0; }

// The rules that all four ops share; `rank` is 2 for one step [B, G H], 3 for a sequence [B, T, G H]. Returns [B, H].
Shape check_layer(std::string_view op, std::int64_t gate_count, int rank, const Spec& gates, const Spec& weight, const Spec& bias) {
  require<DTypeError>(is_floating(gates.dtype), op, ": gates must be of a floating type: gates ", gates);
  require(weight.shape.rank() == 2 && weight.shape[0] == gate_count * weight.shape[1], op, ": weight must be [", gate_count,
          " * H, H]: weight ", weight);
  require(gates.shape.rank() == rank && gates.shape[-1] == weight.shape[0], op, ": gates must be [", rank == 2 ? "B, " : "B, T, ",
          gate_count, " * H]: gates ", gates, ", weight ", weight);
  require(absent(bias) || bias.shape == Shape{weight.shape[0]}, op, ": bias must be [", gate_count, " * H]: bias ", bias, ", weight ", weight);
  require<DTypeError>(weight.dtype == gates.dtype && (absent(bias) || bias.dtype == gates.dtype), op,
                      ": gates, weight and bias must have one element type: gates ", gates, ", weight ", weight, ", bias ", bias);
  return Shape{gates.shape[0], weight.shape[1]};
}

void check_state(std::string_view op, const Spec& state, const Shape& expected, const Spec& gates, bool optional) {
  if (optional && absent(state)) return;
  require(state.shape == expected, op, ": a state must be [B, H] = ", expected, ": state ", state, ", gates ", gates);
  require<DTypeError>(state.dtype == gates.dtype, op, ": gates and state must have one element type: gates ", gates, ", state ", state);
}

void check_lengths(std::string_view op, const Spec& lengths, const Spec& gates) {
  if (absent(lengths)) return;
  require<DTypeError>(lengths.dtype == DType::i64, op, ": lengths must be i64: lengths ", lengths);
  require(lengths.shape == Shape{gates.shape[0]}, op, ": lengths must be [B]: lengths ", lengths, ", gates ", gates);
}

Tensor check_values(std::string_view op, const Tensor& lengths, std::int64_t time) {
  if (!lengths.defined()) return {};
  const Tensor dense = lengths.contiguous();
  for (const std::int64_t length : dense.span<const std::int64_t>())
    require(length >= 0 && length <= time, op, ": lengths must lie in 0 .. T: length ", length, ", T ", time);
  return dense;
}

Tensor wanted(bool needed, const Shape& shape, DType dtype) { return needed ? Tensor(shape, dtype) : Tensor{}; }

kernels::RecurrentSizes sizes_of(const Tensor& gates, const Tensor& weight, bool reverse, const Tensor& lengths) {
  return {.batch = gates.size(0), .time = gates.rank() == 2 ? 1 : gates.size(1), .hidden = weight.size(1), .reverse = reverse,
          .lengths = input_pointer<std::int64_t>(lengths)};
}

// [..., 3H] -> [..., H] and the like
Shape last_axis(const Tensor& t, std::int64_t size) { return t.shape().with(-1, size); }

// ---- what the step and the sequence share

struct GruResult {
  Tensor y, last, activations, previous;
};

GruResult run_gru(GruVariant variant, bool reverse, const Tensor& gates, const Tensor& state, const Tensor& weight, const Tensor& bias,
                  const Tensor& lengths) {
  const bool sequence = gates.rank() == 3;
  const std::int64_t hidden = weight.size(1);
  const DType type = gates.dtype();
  GruResult r{Tensor(last_axis(gates, hidden), type), sequence ? Tensor(Shape{gates.size(0), hidden}, type) : Tensor{},
              Tensor(last_axis(gates, 4 * hidden), type), sequence ? Tensor(last_axis(gates, hidden), type) : Tensor{}};
  with_compute_type(type, [&](auto zero) {
    using T = decltype(zero);
    kernels::gru_forward(kernels::GruForward<T>{.sizes = sizes_of(gates, weight, reverse, lengths), .variant = variant,
                                                .input = input_pointer<T>(gates), .h0 = input_pointer<T>(state), .weight = input_pointer<T>(weight),
                                                .bias = input_pointer<T>(bias), .y = output_pointer<T>(r.y), .last = output_pointer<T>(r.last),
                                                .gates = output_pointer<T>(r.activations), .previous = output_pointer<T>(r.previous)});
  });
  return r;
}

struct GruGradients {
  Tensor gates, state, weight, bias;
};

GruGradients run_gru_backward(GruVariant variant, bool reverse, const Tensor& weight, const Tensor& lengths, const Tensor& activations,
                              const Tensor& previous, const Tensor& dy, const Tensor& dlast, bool state, bool dweight, bool dbias) {
  const std::int64_t hidden = weight.size(1);
  const DType type = weight.dtype();
  GruGradients g{Tensor(last_axis(activations, 3 * hidden), type), wanted(state, Shape{activations.size(0), hidden}, type),
                 wanted(dweight, weight.shape(), type), wanted(dbias, Shape{3 * hidden}, type)};
  with_compute_type(type, [&](auto zero) {
    using T = decltype(zero);
    kernels::gru_backward(kernels::GruBackward<T>{.sizes = sizes_of(activations, weight, reverse, lengths), .variant = variant,
                                                  .weight = input_pointer<T>(weight), .gates = input_pointer<T>(activations),
                                                  .previous = input_pointer<T>(previous), .dy = input_pointer<T>(dy), .dlast = input_pointer<T>(dlast),
                                                  .dinput = output_pointer<T>(g.gates), .dh0 = output_pointer<T>(g.state),
                                                  .dweight = output_pointer<T>(g.weight), .dbias = output_pointer<T>(g.bias)});
  });
  return g;
}

struct LstmResult {
  Tensor y, h, c, activations, previous_h, previous_c;
};

LstmResult run_lstm(bool reverse, const Tensor& gates, const Tensor& h, const Tensor& c, const Tensor& weight, const Tensor& bias,
                    const Tensor& lengths) {
  const std::int64_t hidden = weight.size(1);
  const DType type = gates.dtype();
  const Shape steps = last_axis(gates, hidden), state{gates.size(0), hidden};
  LstmResult r{Tensor(steps, type), Tensor(state, type), Tensor(state, type), Tensor(gates.shape(), type), Tensor(steps, type), Tensor(steps, type)};
  with_compute_type(type, [&](auto zero) {
    using T = decltype(zero);
    kernels::lstm_forward(kernels::LstmForward<T>{.sizes = sizes_of(gates, weight, reverse, lengths), .input = input_pointer<T>(gates),
                                                  .h0 = input_pointer<T>(h), .c0 = input_pointer<T>(c), .weight = input_pointer<T>(weight),
                                                  .bias = input_pointer<T>(bias), .y = output_pointer<T>(r.y), .last_h = output_pointer<T>(r.h),
                                                  .last_c = output_pointer<T>(r.c), .gates = output_pointer<T>(r.activations),
                                                  .previous_h = output_pointer<T>(r.previous_h), .previous_c = output_pointer<T>(r.previous_c)});
  });
  return r;
}

struct LstmSaved {
  Tensor weight, lengths, activations, previous_h, previous_c;
};
struct LstmGradients {
  Tensor gates, h, c, weight, bias;
};

// needs: gates, h, c, weight, bias
LstmGradients run_lstm_backward(bool reverse, const LstmSaved& saved, const Tensor& dy, const Tensor& dh, const Tensor& dc, std::span<const bool> needs) {
  const std::int64_t hidden = saved.weight.size(1);
  const DType type = saved.weight.dtype();
  const Shape state{saved.activations.size(0), hidden};
  LstmGradients g{Tensor(saved.activations.shape(), type), wanted(needs[1], state, type), wanted(needs[2], state, type),
                  wanted(needs[3], saved.weight.shape(), type), wanted(needs[4], Shape{4 * hidden}, type)};
  with_compute_type(type, [&](auto zero) {
    using T = decltype(zero);
    kernels::lstm_backward(kernels::LstmBackward<T>{.sizes = sizes_of(saved.activations, saved.weight, reverse, saved.lengths),
                                                    .weight = input_pointer<T>(saved.weight), .gates = input_pointer<T>(saved.activations),
                                                    .previous_h = input_pointer<T>(saved.previous_h), .previous_c = input_pointer<T>(saved.previous_c),
                                                    .dy = input_pointer<T>(dy), .dlast_h = input_pointer<T>(dh), .dlast_c = input_pointer<T>(dc),
                                                    .dinput = output_pointer<T>(g.gates), .dh0 = output_pointer<T>(g.h), .dc0 = output_pointer<T>(g.c),
                                                    .dweight = output_pointer<T>(g.weight), .dbias = output_pointer<T>(g.bias)});
  });
  return g;
}

}  // namespace

// ---- GRU, one step

Spec GruCell::spec(const Args&, const Spec& gates, const Spec& state, const Spec& weight, const Spec& bias) {
  const Shape out = check_layer(name, 3, 2, gates, weight, bias);
  check_state(name, state, out, gates, false);
  return {out, gates.dtype};
}

Tensor GruCell::forward(const Args& args, const Tensor& gates, const Tensor& state, const Tensor& weight, const Tensor& bias, Saved& saved) {
  saved.state = widened(state);
  saved.weight = widened(weight);
  GruResult r = run_gru(args.variant, false, widened(gates), saved.state, saved.weight, widened(bias), {});
  saved.activations = std::move(r.activations);
  return converted(r.y, gates.dtype());
}

// With a = h W^T + b and the activations r, z, n of the step (s' = s (1 - s), tanh' = 1 - n^2):
//   reset_after:  dn = dy (1 - z) (1 - n^2), dz = dy (h - n) z', dr = dn a_n r';  da = [dr, dz, dn r];            dh = dy z + da W
//   reset_before: dn = dy z (1 - n^2), dz = dy (n - h) z', u = dn W_n, dr = u h r'; da = [dr, dz] for h, dn for r h; dh = dy (1 - z) + u r + da W
// The gradient of gates is [dr, dz, dn]; of W the product of da with its source; of b the sum of da over the batch.
Grads<4> GruCell::backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<4> needs) {
  const GruGradients g = run_gru_backward(args.variant, false, saved.weight, {}, saved.activations, saved.state, widened(dy), {}, needs[1],
                                          needs[2], needs[3]);
  const DType type = dy.dtype();
  return {narrowed(g.gates, type), narrowed(g.state, type), narrowed(g.weight, type), narrowed(g.bias, type)};
}

// ---- GRU, sequence

std::array<Spec, 2> Gru::spec(const Args&, const Spec& gates, const Spec& state, const Spec& weight, const Spec& bias, const Spec& lengths) {
  const Shape last = check_layer(name, 3, 3, gates, weight, bias);
  check_state(name, state, last, gates, true);
  check_lengths(name, lengths, gates);
  return {Spec{gates.shape.with(-1, last[1]), gates.dtype}, Spec{last, gates.dtype}};
}

std::array<Tensor, 2> Gru::forward(const Args& args, const Tensor& gates, const Tensor& state, const Tensor& weight, const Tensor& bias,
                                   const Tensor& lengths, Saved& saved) {
  saved.weight = widened(weight);
  saved.lengths = check_values(name, lengths, gates.size(1));
  GruResult r = run_gru(args.variant, args.reverse, widened(gates), widened(state), saved.weight, widened(bias), saved.lengths);
  saved.activations = std::move(r.activations);
  saved.previous = std::move(r.previous);
  return {converted(r.y, gates.dtype()), converted(r.last, gates.dtype())};
}

// The step's backward (above), walked against the order of the steps: dh of a step is dy there plus what the later step returned.
Grads<5> Gru::backward(const Args& args, const Saved& saved, const std::array<Tensor, 2>& dy, Needs<5> needs) {
  const GruGradients g = run_gru_backward(args.variant, args.reverse, saved.weight, saved.lengths, saved.activations, saved.previous,
                                          widened(dy[0]), widened(dy[1]), needs[1], needs[2], needs[3]);
  const DType type = dy[0].dtype();
  return {narrowed(g.gates, type), narrowed(g.state, type), narrowed(g.weight, type), narrowed(g.bias, type), Gradient{}};
}

// ---- LSTM, one step

std::array<Spec, 2> LstmCell::spec(const Args&, const Spec& gates, const Spec& h, const Spec& c, const Spec& weight, const Spec& bias) {
  const Shape out = check_layer(name, 4, 2, gates, weight, bias);
  check_state(name, h, out, gates, false);
  check_state(name, c, out, gates, false);
  return {Spec{out, gates.dtype}, Spec{out, gates.dtype}};
}

std::array<Tensor, 2> LstmCell::forward(const Args&, const Tensor& gates, const Tensor& h, const Tensor& c, const Tensor& weight,
                                        const Tensor& bias, Saved& saved) {
  saved.weight = widened(weight);
  LstmResult r = run_lstm(false, widened(gates), widened(h), widened(c), saved.weight, widened(bias), {});
  saved.activations = std::move(r.activations);
  saved.previous_h = std::move(r.previous_h);
  saved.previous_c = std::move(r.previous_c);
  return {converted(r.h, gates.dtype()), converted(r.c, gates.dtype())};
}

// With c' = f c + i g, h' = o tanh(c'): e = dc' + dh' o (1 - tanh^2 c'); di = e g i', df = e c f', dg = e i (1 - g^2), do = dh' tanh(c') o';
// dc = e f; dh = [di, df, dg, do] W, and W and b as in the GRU.
Grads<5> LstmCell::backward(const Args&, const Saved& saved, const std::array<Tensor, 2>& dy, Needs<5> needs) {
  const LstmGradients g = run_lstm_backward(false, {saved.weight, {}, saved.activations, saved.previous_h, saved.previous_c}, widened(dy[0]), {},
                                            widened(dy[1]), needs);
  const DType type = dy[0].dtype();
  return {narrowed(g.gates, type), narrowed(g.h, type), narrowed(g.c, type), narrowed(g.weight, type), narrowed(g.bias, type)};
}

// ---- LSTM, sequence

std::array<Spec, 3> Lstm::spec(const Args&, const Spec& gates, const Spec& h, const Spec& c, const Spec& weight, const Spec& bias,
                               const Spec& lengths) {
  const Shape last = check_layer(name, 4, 3, gates, weight, bias);
  check_state(name, h, last, gates, true);
  check_state(name, c, last, gates, true);
  check_lengths(name, lengths, gates);
  return {Spec{gates.shape.with(-1, last[1]), gates.dtype}, Spec{last, gates.dtype}, Spec{last, gates.dtype}};
}

std::array<Tensor, 3> Lstm::forward(const Args& args, const Tensor& gates, const Tensor& h, const Tensor& c, const Tensor& weight,
                                    const Tensor& bias, const Tensor& lengths, Saved& saved) {
  saved.weight = widened(weight);
  saved.lengths = check_values(name, lengths, gates.size(1));
  LstmResult r = run_lstm(args.reverse, widened(gates), widened(h), widened(c), saved.weight, widened(bias), saved.lengths);
  saved.activations = std::move(r.activations);
  saved.previous_h = std::move(r.previous_h);
  saved.previous_c = std::move(r.previous_c);
  const DType type = gates.dtype();
  return {converted(r.y, type), converted(r.h, type), converted(r.c, type)};
}

// The step's backward (above), walked against the order of the steps.
Grads<6> Lstm::backward(const Args& args, const Saved& saved, const std::array<Tensor, 3>& dy, Needs<6> needs) {
  const LstmGradients g = run_lstm_backward(args.reverse, {saved.weight, saved.lengths, saved.activations, saved.previous_h, saved.previous_c},
                                            widened(dy[0]), widened(dy[1]), widened(dy[2]), needs);
  const DType type = dy[0].dtype();
  return {narrowed(g.gates, type), narrowed(g.h, type), narrowed(g.c, type), narrowed(g.weight, type), narrowed(g.bias, type), Gradient{}};
}

}  // namespace capstan
