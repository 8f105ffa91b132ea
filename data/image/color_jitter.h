#pragma once
// Colour jitter: brightness, contrast, saturation and hue of an image changed by drawn amounts, in a drawn order, as torchvision's
// ColorJitter draws them. What is done to bytes is what the Python Imaging Library does, which torchvision calls for such images.
//
// Of a grey image brightness and contrast change alone.

#include "autograd/core/rng.h"
#include "data/image/image.h"

namespace capstan::data {

struct ColorJitter {
  /// The factor is drawn evenly from max(0, 1 - x) .. 1 + x; 0: left alone.
  double brightness = 0, contrast = 0, saturation = 0;
  double hue = 0;  ///< the shift is drawn evenly from -hue .. hue turns of the colour circle, hue <= 1/2; 0: left alone
};

/// Draws nothing if every amount is 0.
void color_jitter(Image& image, const ColorJitter& options, Rng& rng);

/// Turns the hue of each pixel by this share of the circle, in steps of 1/255 rounded towards 0.
void shift_hue(Image& image, double turns);

}  // namespace capstan::data
