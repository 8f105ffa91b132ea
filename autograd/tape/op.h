#pragma once
// The concept Op and apply<Op>: how an operation is written, and the only way it is run.
//
// An op is one struct (see ops/ for many):
//
//     struct Softmax {
//       static constexpr std::string_view name = "softmax";
//       struct Args  { int axis; };                                         // numbers and options, never a tensor
//       struct Saved { Tensor y; };                                         // exactly what backward reads
//       static Spec   spec    (const Args&, const Spec& x);                 // every check, every message; the output's type
//       static Tensor forward (const Args&, const Tensor& x, const Call<1>& call, Saved&);
//       static Grads<1> backward(const Args&, const Saved&, const Tensor& dy, Needs<1>);
//     };
//
// apply runs spec, then forward, then records; so nobody can forget to record, and a fused kernel cannot cut the graph. forward gets
// constants, the checked output spec (call.out) and which gradients backward will be asked for (call.needs); it fills Saved and computes
// what only backward reads if call.records(), and returns what call.out announces.
//
// Variations, all read off the signatures:
//   several outputs     spec returns std::array<Spec, K>, forward std::array<Tensor, K> and takes Call<N, std::array<Spec, K>>; backward
//                       gets const std::array<Tensor, K>& dy, undefined where nothing arrived. As many as the call makes: std::vector,
//                       and backward gets std::span<const Tensor> dy
//   a list of inputs    spec, forward take std::span<const Spec>, std::span<const Tensor> and ListCall; backward takes
//                       const std::vector<bool>& needs and returns std::vector<Gradient>
//   optional inputs     an undefined Tensor is passed on as it is; its Spec says so (Spec::present), and its Needs is false
//   constant inputs     floating inputs without a derivative are listed: `static constexpr std::array constants{ConstantInput{1, "w"}};`.
//                       A recorded value passed there is an error
//   any form of dy      a backward that takes const Gradient& dy gets rows, slices and wider numbers as they are; one that takes a Tensor
//                       gets it dense and in the output's type
//   rows picked         an op that reads only some rows of its first operand says `static constexpr bool picks_rows = true;`, for profiles
//   no derivative       `static constexpr bool differentiable = false;` and no Saved, no backward; forward(args, inputs..., const
//                       Spec& out). The result is a constant
// An op that has no backward and does not say so does not compile.

#include <array>
#include <concepts>
#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "autograd/core/gradient.h"
#include "autograd/core/profile.h"
#include "autograd/core/tensor.h"
#include "autograd/tape/tape.h"

namespace capstan {

/// Gradients of the N inputs of an op; leave out (default Gradient) what is not needed.
template <std::size_t N>
using Grads = std::array<Gradient, N>;
/// needs[i]: the gradient of input i is wanted.
template <std::size_t N>
using Needs = std::array<bool, N>;

/// What forward is told beside its operands. Out is what spec returned.
template <class Out, class NeedsOfInputs>
struct BasicCall {
  const Out& out;       ///< of what forward must return
  NeedsOfInputs needs;  ///< the gradients that backward will be asked for

