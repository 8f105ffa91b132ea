#pragma once
#include "recipes/engine/any_recipe.h"

namespace capstan::kernel_regression {
/// Nadaraya-Watson kernel regression on a noisy curve: README.md.
engine::RecipeEntry recipe();
}  // namespace capstan::kernel_regression
