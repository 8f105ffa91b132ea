// Convolution by oneDNN. Primitives are kept in a cache of this thread, keyed by everything but the pointers. The library chooses the
// layouts it computes fastest in; operands are reordered to and from them. Images with their channels last are read and written as they
// are, where that is as fast: by 1x1 kernels, and by all on processors with AVX-512, whose kernels are made for this order. A 1x1 kernel of
// stride 1 over them is one matrix product.
//
// The convolutions of ResNet-50 for 8 images of 224, seconds of one thread with AVX2 (Zen 3), in the library's own order, with channels
// last throughout, and with channels last for 1x1 kernels alone: forward .75 .83 .75, gradients of images .73 .81 .76, of weights
// .90 1.14 1.02. The reorders that the last one needs take .06, those of weights .03. With AVX-512 (two threads of an EPYC) a step of
// ResNet-50 takes 1.07 s with all of them channels last and 1.11 with 1x1 kernels alone, one of DETR 1.29 and 1.27.

#include "autograd/kernels/conv.h"

#include <omp.h>

#include <algorithm>
#include <unordered_map>
#include <vector>

#include "autograd/core/storage.h"
#include "autograd/kernels/elementwise.h"
#include "autograd/kernels/matmul.h"
#include "autograd/kernels/onednn/compat.h"
#include "autograd/kernels/onednn/engine.h"
#include "autograd/kernels/onednn/primitive_cache.h"
#include "autograd/kernels/scratch.h"

namespace capstan::kernels {
namespace {

using onednn::cpu_engine;
using onednn::cpu_stream;

enum class Pass { forward, backward_data, backward_weights };

using Key = onednn::PrimitiveKey<19>;

Key key_of(const ConvProblem& p, Pass pass, bool has_bias) {
  Key key{static_cast<std::int64_t>(pass) | static_cast<std::int64_t>(p.dtype) << 4 | (has_bias ? 1 << 12 : 0),
          omp_get_max_threads(),
          p.batch,
          p.in_channels,
          p.out_channels,
          p.groups,
          p.channels_last};
  std::size_t n = 7;
  for (const WindowAxis* a : {&p.height, &p.width})
    for (const std::int64_t v : {a->in, a->kernel, a->stride, a->dilation, a->before, a->after}) key[n++] = v;
  return key;
}

// An operand in the caller's layout and in the one the primitive chose; a reorder between them if they differ.
struct Operand {
  int role = 0;
  bool is_output = false;
  dnnl::memory plain, chosen;
  std::size_t chosen_bytes = 0;
  dnnl::reorder reorder = {};  // empty: one memory in one layout
};

struct Prepared {
  dnnl::primitive primitive;
  std::vector<Operand> operands;
  dnnl::memory scratch;
  std::size_t scratch_bytes = 0;
  std::unordered_map<int, dnnl::memory> arguments;

