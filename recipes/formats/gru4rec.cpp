#include "recipes/formats/gru4rec.h"

#include "nn/models/gru4rec_names.h"

namespace capstan::formats {

std::vector<engine::ForeignForm> gru4rec_forms(const nn::Gru4RecOptions& options) {
  const auto* const o = &options;
  std::vector<engine::ForeignForm> forms;
  forms.push_back({.name = "torch",
                   .program = "the official PyTorch code",
                   .fits = nn::is_torch_gru4rec,
                   .names =
                       [o](std::span<const std::string> tensors) {
                         if (!tensors.empty()) nn::require_torch_gru4rec(*o);
                         return nn::torch_names(*o);
                       },
                   .require_writable = [o] { nn::require_torch_gru4rec(*o); }});
  return forms;
}

}  // namespace capstan::formats
