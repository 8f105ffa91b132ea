#!/usr/bin/python3
"""Makes color_jitter.h5: what the Python Imaging Library makes of an image whose hue is shifted, as torchvision's ColorJitter asks it to.
Needs pillow, numpy and h5py.

  source u8 [24, 31, 3]: random colours, greys, and colours in which channels are equal, 0 or 255
  hue/<turns> u8 [24, 31, 3]
  chain u8 [24, 31, 3]: brightness times 0.73, hue shifted by 0.1, saturation times 1.4, contrast times 0.8
"""
import os

import h5py
import numpy as np
from PIL import Image, ImageEnhance


def picture():
    random = np.random.RandomState(7)
    p = random.randint(0, 256, (24, 31, 3))
    p[0] = np.arange(31)[:, None] * 8
    p[1, :, 1] = p[1, :, 0]
    p[2, :, 2] = p[2, :, 1]
    p[3, :, 0] = p[3, :, 2]
    p[4:8] = random.choice([0, 1, 127, 128, 254, 255], (4, 31, 3))
    p[8:12] = 200 + random.randint(0, 4, (4, 31, 3))
    return Image.fromarray(p.astype(np.uint8))


def shifted(image, turns):
    hue, saturation, value = image.convert("HSV").split()
    places = (np.array(hue).astype(int) + int(turns * 255)) % 256
    return Image.merge("HSV", (Image.fromarray(places.astype(np.uint8)), saturation, value)).convert("RGB")


def main():
    source = picture()
    with h5py.File(os.path.join(os.path.dirname(os.path.abspath(__file__)), "color_jitter.h5"), "w", track_order=False) as f:
        f["source"] = np.array(source)
        for turns in (0, 0.5, -0.5, 0.1, -0.1, 0.333, -0.25):
            f["hue/%s" % turns] = np.array(shifted(source, turns))
        image = shifted(ImageEnhance.Brightness(source).enhance(0.73), 0.1)
        f["chain"] = np.array(ImageEnhance.Contrast(ImageEnhance.Color(image).enhance(1.4)).enhance(0.8))


if __name__ == "__main__":
    main()