  void add(int role, const dnnl::memory::desc& plain, const dnnl::memory::desc& chosen, bool is_output = false) {
    Operand o{.role = role,
              .is_output = is_output,
              .plain = dnnl::memory(plain, cpu_engine(), nullptr),
              .chosen = dnnl::memory(chosen, cpu_engine(), nullptr),
              .chosen_bytes = chosen.get_size()};
    if (plain != chosen) o.reorder = is_output ? dnnl::reorder(o.chosen, o.plain) : dnnl::reorder(o.plain, o.chosen);
    arguments.emplace(role, o.chosen);
    operands.push_back(o);
  }
  template <class Descriptor>
  void finish(const dnnl::primitive& p, const Descriptor& d) {
    primitive = p;
    scratch = dnnl::memory(d.scratchpad_desc(), cpu_engine(), nullptr);
    scratch_bytes = d.scratchpad_desc().get_size();
    arguments.emplace(DNNL_ARG_SCRATCHPAD, scratch);
  }
};

bool is_pointwise(const ConvProblem& p) { return p.height.kernel == 1 && p.width.kernel == 1; }

// oneDNN 2.6 with AVX-512: the gradient of the weights of a 1x1 kernel of stride 2 or more, over channels that lie last and are fewer than
// a vector, writes beyond its memory. In its own order, which fills vectors up, it does not: taken wherever channels do not fill them.
bool is_broken(const ConvProblem& p, Pass pass) {
  constexpr std::int64_t kVector = 16;
  return pass == Pass::backward_weights && is_pointwise(p) && (p.height.stride > 1 || p.width.stride > 1) && p.in_channels % kVector != 0;
}

// Whether the library computes on images in the caller's order.
bool reads_as_it_is(const ConvProblem& p, Pass pass) {
  if (is_broken(p, pass)) return false;
  static const bool prefers_channels_last = dnnl::get_effective_cpu_isa() >= dnnl::cpu_isa::avx512_core;
  return p.channels_last && (is_pointwise(p) || prefers_channels_last);
}

// Whether it is one product of the places [batch * height * width, in_channels] and the weights [out_channels, in_channels].
bool is_product(const ConvProblem& p) {
  const auto plain = [](const WindowAxis& a) { return a.stride == 1 && a.before == 0 && a.after == 0; };
  return p.channels_last && p.groups == 1 && is_pointwise(p) && plain(p.height) && plain(p.width);
}
std::int64_t places(const ConvProblem& p) { return p.batch * p.height.in * p.width.in; }
MatrixLayout row_major(std::int64_t width) { return {.row = width, .column = 1}; }
MatrixLayout turned(std::int64_t width) { return {.row = 1, .column = width}; }

Prepared prepare(const ConvProblem& p, Pass pass, bool has_bias) {
  using Tag = dnnl::memory::format_tag;
  const auto type = onednn::data_type(p.dtype);
  const WindowAxis &h = p.height, &w = p.width;
  const dnnl::memory::dims x_sizes{p.batch, p.in_channels, h.in, w.in}, y_sizes{p.batch, p.out_channels, h.out(), w.out()};
  const dnnl::memory::dims weight_sizes = p.groups == 1 ? dnnl::memory::dims{p.out_channels, p.in_channels, h.kernel, w.kernel}
                                                        : dnnl::memory::dims{p.groups, p.group_out(), p.group_in(), h.kernel, w.kernel};
  const Tag weight_tag = p.groups == 1 ? Tag::oihw : Tag::goihw;
  const Tag order = p.channels_last ? Tag::nhwc : Tag::nchw, computed = reads_as_it_is(p, pass) ? order : Tag::any;
  const dnnl::memory::desc x(x_sizes, type, order), y(y_sizes, type, order), weight(weight_sizes, type, weight_tag),
      bias({p.out_channels}, type, Tag::x);
  const dnnl::memory::desc any_x(x_sizes, type, computed), any_y(y_sizes, type, computed), any_weight(weight_sizes, type, Tag::any);
  const onednn::ConvWindow window{.strides = {h.stride, w.stride},
                                  .dilations = {h.dilation - 1, w.dilation - 1},
                                  .before = {h.before, w.before},
                                  .after = {h.after, w.after}};
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);

  Prepared prepared;
  const auto forward = onednn::convolution_descriptor(cpu_engine(), any_x, any_weight, pass == Pass::forward && has_bias ? &bias : nullptr,
                                                      any_y, window, attributes);
  switch (pass) {
    case Pass::forward:
      prepared.add(DNNL_ARG_SRC, x, forward.src_desc());
      prepared.add(DNNL_ARG_WEIGHTS, weight, forward.weights_desc());
      if (has_bias) prepared.add(DNNL_ARG_BIAS, bias, bias);
      prepared.add(DNNL_ARG_DST, y, forward.dst_desc(), true);
      prepared.finish(dnnl::convolution_forward(forward), forward);
      break;
    case Pass::backward_data: {
      const auto d = onednn::convolution_data_descriptor(cpu_engine(), any_x, any_weight, any_y, window, forward, attributes);
      prepared.add(DNNL_ARG_DIFF_DST, y, d.diff_dst_desc());
      prepared.add(DNNL_ARG_WEIGHTS, weight, d.weights_desc());
      prepared.add(DNNL_ARG_DIFF_SRC, x, d.diff_src_desc(), true);
      prepared.finish(dnnl::convolution_backward_data(d), d);
      break;
    }
    case Pass::backward_weights: {
      const auto sum = dnnl::memory::data_type::f32;
      const dnnl::memory::desc dweight(weight_sizes, sum, weight_tag), dbias({p.out_channels}, sum, Tag::x);
      const auto d = onednn::convolution_weights_descriptor(cpu_engine(), any_x, dnnl::memory::desc(weight_sizes, sum, Tag::any),
                                                            has_bias ? &dbias : nullptr, any_y, window, forward, attributes);
      prepared.add(DNNL_ARG_SRC, x, d.src_desc());
      prepared.add(DNNL_ARG_DIFF_DST, y, d.diff_dst_desc());
      prepared.add(DNNL_ARG_DIFF_WEIGHTS, dweight, d.diff_weights_desc(), true);
      if (has_bias) prepared.add(DNNL_ARG_DIFF_BIAS, dbias, dbias, true);
      prepared.finish(dnnl::convolution_backward_weights(d), d);
      break;
    }
  }
  return prepared;
}

Prepared& cached(const ConvProblem& p, Pass pass, bool has_bias) {
  thread_local onednn::PrimitiveCache<Key, Prepared> cache;
  return cache.get(key_of(p, pass, has_bias), [&] { return prepare(p, pass, has_bias); });
}

void reorder(const Operand& o, dnnl::memory& from, dnnl::memory& to) {
  const profile::Scope scope("reorder", profile::Kind::conversion);
  o.reorder.execute(cpu_stream(), from, to);
}

// Runs a pass on the operands in the order in which `prepare` adds them; a null pointer stands for an absent bias, which was not added.
void run(const ConvProblem& p, Pass pass, bool has_bias, std::initializer_list<const void*> pointers) {
  profile::add_work(p.work());
  Prepared& prepared = cached(p, pass, has_bias);
  std::vector<Storage> buffers;
  auto operand = prepared.operands.begin();
  for (const void* pointer : pointers) {
    if (pointer == nullptr) continue;
    operand->plain.set_data_handle(const_cast<void*>(pointer));
    if (operand->reorder) {
      buffers.emplace_back(operand->chosen_bytes);
      operand->chosen.set_data_handle(buffers.back().data());
      if (!operand->is_output) reorder(*operand, operand->plain, operand->chosen);
    } else {
      operand->chosen.set_data_handle(const_cast<void*>(pointer));
    }
    ++operand;
  }
  if (prepared.scratch_bytes > 0) prepared.scratch.set_data_handle(onednn::scratchpad(prepared.scratch_bytes));
  prepared.primitive.execute(cpu_stream(), prepared.arguments);
  for (Operand& o : prepared.operands)
    if (o.reorder && o.is_output) reorder(o, o.chosen, o.plain);
}

// bf16 on a processor without vectors for it: f32 copies are convolved, and results in bf16 rounded once.
bool must_widen(const ConvProblem& p) { return p.dtype == DType::bf16 && !onednn::computes_bfloat16(); }
ConvProblem widened(ConvProblem p) {
  p.dtype = DType::f32;
  return p;
}
class Wide {
 public:
  Wide(const void* from, std::int64_t count) : copy_(from == nullptr ? 0 : count), is_null_(from == nullptr) {
    if (!is_null_) convert_type(DType::bf16, from, Layout(Shape{count}), DType::f32, copy_.data());
  }
  operator const void*() const { return is_null_ ? nullptr : copy_.data(); }

