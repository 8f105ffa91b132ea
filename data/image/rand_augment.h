#pragma once
// RandAugment (Cubuk et al. 2019): a few operations drawn for each image, of one strength.
//
// The operations do to bytes what the Python Imaging Library does; turning, shearing and shifting interpolate bilinearly and fill what
// comes in from outside. Level 0 .. 10 sets the strength, and every operation changes more with a higher level:
//     rotate +-30 degrees, shear +-.3, translate +-.45 of the side, posterize to 4 - int(.4 l) bits, solarize from 256 - int(25.6 l),
//     solarize_add int(11 l), color, contrast, brightness and sharpness by a factor 1 +- .09 l, at least .1; signs are drawn.

#include <array>
#include <cstdint>
#include <span>

#include "autograd/core/rng.h"
#include "data/image/image.h"

namespace capstan::data {

enum class AugmentOp : std::uint8_t {
  identity,
  auto_contrast,
  equalize,
  invert,
  rotate,
  posterize,
  solarize,
  solarize_add,
  color,
  contrast,
  brightness,
  sharpness,
  shear_x,
  shear_y,
  translate_x,
  translate_y,
};

/// The 14 of the paper (with identity; without invert and solarize_add), and the 15 of timm (without identity), which DeiT and Swin use.
enum class AugmentOps : std::uint8_t { paper, timm };
std::span<const AugmentOp> ops_of(AugmentOps set);

struct RandAugment {
  AugmentOps ops = AugmentOps::paper;
  std::int64_t layers = 0;                          ///< N: operations on an image, drawn with replacement; 0: none
  double magnitude = 9;                             ///< M, 0 .. 10
  double magnitude_deviation = 0;                   ///< the level of each operation is normal around M, cut to 0 .. 10
  double probability = 1;                           ///< that a drawn operation is applied
  std::array<std::uint8_t, 3> fill{128, 128, 128};  ///< colour from outside; grey images take the first
};

/// DeiT's rand-m9-mstd0.5-inc1: timm's set, two operations with probability .5, level 9 with deviation .5.
RandAugment timm_rand_augment();

void rand_augment(Image& image, const RandAugment& options, Rng& rng);

// ---- single operations ----

/// One operation; `value` is degrees (rotate), a fraction (shear, translate), bits kept (posterize), a threshold (solarize), an amount
/// (solarize_add) or a factor (color, contrast, brightness, sharpness); the others take none.
void apply_op(Image& image, AugmentOp op, double value, const std::array<std::uint8_t, 3>& fill = {});
/// The value of an operation at a level; `negative` is the drawn sign, where there is one.
double value_of_level(AugmentOp op, double level, bool negative);

}  // namespace capstan::data