  /// backward will be asked for something.
  bool records() const {
    for (const bool need : needs)
      if (need) return true;
    return false;
  }
};
template <std::size_t N, class Out = Spec>
using Call = BasicCall<Out, Needs<N>>;
template <class Out = Spec>
using ListCall = BasicCall<Out, std::vector<bool>>;

/// A floating input that has no derivative.
struct ConstantInput {
  std::size_t index;
  std::string_view name;
};

namespace detail {

template <class O>
constexpr bool is_differentiable() {
  if constexpr (requires { O::differentiable; }) return O::differentiable;
  return true;
}

// Whether a member of the aggregate A is a Tensor: is there a place i such that A{anything..., a thing that only becomes a Tensor} works?
struct Anything {
  template <class T>
  operator T() const;
};
struct OnlyTensor {
  operator Tensor() const;
};
template <class A, std::size_t... Before>
constexpr bool tensor_at(std::index_sequence<Before...>) {
  return requires { A{(static_cast<void>(Before), Anything{})..., OnlyTensor{}}; };
}
template <class A, std::size_t... Place>
constexpr bool any_tensor(std::index_sequence<Place...>) {
  return (tensor_at<A>(std::make_index_sequence<Place>()) || ...);
}
template <class A>
constexpr bool holds_tensor() {
  constexpr std::size_t kMostMembers = 16;
  return std::is_aggregate_v<A> && any_tensor<A>(std::make_index_sequence<kMostMembers>());
}

// The parameter of backward that receives the outputs' gradients.
template <class R, class A, class S, class Dy, class N>
std::remove_cvref_t<Dy> gradient_parameter(R (*)(const A&, const S&, Dy, N));

}  // namespace detail

/// What backward needs, or the word that there is no derivative.
template <class O>
concept Differentiable = !detail::is_differentiable<O>() || requires {
  typename O::Saved;
  &O::backward;
};

template <class O>
concept Op = Differentiable<O> && !detail::holds_tensor<typename O::Args>() && requires {
  { O::name } -> std::convertible_to<std::string_view>;
  &O::spec;
  &O::forward;
};

namespace detail {

template <class O>
constexpr bool checked() {
  static_assert(Differentiable<O>, "an op needs a backward (and what it reads, Saved), or must say `differentiable = false`");
  static_assert(!holds_tensor<typename O::Args>(), "Args hold no tensor: make it an input, or the graph is cut without a word");
  static_assert(Op<O>, "an op has name, Args, spec and forward");
  return true;
}

// One output and several are handled alike from here on.
inline std::span<const Spec> specs_of(const Spec& s) { return {&s, 1}; }
inline std::span<const Spec> specs_of(std::span<const Spec> s) { return s; }
inline std::span<Tensor> outputs_of(Tensor& t) { return {&t, 1}; }
inline std::span<Tensor> outputs_of(std::span<Tensor> t) { return t; }

template <class O>
void check_outputs(std::span<const Spec> expected, std::span<const Tensor> outputs) {
  require<InternalError>(expected.size() == outputs.size(), O::name, ": forward must return what spec announces: announced ",
                         expected.size(), " outputs, returned ", outputs.size());
  for (std::size_t i = 0; i < expected.size(); ++i)
    require<InternalError>(outputs[i].spec() == expected[i], O::name, ": forward must return what spec announces: announced ", expected[i],
                           ", returned ", outputs[i]);
}

/// The gradient of an output as a tensor of the output's type; undefined if there is none.
Tensor as_output(const Gradient& dy, const Spec& output);

/// Tells a profile of the bytes that a recorded or plain operation moves: operands in and results out, once each. A result that lies in an
/// operand's memory moves nothing, and of a first operand whose rows are picked as much as there is in the results. Returns those of the
/// operands.
double profile_operands(std::span<const Tensor* const> inputs, std::span<const Tensor> outputs, bool picks_rows);

template <class O>
constexpr bool picks_rows() {
  if constexpr (requires { O::picks_rows; }) return O::picks_rows;
  return false;
}

/// The slots of the operands, -1 for constants. Throws GraphError if a constant input is recorded.
std::vector<std::int64_t> slots_of(Tape* tape, std::string_view op, std::span<const Tensor* const> inputs,
                                   std::span<const ConstantInput> constants);

template <class O>
std::span<const ConstantInput> constants_of() {
  if constexpr (requires { O::constants; }) return O::constants;
  return {};
}

template <class O, class Out, class NeedsOfInputs>
class EntryOf final : public Tape::Entry {
 public:
  EntryOf(const typename O::Args& args, typename O::Saved saved, const Out& out) : args_(args), saved_(std::move(saved)), out_(out) {}

  std::string_view name() const override { return O::name; }

  std::vector<Gradient> backward(std::span<Gradient> dy, const std::vector<bool>& needs) override {
    using Parameter = decltype(gradient_parameter(&O::backward));
    const std::span<const Spec> out = specs_of(out_);
    if constexpr (std::is_same_v<Parameter, Gradient>) {
      return run(dy[0], needs);
    } else if constexpr (std::is_same_v<Parameter, Tensor>) {
      const Tensor dense = as_output(std::exchange(dy[0], Gradient{}), out[0]);
      return run(dense, needs);
    } else if constexpr (std::is_same_v<Parameter, std::span<const Tensor>>) {
      std::vector<Tensor> dense;
      for (std::size_t i = 0; i < dy.size(); ++i) dense.push_back(as_output(std::exchange(dy[i], Gradient{}), out[i]));
      return run(std::span<const Tensor>(dense), needs);
    } else {
      Parameter dense;
      for (std::size_t i = 0; i < dense.size(); ++i) dense[i] = as_output(std::exchange(dy[i], Gradient{}), out[i]);
      return run(dense, needs);
    }
  }

