#pragma once
// The op table: what every op is tested for, from one list of samples.
//
// An op family's *_samples_test.cpp specialises Samples<Op> for each of its ops and registers the family:
//     template <> struct Samples<ops::Softmax> {
//       static std::vector<Sample<ops::Softmax>> good() { return {{.name = "rows", .args = {.axis = -1}, .inputs = {uniform({3, 5})}}}; }
//       static Sample<ops::Softmax> large() { return {.name = "large", .args = {.axis = -1}, .inputs = {uniform(kLarge)}}; }
//       static std::vector<BadSample<ops::Softmax>> bad() {
//         return {{.name = "axis", .args = {.axis = 2}, .inputs = {uniform({3, 5})}, .message = "axis 2"}};
//       }
//     };
//     const bool registered = register_family<SoftmaxOps>();
// large() is one sample that is worth several threads; good() are small, for every element of theirs is checked by differences.
// The primary template has no definition: an op without samples does not compile. op_table_test.cpp checks that no family is forgotten.

#include <functional>
#include <set>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "autograd/core/error.h"
#include "autograd/tape/op.h"

namespace capstan::testing {

template <class O>
struct Sample {
  std::string name;
  typename O::Args args{};
  std::vector<Tensor> inputs;   ///< floating inputs in f64; indices and masks as the op wants them; undefined = absent
  double f32_tolerance = 2e-5;  ///< relative to max(|expected element|, mean |expected|)
  double bf16_tolerance = 3e-2;
  bool f32 = true, bf16 = true;  ///< false where an op has no such kernel or its Args fix the element type
  // Of large():
  bool threads = true;    ///< starts threads; false for an op that has nothing to divide, such as one that only makes views
  bool same_bits = true;  ///< whatever the number of threads; false where oneDNN divides a sum by it, and so rounds otherwise
};

template <class O>
struct BadSample {
  std::string name;
  typename O::Args args{};
  std::vector<Tensor> inputs;
  std::string message;  ///< a part of the error's text
};

/// The samples of an op. An optional input for which a scalar is as good as any shape (a mask that broadcasts) is named in
/// `static constexpr std::array takes_scalar{place...};`: everywhere else a scalar in an optional place must be refused. Inputs that are
/// parameters, and so have a gradient that sums over what they are used for, are named in `parameters` in the same way: of bf16 operands
/// that gradient is the f32 sum, nowhere rounded to bf16.
template <class O>
struct Samples;

/// More elements than three threads are started for (kernels/openmp/parallel.h: kGrain each), in rows that no vector length and no block
/// divides.
inline const Shape kLarge{331, 307};

/// f64 values for samples; the same for the same seed.
Tensor uniform(const Shape& shape, double low = -1.5, double high = 1.5, std::uint64_t seed = 1);
/// i64 indices in [0, size): all of them in mixed order, many of them more than once.
Tensor some_indices(const Shape& shape, std::int64_t size);
/// t in another floating type; integers, masks and undefined tensors as they are.
Tensor convert(const Tensor& t, DType dtype);
std::vector<Tensor> convert(const std::vector<Tensor>& list, DType dtype);
/// The elements of a gradient, rows that a sparse one lacks being 0.
std::vector<double> dense_values(const Gradient& g);

/// The names of all ops registered in this program.
std::set<std::string>& registered_ops();

namespace detail {

template <class R, class A, class... S>
constexpr std::size_t arity(R (*)(const A&, const S&...)) {
  return sizeof...(S);
}
template <class R, class A>
constexpr std::size_t arity(R (*)(const A&, std::span<const Spec>)) {
  return 0;
}

template <class O, std::size_t... I>
auto apply_fixed(const typename O::Args& args, const std::vector<Tensor>& in, std::index_sequence<I...>) {
  return apply<O>(args, in[I]...);
}

template <class O>
std::vector<Tensor> run(const typename O::Args& args, const std::vector<Tensor>& in) {
  constexpr std::size_t n = arity(&O::spec);
  const auto to_list = [](auto result) {
    if constexpr (std::is_same_v<decltype(result), Tensor>)
      return std::vector<Tensor>{result};
    else
      return std::vector<Tensor>(result.begin(), result.end());
  };
  if constexpr (n == 0) {
    return to_list(apply<O>(args, std::span<const Tensor>(in)));
  } else {
    if (in.size() != n) throw InternalError(join_text(O::name, ": the sample has ", in.size(), " inputs, the op takes ", n));
    return to_list(apply_fixed<O>(args, in, std::make_index_sequence<n>()));
  }
}

// What the checks, which are compiled once, know of a sample: its op as a function.
using Application = std::function<std::vector<Tensor>(const std::vector<Tensor>& inputs)>;

struct Case {
  std::string name;
  Application apply;
  std::vector<Tensor> inputs;
  double f32_tolerance, bf16_tolerance;
  bool f32, bf16, threads, same_bits;
  std::set<std::size_t> constants;   // inputs that the op takes as constants only
  std::set<std::size_t> parameters;  // inputs whose gradients are sums in f32
};

struct BadCase {
  std::string name;
  Application apply;
  std::vector<Tensor> inputs;
  std::string message;
};

struct Op {
  std::string name;
  bool differentiable;
  std::set<std::size_t> constants, takes_scalar, parameters;
  std::function<std::vector<Case>()> good;  // made when a test asks for them
  std::function<Case()> large;
  std::function<std::vector<BadCase>()> bad;
};

/// Registers the tests of an op.
void register_op(const Op& op);

template <class O>
Application application(const typename O::Args& args) {
  return [args](const std::vector<Tensor>& inputs) { return run<O>(args, inputs); };
}

template <class O>
std::set<std::size_t> constants() {
  std::set<std::size_t> places;
  if constexpr (requires { O::constants; })
    for (const ConstantInput& c : O::constants) places.insert(c.index);
  return places;
}

template <class O>
std::set<std::size_t> takes_scalar() {
  std::set<std::size_t> places;
  if constexpr (requires { Samples<O>::takes_scalar; })
    for (const std::size_t place : Samples<O>::takes_scalar) places.insert(place);
  return places;
}

template <class O>
std::set<std::size_t> parameters() {
  std::set<std::size_t> places;
  if constexpr (requires { Samples<O>::parameters; })
    for (const std::size_t place : Samples<O>::parameters) places.insert(place);
  return places;
}

template <class O>
Case case_of(const Sample<O>& s) {
  return {s.name,      application<O>(s.args), s.inputs,       s.f32_tolerance, s.bf16_tolerance, s.f32, s.bf16, s.threads,
          s.same_bits, constants<O>(),         parameters<O>()};
}

template <class O>
std::vector<Case> good_cases() {
  std::vector<Case> cases;
  for (const Sample<O>& s : Samples<O>::good()) cases.push_back(case_of(s));
  return cases;
}

template <class O>
Case large_case() {
  return case_of<O>(Samples<O>::large());
}

template <class O>
std::vector<BadCase> bad_cases() {
  std::vector<BadCase> cases;
  for (const BadSample<O>& s : Samples<O>::bad()) cases.push_back({s.name, application<O>(s.args), s.inputs, s.message});
  return cases;
}

template <class... Ops>
void register_all(TypeList<Ops...>) {
  (register_op({std::string(Ops::name), capstan::detail::is_differentiable<Ops>(), constants<Ops>(), takes_scalar<Ops>(), parameters<Ops>(),
                good_cases<Ops>, large_case<Ops>, bad_cases<Ops>}),
   ...);
}

}  // namespace detail

/// Registers the tests of all ops of a family; does not compile if one has no samples.
template <class Family>
bool register_family() {
  detail::register_all(Family{});
  return true;
}

}  // namespace capstan::testing
