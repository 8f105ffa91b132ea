#include "recipes/engine/train_step.h"

namespace capstan::engine {

std::vector<std::string> without_gradient(const nn::ParameterStore& parameters, std::span<const Gradient> gradients) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    const Parameter& p = parameters.parameters()[i];
    if (p.trainable() && !gradients[i].defined()) names.push_back(p.name());
  }
  return names;
}

std::string without_gradient_text(std::span<const std::string> names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text.empty() ? text
                      : join_text("warning: the loss does not depend on ", names.size(),
                                  " of the trainable parameters, which stay as they are: ", text);
}

}  // namespace capstan::engine
