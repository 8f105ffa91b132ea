#include "autograd/kernels/onednn/matmul.h"

#include <omp.h>

#include <bit>
#include <string_view>
#include <unordered_map>

#include "autograd/core/error.h"
#include "autograd/core/storage.h"
#include "autograd/kernels/onednn/compat.h"
#include "autograd/kernels/onednn/engine.h"
#include "autograd/kernels/onednn/primitive_cache.h"
#include "autograd/kernels/openmp/matmul.h"

namespace capstan::kernels::onednn {
namespace {

using Key = PrimitiveKey<48>;

Key key_of(const MatmulProblem& p, bool has_bias) {
  Key key{};
  std::size_t n = 0;
  const auto put = [&](std::int64_t v) { key[n++] = v; };
  put(static_cast<std::int64_t>(p.in) | static_cast<std::int64_t>(p.out) << 8 | (has_bias ? 1 << 16 : 0) | p.batch.rank() << 20);
  put(std::bit_cast<std::int64_t>(p.alpha));
  put(std::bit_cast<std::int64_t>(p.beta));
  put(omp_get_max_threads());
  for (const std::int64_t v : {p.rows, p.columns, p.depth}) put(v);
  for (const std::int64_t v : p.batch) put(v);
  for (const MatrixLayout* m : {&p.a, &p.b, &p.c}) {
    put(m->row);
    put(m->column);
    for (int axis = 0; axis < p.batch.rank(); ++axis) put(m->batch[static_cast<std::size_t>(axis)]);
  }
  return key;
}

struct Prepared {
  dnnl::matmul primitive;
  dnnl::memory a, b, c, bias, scratch;  // share their handles with `arguments`
  std::size_t scratch_bytes = 0;
  std::unordered_map<int, dnnl::memory> arguments;
};

// [batch..., rows, columns]; a repeated batch axis has size 1, as oneDNN has no stride 0.
dnnl::memory::desc descriptor(const MatmulProblem& p, const MatrixLayout& m, std::int64_t rows, std::int64_t columns, DType dtype) {
  dnnl::memory::dims sizes, strides;
  const auto axis = [&](std::int64_t size, std::int64_t stride, std::int64_t dense) {
    sizes.push_back(size);
    strides.push_back(size == 1 ? dense : stride);  // the stride of a single element is free: let it look dense
  };
  for (int i = 0; i < p.batch.rank(); ++i) {
    const std::int64_t stride = m.batch[static_cast<std::size_t>(i)];
    axis(stride == 0 ? 1 : p.batch[i], stride, rows * columns);
  }
  const bool transposed = m.row == 1 && rows != 1 && m.column != 1;
  axis(rows, m.row, transposed ? 1 : columns == 1 ? 1 : m.column * columns);
  axis(columns, m.column, transposed ? m.row * rows : 1);
  return {sizes, data_type(dtype), strides};
}

Prepared prepare(const MatmulProblem& p, bool has_bias) {
  const auto a = descriptor(p, p.a, p.rows, p.depth, p.in), b = descriptor(p, p.b, p.depth, p.columns, p.in),
             c = descriptor(p, p.c, p.rows, p.columns, p.out);
  dnnl::memory::dims bias_sizes(static_cast<std::size_t>(p.batch.rank()) + 2, 1), bias_strides(bias_sizes.size(), p.columns);
  bias_sizes.back() = p.columns;
  bias_strides.back() = 1;
  const dnnl::memory::desc bias(bias_sizes, data_type(p.in), bias_strides);

  // alpha (A B + beta / alpha C): where processors lack AVX-512 the library adds to C first or not at all.
  dnnl::post_ops after;
  if (p.beta != 0.0) after.append_sum(static_cast<float>(p.beta / p.alpha));
  if (p.alpha != 1.0) append_function(after, dnnl::algorithm::eltwise_linear, static_cast<float>(p.alpha), 0.0f);
  dnnl::primitive_attr attributes;
  attributes.set_post_ops(after);
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);

