#include "autograd/ops/recurrent.h"

#include "autograd/kernels/recurrent.h"
#include "autograd/ops/operands.h"

namespace capstan::ops {
namespace {

kernels::GruVariant variant_of(GruVariant v) {
  return v == GruVariant::reset_before ? kernels::GruVariant::reset_before : kernels::GruVariant::reset_after;
}

// The rules that all four ops share; `rank` is 2 for one step [B, G H], 3 for a sequence [B, T, G H]. Returns [B, H].
Shape check_layer(std::string_view op, std::int64_t gate_count, int rank, const Spec& gates, const Spec& weight, const Spec& bias) {
  check_floating(op, "gates", gates);
  require(weight.shape.rank() == 2 && weight.shape[0] == gate_count * weight.shape[1], op, ": weight must be [", gate_count,
          " * H, H]: weight ", weight);
  require(gates.shape.rank() == rank && gates.shape[-1] == weight.shape[0], op, ": gates must be [", rank == 2 ? "B, " : "B, T, ",
          gate_count, " * H]: gates ", gates, ", weight ", weight);
  require<DTypeError>(weight.dtype == gates.dtype, op, ": gates and weight must have one element type: gates ", gates, ", weight ", weight);
  check_vector(op, {"bias", bias}, weight.shape[0], {"weight", weight});
  return Shape{gates.shape[0], weight.shape[1]};
}

void check_state(std::string_view op, const Spec& state, const Shape& expected, const Spec& gates, bool optional) {
  if (optional && !state.present) return;
  require(state.shape == expected, op, ": a state must be [B, H] = ", expected, ": state ", state, ", gates ", gates);
  require<DTypeError>(state.dtype == gates.dtype, op, ": gates and state must have one element type: gates ", gates, ", state ", state);
}

void check_lengths(std::string_view op, const Spec& lengths, const Spec& gates) {
  if (!lengths.present) return;
  require<DTypeError>(lengths.dtype == DType::i64, op, ": lengths must be i64: lengths ", lengths);
  require(lengths.shape == Shape{gates.shape[0]}, op, ": lengths must be [B]: lengths ", lengths, ", gates ", gates);
}

Tensor check_values(std::string_view op, const Tensor& lengths, std::int64_t time) {
  if (!lengths.defined()) return {};
  const Tensor values = dense(lengths);
  for (const std::int64_t length : values.span<const std::int64_t>())
    require(length >= 0 && length <= time, op, ": lengths must lie in 0 .. T: length ", length, ", T ", time);
  return values;
}

kernels::RecurrentSizes sizes_of(const Tensor& gates, const Tensor& weight, bool reverse, const Tensor& lengths) {
  return {.batch = gates.size(0),
          .time = gates.rank() == 2 ? 1 : gates.size(1),
          .hidden = weight.size(1),
          .reverse = reverse,
          .lengths = pointer<const std::int64_t>(lengths)};
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
    kernels::gru_forward(kernels::GruForward<T>{.sizes = sizes_of(gates, weight, reverse, lengths),
                                                .variant = variant_of(variant),
                                                .input = pointer<const T>(gates),
                                                .h0 = pointer<const T>(state),
                                                .weight = pointer<const T>(weight),
                                                .bias = pointer<const T>(bias),
                                                .y = pointer<T>(r.y),
                                                .last = pointer<T>(r.last),
                                                .gates = pointer<T>(r.activations),
                                                .previous = pointer<T>(r.previous)});
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
  GruGradients g{Tensor(last_axis(activations, 3 * hidden), type), new_if(state, {Shape{activations.size(0), hidden}, type}),
                 new_if(dweight, {weight.shape(), type}), new_if(dbias, {Shape{3 * hidden}, type})};
  with_compute_type(type, [&](auto zero) {
    using T = decltype(zero);
    kernels::gru_backward(kernels::GruBackward<T>{.sizes = sizes_of(activations, weight, reverse, lengths),
                                                  .variant = variant_of(variant),
                                                  .weight = pointer<const T>(weight),
                                                  .gates = pointer<const T>(activations),
                                                  .previous = pointer<const T>(previous),
                                                  .dy = pointer<const T>(dy),
                                                  .dlast = pointer<const T>(dlast),
                                                  .dinput = pointer<T>(g.gates),
                                                  .dh0 = pointer<T>(g.state),
                                                  .dweight = pointer<T>(g.weight),
                                                  .dbias = pointer<T>(g.bias)});
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
  LstmResult r{Tensor(steps, type),         Tensor(state, type), Tensor(state, type),
               Tensor(gates.shape(), type), Tensor(steps, type), Tensor(steps, type)};
  with_compute_type(type, [&](auto zero) {
    using T = decltype(zero);
    kernels::lstm_forward(kernels::LstmForward<T>{.sizes = sizes_of(gates, weight, reverse, lengths),
                                                  .input = pointer<const T>(gates),
                                                  .h0 = pointer<const T>(h),
                                                  .c0 = pointer<const T>(c),
                                                  .weight = pointer<const T>(weight),
                                                  .bias = pointer<const T>(bias),
                                                  .y = pointer<T>(r.y),
                                                  .last_h = pointer<T>(r.h),
                                                  .last_c = pointer<T>(r.c),
                                                  .gates = pointer<T>(r.activations),
                                                  .previous_h = pointer<T>(r.previous_h),
                                                  .previous_c = pointer<T>(r.previous_c)});
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
LstmGradients run_lstm_backward(bool reverse, const LstmSaved& saved, const Tensor& dy, const Tensor& dh, const Tensor& dc,
                                std::span<const bool> needs) {
  const std::int64_t hidden = saved.weight.size(1);
  const DType type = saved.weight.dtype();
  const Shape state{saved.activations.size(0), hidden};
  LstmGradients g{Tensor(saved.activations.shape(), type), new_if(needs[1], {state, type}), new_if(needs[2], {state, type}),
                  new_if(needs[3], {saved.weight.shape(), type}), new_if(needs[4], {Shape{4 * hidden}, type})};
  with_compute_type(type, [&](auto zero) {
    using T = decltype(zero);
    kernels::lstm_backward(kernels::LstmBackward<T>{.sizes = sizes_of(saved.activations, saved.weight, reverse, saved.lengths),
                                                    .weight = pointer<const T>(saved.weight),
                                                    .gates = pointer<const T>(saved.activations),
                                                    .previous_h = pointer<const T>(saved.previous_h),
                                                    .previous_c = pointer<const T>(saved.previous_c),
                                                    .dy = pointer<const T>(dy),
                                                    .dlast_h = pointer<const T>(dh),
                                                    .dlast_c = pointer<const T>(dc),
                                                    .dinput = pointer<T>(g.gates),
                                                    .dh0 = pointer<T>(g.h),
                                                    .dc0 = pointer<T>(g.c),
                                                    .dweight = pointer<T>(g.weight),
                                                    .dbias = pointer<T>(g.bias)});
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

Tensor GruCell::forward(const Args& args, const Tensor& gates, const Tensor& state, const Tensor& weight, const Tensor& bias,
                        const Call<4>& call, Saved& saved) {
  const Tensor h = widened(state), w = widened(weight);
  const GruResult r = run_gru(args.variant, false, widened(gates), h, w, widened(bias), {});
  if (call.records()) saved = {h, w, r.activations};
  return converted(r.y, gates.dtype());
}

// With a = h W^T + b and the activations r, z, n of the step (s' = s (1 - s), tanh' = 1 - n^2):
//   reset_after:  dn = dy (1 - z) (1 - n^2), dz = dy (h - n) z', dr = dn a_n r';  da = [dr, dz, dn r];            dh = dy z + da W
//   reset_before: dn = dy z (1 - n^2), dz = dy (n - h) z', u = dn W_n, dr = u h r'; da = [dr, dz] for h, dn for r h; dh = dy (1 - z) + u r
//   + da W
// The gradient of gates is [dr, dz, dn]; of W the product of da with its source; of b the sum of da over the batch.
Grads<4> GruCell::backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<4> needs) {
  const GruGradients g = run_gru_backward(args.variant, false, saved.weight, {}, saved.activations, saved.state, widened(dy), {}, needs[1],
                                          needs[2], needs[3]);
  return {g.gates, g.state, g.weight, g.bias};
}

// ---- GRU, sequence

std::array<Spec, 2> Gru::spec(const Args&, const Spec& gates, const Spec& state, const Spec& weight, const Spec& bias,
                              const Spec& lengths) {
  const Shape last = check_layer(name, 3, 3, gates, weight, bias);
  check_state(name, state, last, gates, true);
  check_lengths(name, lengths, gates);
  return {Spec{gates.shape.with(-1, last[1]), gates.dtype}, Spec{last, gates.dtype}};
}

std::array<Tensor, 2> Gru::forward(const Args& args, const Tensor& gates, const Tensor& state, const Tensor& weight, const Tensor& bias,
                                   const Tensor& lengths, const Call<5, std::array<Spec, 2>>& call, Saved& saved) {
  const Tensor w = widened(weight), ends = check_values(name, lengths, gates.size(1));
  const GruResult r = run_gru(args.variant, args.reverse, widened(gates), widened(state), w, widened(bias), ends);
  if (call.records()) saved = {w, ends, r.activations, r.previous};
  return {converted(r.y, gates.dtype()), converted(r.last, gates.dtype())};
}

// The step's backward (above), run against the order of the steps: dh of a step is dy there plus what the later step returned.
Grads<5> Gru::backward(const Args& args, const Saved& saved, const std::array<Tensor, 2>& dy, Needs<5> needs) {
  const Tensor dsteps = widened(or_zeros(dy[0], saved.previous.spec()));
  const GruGradients g = run_gru_backward(args.variant, args.reverse, saved.weight, saved.lengths, saved.activations, saved.previous,
                                          dsteps, widened(dy[1]), needs[1], needs[2], needs[3]);
  return {g.gates, g.state, g.weight, g.bias, {}};
}

// ---- LSTM, one step

std::array<Spec, 2> LstmCell::spec(const Args&, const Spec& gates, const Spec& h, const Spec& c, const Spec& weight, const Spec& bias) {
  const Shape out = check_layer(name, 4, 2, gates, weight, bias);
  check_state(name, h, out, gates, false);
  check_state(name, c, out, gates, false);
  return {Spec{out, gates.dtype}, Spec{out, gates.dtype}};
}

std::array<Tensor, 2> LstmCell::forward(const Args&, const Tensor& gates, const Tensor& h, const Tensor& c, const Tensor& weight,
                                        const Tensor& bias, const Call<5, std::array<Spec, 2>>& call, Saved& saved) {
  const Tensor w = widened(weight);
  const LstmResult r = run_lstm(false, widened(gates), widened(h), widened(c), w, widened(bias), {});
  if (call.records()) saved = {w, r.activations, r.previous_h, r.previous_c};
  return {converted(r.h, gates.dtype()), converted(r.c, gates.dtype())};
}

// With c' = f c + i g, h' = o tanh(c'): e = dc' + dh' o (1 - tanh^2 c'); di = e g i', df = e c f', dg = e i (1 - g^2), do = dh' tanh(c')
// o'; dc = e f; dh = [di, df, dg, do] W, and W and b as in the GRU.
Grads<5> LstmCell::backward(const Args&, const Saved& saved, const std::array<Tensor, 2>& dy, Needs<5> needs) {
  const Tensor dh = widened(or_zeros(dy[0], saved.previous_h.spec()));
  const LstmGradients g =
      run_lstm_backward(false, {saved.weight, {}, saved.activations, saved.previous_h, saved.previous_c}, dh, {}, widened(dy[1]), needs);
  return {g.gates, g.h, g.c, g.weight, g.bias};
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
                                    const Tensor& bias, const Tensor& lengths, const Call<6, std::array<Spec, 3>>& call, Saved& saved) {
  const Tensor w = widened(weight), ends = check_values(name, lengths, gates.size(1));
  const LstmResult r = run_lstm(args.reverse, widened(gates), widened(h), widened(c), w, widened(bias), ends);
  if (call.records()) saved = {w, ends, r.activations, r.previous_h, r.previous_c};
  const DType type = gates.dtype();
  return {converted(r.y, type), converted(r.h, type), converted(r.c, type)};
}

// The step's backward (above), run against the order of the steps.
Grads<6> Lstm::backward(const Args& args, const Saved& saved, const std::array<Tensor, 3>& dy, Needs<6> needs) {
  const Tensor dsteps = widened(or_zeros(dy[0], saved.previous_h.spec()));
  const LstmGradients g =
      run_lstm_backward(args.reverse, {saved.weight, saved.lengths, saved.activations, saved.previous_h, saved.previous_c}, dsteps,
                        widened(dy[1]), widened(dy[2]), needs);
  return {g.gates, g.h, g.c, g.weight, g.bias, {}};
}

}  // namespace capstan::ops
