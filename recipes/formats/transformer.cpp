#include "recipes/formats/transformer.h"

#include "autograd/core/error.h"
#include "nn/models/transformer_names.h"

namespace capstan::formats {

std::vector<engine::ForeignForm> transformer_forms(const nn::TransformerModelOptions& options) {
  const nn::TransformerModelOptions* const o = &options;
  return {{.name = "torch",
           .program = "torch.nn.Transformer",
           .fits = nn::is_torch_transformer,
           .names = [o](std::span<const std::string>) { return nn::torch_names(*o); },
           .require_writable =
               [o] {
                 require<ConfigError>(o->positions == nn::PositionKind::sinusoidal && (o->kv_heads == 0 || o->kv_heads == o->heads),
                                      "export: programs around torch.nn.Transformer have only models with model.positions = sinusoidal and "
                                      "as many heads of keys and values as of queries (model.kv_heads = 0)");
               }}};
}

}  // namespace capstan::formats