  const auto chosen = matmul_descriptor(cpu_engine(), a, b, has_bias ? &bias : nullptr, c, attributes);
  Prepared prepared;
  // "ref" would be scalar loops, a thousand times slower than a copy of the operands: the caller sees an empty primitive.
  if (std::string_view(chosen.impl_info_str()).starts_with("ref")) return prepared;
  const auto none = [&](const dnnl::memory::desc& md) { return dnnl::memory(md, cpu_engine(), nullptr); };
  prepared.primitive = dnnl::matmul(chosen);
  prepared.a = none(a);
  prepared.b = none(b);
  prepared.c = none(c);
  prepared.scratch = none(chosen.scratchpad_desc());
  prepared.scratch_bytes = chosen.scratchpad_desc().get_size();
  prepared.arguments = {
      {DNNL_ARG_SRC, prepared.a}, {DNNL_ARG_WEIGHTS, prepared.b}, {DNNL_ARG_DST, prepared.c}, {DNNL_ARG_SCRATCHPAD, prepared.scratch}};
  if (has_bias) {
    prepared.bias = none(bias);
    prepared.arguments.emplace(DNNL_ARG_BIAS, prepared.bias);
  }
  return prepared;
}

Prepared& cached(const MatmulProblem& p, bool has_bias) {
  thread_local PrimitiveCache<Key, Prepared> cache;
  return cache.get(key_of(p, has_bias), [&] { return prepare(p, has_bias); });
}

// A dense copy of a batch of matrices, repeated axes not copied. Returns its memory; m becomes its layout.
Storage dense_copy(const MatmulProblem& p, MatrixLayout& m, std::int64_t rows, std::int64_t columns, const void* from) {
  const std::size_t width = size_of(p.in);
  std::int64_t size = 0;
  const MatrixLayout to = dense_layout(p.batch, m, rows, columns, size);
  Storage memory(static_cast<std::size_t>(size) * width);
  const auto copy = [&](auto zero) {
    using T = decltype(zero);
    openmp::copy_matrices(p.batch, rows, columns, static_cast<const T*>(from), m, reinterpret_cast<T*>(memory.data()), to);
  };
  p.in == DType::f32 ? copy(float{}) : copy(bfloat16{});
  m = to;
  return memory;
}

// Small products stay on this thread. A second thread that still spins from the last parallel part (recipes/README.md, Decisions) joins in
// a few microseconds, in which one thread does half a million flops; one that sleeps takes fifty. A GRU4Rec step with products of 1 and of
// 4 million multiplications (batch 32, 128) takes .68 and 1.87 ms with all of them on one thread, .63 and 1.62 ms with this bound.
constexpr std::int64_t kSmall = 750'000;  // multiplications
class OneThreadIfSmall {
 public:
  explicit OneThreadIfSmall(const MatmulProblem& p) : before_(omp_get_max_threads()) {
    if (p.batch.numel() * p.rows * p.columns * p.depth <= kSmall) omp_set_num_threads(1);
  }
  ~OneThreadIfSmall() { omp_set_num_threads(before_); }
  OneThreadIfSmall(const OneThreadIfSmall&) = delete;
  OneThreadIfSmall& operator=(const OneThreadIfSmall&) = delete;

 private:
  int before_;
};

}  // namespace

void matmul(const MatmulProblem& p, const void* a, const void* b, void* c, const void* bias) {
  const auto strided = [](const MatrixLayout& m, std::int64_t rows, std::int64_t columns) {
    return !(m.column == 1 || columns == 1 || m.row == 1 || rows == 1) || ((m.row == 0 && rows > 1) || (m.column == 0 && columns > 1));
  };
  const OneThreadIfSmall threads(p);
  MatmulProblem q = p;
  Storage a_copy, b_copy;
  const auto copy_a = [&] { a_copy = dense_copy(p, q.a, p.rows, p.depth, a), a = a_copy.data(); };
  const auto copy_b = [&] { b_copy = dense_copy(p, q.b, p.depth, p.columns, b), b = b_copy.data(); };
  if (strided(p.a, p.rows, p.depth)) copy_a();
  if (strided(p.b, p.depth, p.columns)) copy_b();
  Prepared* run = &cached(q, bias != nullptr);
  if (!run->primitive) {
    if (!a_copy) copy_a();
    if (!b_copy) copy_b();
    run = &cached(q, bias != nullptr);
    require<InternalError>(static_cast<bool>(run->primitive), "onednn: no fast product for rows ", p.rows, ", columns ", p.columns,
                           ", depth ", p.depth, ", batch ", p.batch);
  }
  run->a.set_data_handle(const_cast<void*>(a));
  run->b.set_data_handle(const_cast<void*>(b));
  run->c.set_data_handle(c);
  if (bias != nullptr) run->bias.set_data_handle(const_cast<void*>(bias));
  if (run->scratch_bytes > 0) run->scratch.set_data_handle(scratchpad(run->scratch_bytes));
  run->primitive.execute(cpu_stream(), run->arguments);
}

}  // namespace capstan::kernels::onednn
