#pragma once
// Preview: training images with their boxes as the model is shown them, on one page.
//
// A row is an image: as evaluation shows it, then, set apart, as training draws it in the epochs from 0 on: flipped, scaled, cut, from
// (seed, epoch, index). All are scaled to panels of one size; frames have the colour of their class.

#include "recipes/engine/recipe.h"
#include "recipes/tasks/detection/options.h"

namespace capstan::detection {

/// Of images of `channels` channels. Throws what reading the images throws.
engine::Preview preview(const Options& options, std::int64_t channels, const engine::Setup& setup);

}  // namespace capstan::detection
