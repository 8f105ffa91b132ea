#include "recipes/formats/sasrec.h"

#include "nn/models/sasrec_names.h"

namespace capstan::formats {

std::vector<engine::ForeignForm> sasrec_forms(const nn::SasrecOptions& options) {
  const auto* const o = &options;
  std::vector<engine::ForeignForm> forms;
  forms.push_back(
      {.name = "torch", .program = "the port to PyTorch", .fits = nn::is_torch_port_sasrec, .names = [o](std::span<const std::string>) {
         return nn::torch_port_names(*o);
       }});
  return forms;
}

}  // namespace capstan::formats
