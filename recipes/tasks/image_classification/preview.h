#pragma once
// Preview: training images as the model is shown them, on one page.
//
// A row is an image: as evaluation shows it, then, set apart, as training shows it the first times: cropped, augmented and mixed as in its
// batch, undone normalisation alone, drawn from (seed, epoch, index) as in training. Rows are the first images of the first epoch. Small
// images are enlarged by a whole factor, so that pixels stay pixels.

#include "recipes/engine/recipe.h"
#include "recipes/tasks/image_classification/network.h"
#include "recipes/tasks/image_classification/options.h"

namespace capstan::image_classification {

/// Throws what reading the images throws.
engine::Preview preview(const Options& options, const ImageForm& form, const engine::Setup& setup);

}  // namespace capstan::image_classification
