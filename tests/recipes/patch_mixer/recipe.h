#pragma once
#include "recipes/engine/any_recipe.h"

namespace capstan::patch_mixer {
/// Images of a few classes, told apart by perceptrons over their patches (after MLP-Mixer, Tolstikhin et al., 2021).
engine::RecipeEntry recipe();
}  // namespace capstan::patch_mixer
