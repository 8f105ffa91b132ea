#pragma once
#include "recipes/engine/any_recipe.h"

namespace capstan::text_average {
/// Texts of a few classes, told apart by the average of the vectors of their words and of pairs of neighbouring words.
engine::RecipeEntry recipe();
}  // namespace capstan::text_average
