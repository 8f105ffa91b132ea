#include "nn/models/gru4rec_names.h"

#include <algorithm>

#include "autograd/core/error.h"

namespace capstan::nn {

bool is_torch_gru4rec(std::span<const std::string> names) {
  const auto has = [&](std::string_view name) { return std::ranges::find(names, name) != names.end(); };
  return has("Wy.weight") && has("By.weight");
}

void require_torch_gru4rec(const Gru4RecOptions& o) {
  require<ConfigError>(
      o.input != Gru4RecInput::one_hot && o.gru == GruVariant::reset_after,
      "gru4rec: the official PyTorch code has the cells of model.gru = reset_after, and with model.input = one_hot a cell of "
      "another kind: set model.input = shared or separate and model.gru = reset_after");
}

ForeignNames torch_names(const Gru4RecOptions& o) {
  ForeignNames out;
  const auto add = [&](std::string theirs, std::string ours) -> TensorPair& {
    out.pairs.push_back({.theirs = std::move(theirs), .ours = std::move(ours)});
    return out.pairs.back();
  };
  if (o.input == Gru4RecInput::separate) add("E.weight", "embedding/weight");
  for (std::size_t i = 0; i < o.layers.size(); ++i) {
    const std::string theirs = join_text("G.", i, "."), ours = join_text("gru/", i, "/");
    add(theirs + "weight_ih", ours + "input/weight");
    add(theirs + "weight_hh", ours + "state/weight");
    add(theirs + "bias_ih", ours + "input/bias");
    add(theirs + "bias_hh", ours + "state/bias");
  }
  add("Wy.weight", "items/weight");
  add("By.weight", "items/bias").column = true;
  return out;
}

}  // namespace capstan::nn