 private:
  template <class Dy>
  std::vector<Gradient> run(const Dy& dy, const std::vector<bool>& needs) {
    if constexpr (std::is_same_v<NeedsOfInputs, std::vector<bool>>) {
      return O::backward(args_, saved_, dy, needs);
    } else {
      NeedsOfInputs wanted{};
      for (std::size_t i = 0; i < wanted.size(); ++i) wanted[i] = needs[i];
      auto grads = O::backward(args_, saved_, dy, wanted);
      return {std::make_move_iterator(grads.begin()), std::make_move_iterator(grads.end())};
    }
  }

  typename O::Args args_;
  typename O::Saved saved_;
  Out out_;
};

// forward and record, for operands given one by one (`call_forward` passes them on) or as a list.
template <class O, class NeedsOfInputs, class Out, class Forward>
auto run_and_record(const typename O::Args& args, const Out& out, std::span<const Tensor* const> inputs, NeedsOfInputs needs,
                    const Forward& call_forward) {
  Tape* const tape = Tape::recording();
  std::vector<std::int64_t> slots = slots_of(tape, O::name, inputs, constants_of<O>());
  for (std::size_t i = 0; i < slots.size(); ++i) needs[i] = slots[i] >= 0;
  const BasicCall<Out, NeedsOfInputs> call{out, std::move(needs)};
  typename O::Saved saved{};
  auto result = call_forward(call, saved);
  check_outputs<O>(specs_of(out), outputs_of(result));
  const double bytes = profile::is_recording() ? profile_operands(inputs, outputs_of(result), picks_rows<O>()) : 0;
  if (call.records())
    tape->record(std::make_unique<EntryOf<O, Out, NeedsOfInputs>>(args, std::move(saved), out), std::move(slots), outputs_of(result),
                 bytes);
  return result;
}

}  // namespace detail

/// Runs an op with a fixed number of inputs. Constants in, constant out; the tape learns of it if any input stands on it.
template <class O, std::same_as<Tensor>... In>
auto apply(const typename O::Args& args, const In&... in) {
  static_assert(detail::checked<O>());
  const profile::Scope scope(O::name, profile::Kind::operation);
  const auto out = O::spec(args, in.spec()...);
  const std::array<const Tensor*, sizeof...(In)> inputs{&in...};
  if constexpr (!detail::is_differentiable<O>()) {
    auto result = O::forward(args, in.detach()..., out);
    detail::check_outputs<O>(detail::specs_of(out), detail::outputs_of(result));
    if (profile::is_recording()) detail::profile_operands(inputs, detail::outputs_of(result), detail::picks_rows<O>());
    return result;
  } else {
    return detail::run_and_record<O>(args, out, inputs, Needs<sizeof...(In)>{},
                                     [&](const auto& call, auto& saved) { return O::forward(args, in.detach()..., call, saved); });
  }
}

/// Runs an op on a list of inputs.
template <class O>
auto apply(const typename O::Args& args, std::span<const Tensor> in) {
  static_assert(detail::checked<O>());
  const profile::Scope scope(O::name, profile::Kind::operation);
  std::vector<Spec> specs;
  std::vector<Tensor> constants;
  std::vector<const Tensor*> inputs;
  for (const Tensor& t : in) {
    specs.push_back(t.spec());
    constants.push_back(t.detach());
    inputs.push_back(&t);
  }
  const auto out = O::spec(args, std::span<const Spec>(specs));
  return detail::run_and_record<O>(args, out, inputs, std::vector<bool>(in.size()), [&](const auto& call, auto& saved) {
    return O::forward(args, std::span<const Tensor>(constants), call, saved);
  });
}

/// Names a list of ops; ops/all.h holds AllOps, which the tests go through.
template <class... Ops>
struct TypeList {};

}  // namespace capstan