 private:
  Scratch<float> copy_;
  bool is_null_;
};
void narrow(const Scratch<float>& from, void* to) { convert_type(DType::f32, from.data(), Layout(Shape{from.size()}), DType::bf16, to); }

void set_zero(void* sums, std::int64_t count) {
  if (sums != nullptr) std::fill_n(static_cast<float*>(sums), count, 0.0f);
}

}  // namespace

void Conv2d::fast(const ConvProblem& p, const void* x, const void* weight, const void* bias, void* y) {
  if (p.y_size() == 0) return;
  if (must_widen(p)) {
    const Scratch<float> wide_y(p.y_size());
    fast(widened(p), Wide(x, p.x_size()), Wide(weight, p.weight_size()), Wide(bias, p.out_channels), wide_y.data());
    return narrow(wide_y, y);
  }
  const std::int64_t in = p.in_channels, out = p.out_channels;
  if (is_product(p))
    return matmul({.in = p.dtype,
                   .out = p.dtype,
                   .rows = places(p),
                   .columns = out,
                   .depth = in,
                   .a = row_major(in),
                   .b = turned(in),
                   .c = row_major(out)},
                  x, weight, y, bias);
  run(p, Pass::forward, bias != nullptr, {x, weight, bias, y});
}

void Conv2dBackwardData::fast(const ConvProblem& p, const void* dy, const void* weight, void* dx) {
  if (p.batch == 0) return;
  if (must_widen(p)) {
    const Scratch<float> wide_dx(p.x_size());
    fast(widened(p), Wide(dy, p.y_size()), Wide(weight, p.weight_size()), wide_dx.data());
    return narrow(wide_dx, dx);
  }
  const std::int64_t in = p.in_channels, out = p.out_channels;
  if (is_product(p))
    return matmul({.in = p.dtype,
                   .out = p.dtype,
                   .rows = places(p),
                   .columns = in,
                   .depth = out,
                   .a = row_major(out),
                   .b = row_major(in),
                   .c = row_major(in)},
                  dy, weight, dx);
  run(p, Pass::backward_data, false, {dy, weight, dx});
}

void Conv2dBackwardWeights::fast(const ConvProblem& p, const void* x, const void* dy, void* dweight, void* dbias) {
  if (p.batch == 0) {
    set_zero(dweight, p.weight_size());
    return set_zero(dbias, p.out_channels);
  }
  if (must_widen(p)) return fast(widened(p), Wide(x, p.x_size()), Wide(dy, p.y_size()), dweight, dbias);
  const std::int64_t in = p.in_channels, out = p.out_channels;
  if (is_product(p) && dbias == nullptr)
    return matmul({.in = p.dtype,
                   .out = DType::f32,
                   .rows = out,
                   .columns = in,
                   .depth = places(p),
                   .a = turned(out),
                   .b = row_major(in),
                   .c = row_major(in)},
                  dy, x, dweight);
  run(p, Pass::backward_weights, dbias != nullptr, {x, dy, dweight, dbias});
}

}  // namespace capstan::kernels
