#pragma once
// The concept Op and apply<Op>: how an operation is written, and the only way it is run.
//
// An op is one struct (see ops/ for many):
//
//     struct Softmax {
//       static constexpr std::string_view name = "softmax";
//       struct Args  { int axis; };
//       struct Saved { Tensor y; };                                        // exactly what backward reads
//       static Spec   spec    (const Args&, const Spec& x);                 // every check, every message; the output's type
//       static Tensor forward (const Args&, const Tensor& x, Saved&);
//       static Grads<1> backward(const Args&, const Saved&, const Tensor& dy, Needs<1>);
//     };
//
// apply runs spec, then forward, then records; so nobody can forget to record, and a fused kernel cannot cut the graph.
// Variations, all read off the signatures:
//   several outputs   spec returns std::array<Spec, K>, forward std::array<Tensor, K>; backward gets const std::array<Tensor, K>& dy
//                     (zeros where nothing arrived)
//   a list of inputs  spec, forward take std::span<const Spec>, std::span<const Tensor>; backward takes const std::vector<bool>& needs and
//                     returns std::vector<Gradient>
//   optional inputs   an undefined Tensor is passed on as it is; its Spec has rank 0, and its Needs is false
//   no derivative     `static constexpr bool differentiable = false;` and no Saved, no backward: the result is a constant
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
#include "autograd/core/tensor.h"
#include "autograd/tape/tape.h"

namespace capstan {

/// Gradients of the N inputs of an op; leave out (default Gradient) what is not needed.
template <std::size_t N>
using Grads = std::array<Gradient, N>;
/// needs[i]: the gradient of input i is wanted.
template <std::size_t N>
using Needs = std::array<bool, N>;

namespace detail {

template <class O>
constexpr bool is_differentiable() {
  if constexpr (requires { O::differentiable; }) return O::differentiable;
  return true;
}

struct NoSaved {};
template <class O>
struct SavedOf { using type = NoSaved; };
template <class O>
  requires requires { typename O::Saved; }
struct SavedOf<O> { using type = typename O::Saved; };

template <class O, class... In>
auto run_forward(const typename O::Args& args, typename SavedOf<O>::type& saved, const In&... in) {
  if constexpr (is_differentiable<O>()) {
    return O::forward(args, in..., saved);
  } else {
    return O::forward(args, in...);
  }
}

// One output and several are handled alike from here on.
inline std::array<Spec, 1> as_array(const Spec& s) { return {s}; }
template <std::size_t K>
const std::array<Spec, K>& as_array(const std::array<Spec, K>& s) { return s; }
inline std::span<Tensor> as_span(Tensor& t) { return {&t, 1}; }
template <std::size_t K>
std::span<Tensor> as_span(std::array<Tensor, K>& t) { return t; }

template <class O, class Result>
void check_outputs(const Result& specs, std::span<const Tensor> outputs) {
  const auto expected = as_array(specs);
  for (std::size_t i = 0; i < expected.size(); ++i)
    require<InternalError>(outputs[i].spec() == expected[i], O::name, ": forward must return what spec announces: announced ", expected[i],
                           ", returned ", outputs[i]);
}

template <class O, std::size_t N, class Result, class Specs>
class EntryOf final : public Tape::Entry {
 public:
  EntryOf(const typename O::Args& args, typename O::Saved saved, const Specs& specs) : args_(args), saved_(std::move(saved)), specs_(specs) {}

  std::string_view name() const override { return O::name; }

  std::vector<Gradient> backward(std::span<const Tensor> dy, const std::vector<bool>& needs) override {
    if constexpr (std::is_same_v<Result, Tensor>) {
      return run(dy[0], needs);
    } else {
      Result filled;
      for (std::size_t i = 0; i < filled.size(); ++i) filled[i] = dy[i].defined() ? dy[i] : Tensor::zeros(specs_[i].shape, specs_[i].dtype);
      return run(filled, needs);
    }
  }

 private:
  template <class Dy>
  std::vector<Gradient> run(const Dy& dy, const std::vector<bool>& needs) {
    if constexpr (N == 0) {  // a list of inputs
      return O::backward(args_, saved_, dy, needs);
    } else {
      Needs<N> wanted{};
      for (std::size_t i = 0; i < N; ++i) wanted[i] = needs[i];
      Grads<N> grads = O::backward(args_, saved_, dy, wanted);
      return {std::make_move_iterator(grads.begin()), std::make_move_iterator(grads.end())};
    }
  }

  typename O::Args args_;
  typename O::Saved saved_;
  Specs specs_;
};

template <class O, std::size_t N, class Specs, class Result>
void record(const typename O::Args& args, typename SavedOf<O>::type&& saved, const Specs& specs, std::span<const Tensor* const> inputs,
            Result& result) {
  if constexpr (is_differentiable<O>()) {
    static_assert(requires { &O::backward; }, "an op needs a backward, or must say `differentiable = false`");
    Tape* const tape = Tape::recording();
    if (tape == nullptr) return;
    std::vector<std::int64_t> slots;
    bool any = false;
    for (const Tensor* t : inputs) {
      slots.push_back(tape->slot_of(*t, O::name));
      any = any || slots.back() >= 0;
    }
    if (!any) return;
    using Outputs = std::remove_cvref_t<decltype(as_array(specs))>;
    tape->record(std::make_unique<EntryOf<O, N, Result, Outputs>>(args, std::move(saved), as_array(specs)), std::move(slots), as_span(result));
  }
}

}  // namespace detail

/// Runs an op with a fixed number of inputs. Constants in, constant out; the tape learns of it if any input stands on it.
template <class O, std::same_as<Tensor>... In>
auto apply(const typename O::Args& args, const In&... in) {
  const auto specs = O::spec(args, in.spec()...);
  typename detail::SavedOf<O>::type saved{};
  auto result = detail::run_forward<O>(args, saved, in.detach()...);
  detail::check_outputs<O>(specs, detail::as_span(result));
  const std::array<const Tensor*, sizeof...(In)> inputs{&in...};
  detail::record<O, sizeof...(In)>(args, std::move(saved), specs, inputs, result);
  return result;
}

/// Runs an op on a list of inputs.
template <class O>
auto apply(const typename O::Args& args, std::span<const Tensor> in) {
  std::vector<Spec> in_specs;
  std::vector<Tensor> constants;
  std::vector<const Tensor*> inputs;
  for (const Tensor& t : in) {
    in_specs.push_back(t.spec());
    constants.push_back(t.detach());
    inputs.push_back(&t);
  }
  const auto specs = O::spec(args, std::span<const Spec>(in_specs));
  typename detail::SavedOf<O>::type saved{};
  auto result = detail::run_forward<O>(args, saved, std::span<const Tensor>(constants));
  detail::check_outputs<O>(specs, detail::as_span(result));
  detail::record<O, 0>(args, std::move(saved), specs, inputs, result);
  return result;
}

/// Names a list of ops; ops/all.h holds AllOps, which the tests walk.
template <class... Ops>
struct TypeList {};

}  // namespace capstan
