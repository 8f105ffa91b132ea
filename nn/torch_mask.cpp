#include "nn/torch_mask.h"

#include <algorithm>

#include "autograd/ops/elementwise.h"
#include "autograd/ops/shape_ops.h"

namespace capstan::nn {
namespace {

/// 1 where a boolean mask of PyTorch has 0.
Tensor inverted(const Tensor& blocked) {
  const Tensor from = blocked.contiguous(), out(from.shape(), DType::u8);
  std::ranges::transform(from.span<const std::uint8_t>(), out.data<std::uint8_t>(), [](std::uint8_t b) { return b == 0 ? 1 : 0; });
  return out;
}

void check_type(std::string_view what, const Tensor& mask) {
  require<DTypeError>(mask.dtype() == DType::u8 || is_floating(mask.dtype()), "attention mask: ", what, " must be u8 or floating: ", what,
                      " ", mask);
}

}  // namespace

AttentionMask attention_mask(const TorchMask& mask, std::int64_t heads) {
  AttentionMask out{.causal = mask.is_causal};
  if (Tensor m = mask.attn_mask; m.defined()) {
    check_type("attn_mask", m);
    require(m.rank() == 2 || (m.rank() == 3 && m.size(0) % heads == 0),
            "attention mask: attn_mask must be [L, S] or [B * heads, L, S]: attn_mask ", m, ", heads ", heads);
    m = m.rank() == 2 ? reshape(m, {1, 1, m.size(0), m.size(1)}) : reshape(m, {m.size(0) / heads, heads, m.size(1), m.size(2)});
    (m.dtype() == DType::u8 ? out.mask : out.bias) = m.dtype() == DType::u8 ? inverted(m) : m;
  }
  if (const Tensor& p = mask.key_padding_mask; p.defined()) {
    check_type("key_padding_mask", p);
    require(p.rank() == 2, "attention mask: key_padding_mask must be [B, S]: key_padding_mask ", p);
    if (p.dtype() == DType::u8) {
      out.keys = inverted(p);
    } else {
      const Tensor bias = reshape(p, {p.size(0), 1, 1, p.size(1)});
      out.bias = out.bias.defined() ? add(out.bias, bias) : bias;
    }
  }
  return out;
}

}  // namespace capstan::nn
