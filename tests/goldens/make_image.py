#!/usr/bin/python3
"""Makes image.h5: image files of many kinds with their pixels, and what the Python Imaging Library does to images.
Needs Debian's python3-pil, python3-numpy and python3-h5py.

  file/<name> u8 [bytes], pixels/<name> u8 [h, w, 3]: what the file shows as RGB, transparency over white
  resize/<filter>_<h>x<w>_<channels> and operation/<name>_<value>_<channels>: applied to source_<channels> u8 [h, w(, 3)]
"""
import io
import os
import struct
import zlib

import h5py
import numpy as np
from PIL import Image, ImageEnhance, ImageOps

FILL = (200, 30, 90)


def picture(height, width):
    y, x = np.mgrid[0:height, 0:width]
    p = np.stack([x * 255 // (width - 1), y * 255 // (height - 1), (x * y * 7) % 256], -1)
    p[2:6, 3:9] = (250, 20, 40)
    p[7:10, 1:5] = (10, 200, 90)
    return p.astype(np.uint8)


def encoded(image, form, **options):
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def png(header, rows, palette=b""):
    """A PNG of rows that begin with their filter byte."""
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    extra = chunk(b"PLTE", palette) if palette else b""
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def interlaced(p):
    rows = b""
    for y0, dy, x0, dx in ((0, 8, 0, 8), (0, 8, 4, 8), (4, 8, 0, 4), (0, 4, 2, 4), (2, 4, 0, 2), (0, 2, 1, 2), (1, 2, 0, 1)):
        part = p[y0::dy, x0::dx]
        if part.size:
            rows += b"".join(b"\0" + row.tobytes() for row in part)
    return png(struct.pack(">IIBBBBB", p.shape[1], p.shape[0], 8, 2, 0, 0, 1), rows)


def over_white(rgb, alpha):
    a = alpha[..., None].astype(int)
    return ((rgb.astype(int) * a + 255 * (255 - a) + 127) // 255).astype(np.uint8)


def rgb_of(content):
    return np.array(Image.open(io.BytesIO(content)).convert("RGB"))


def ink(stored, inverted):
    """RGB of the four stored bytes of a pixel."""
    s = stored.astype(int) if inverted else 255 - stored.astype(int)
    return ((s[..., :3] * s[..., 3:] + 127) // 255).astype(np.uint8)


def files():
    p = picture(13, 18)
    rgb, grey = Image.fromarray(p), Image.fromarray(p).convert("L")
    plain = {
        "rgb.jpg": encoded(rgb, "JPEG", quality=90),
        "full_colour.jpg": encoded(rgb, "JPEG", quality=95, subsampling=0),
        "grey.jpg": encoded(grey, "JPEG", quality=90),
        "progressive.jpg": encoded(rgb, "JPEG", quality=85, progressive=True),
        "rgb.png": encoded(rgb, "PNG"),
        "grey.png": encoded(grey, "PNG"),
        "bilevel.png": encoded(grey.point(lambda v: 255 * (v > 90), "1"), "PNG"),
        "palette.png": encoded(rgb.quantize(13), "PNG"),
        "interlaced.png": interlaced(p),
    }
    for name, content in plain.items():
        yield name, content, rgb_of(content)

    cmyk = encoded(rgb.convert("CMYK"), "JPEG", quality=95)
    stored = 255 - np.array(Image.open(io.BytesIO(cmyk))).astype(np.uint8)  # PIL has undone the inversion
    yield "cmyk.jpg", cmyk, ink(stored, True)
    marker = cmyk.index(b"\xff\xee")
    bare = cmyk[:marker] + cmyk[marker + 2 + struct.unpack(">H", cmyk[marker + 2:marker + 4])[0]:]
    yield "cmyk_unmarked.jpg", bare, ink(stored, False)
    ycck = bytearray(cmyk)
    ycck[marker + 15] = 2  # the colour transform of the Adobe marker
    stored = 255 - np.array(Image.open(io.BytesIO(bytes(ycck)))).astype(np.uint8)
    yield "ycck.jpg", bytes(ycck), ink(stored, True)

    alpha = ((np.arange(13)[:, None] * 20 + np.arange(18)[None] * 3) % 256).astype(np.uint8)
    rgba = np.concatenate([p, alpha[..., None]], -1)
    yield "rgba.png", encoded(Image.fromarray(rgba), "PNG"), over_white(p, alpha)
    g = np.array(grey)
    grey_alpha = Image.merge("LA", (grey, Image.fromarray(alpha)))
    yield "grey_alpha.png", encoded(grey_alpha, "PNG"), over_white(np.stack([g] * 3, -1), alpha)
    palette = rgb.quantize(13)
    index = np.array(palette)
    yield ("palette_transparent.png", encoded(palette, "PNG", transparency=int(index[4, 5])),
           over_white(np.array(palette.convert("RGB")), np.where(index == index[4, 5], 0, 255).astype(np.uint8)))
    deep = p.astype(np.uint16) * 257 + (p[..., ::-1] // 3)
    deep = np.minimum(deep.astype(int), 65535)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in deep)
    yield "rgb16.png", png(struct.pack(">IIBBBBB", 18, 13, 16, 2, 0, 0, 0), rows), np.floor(deep / 257 + 0.5).astype(np.uint8)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in deep[..., 0])
    yield ("grey16.png", png(struct.pack(">IIBBBBB", 18, 13, 16, 0, 0, 0, 0), rows),
           np.stack([np.floor(deep[..., 0] / 257 + 0.5).astype(np.uint8)] * 3, -1))


def operations(image):
    colour = image.mode == "RGB"
    fill = FILL if colour else FILL[0]

    def affine(*m):
        return image.transform(image.size, Image.AFFINE, m, Image.BILINEAR, fillcolor=fill)

    width, height = image.size
    yield "auto_contrast", 0, ImageOps.autocontrast(image)
    yield "equalize", 0, ImageOps.equalize(image)
    yield "invert", 0, ImageOps.invert(image)
    for v in (30, -17.5):
        yield "rotate", v, image.rotate(v, Image.BILINEAR, fillcolor=fill)
    for v in (1, 4):
        yield "posterize", v, ImageOps.posterize(image, v)
    yield "solarize", 77, ImageOps.solarize(image, 77)
    yield "solarize_add", 50, image.point(lambda v: min(255, v + 50) if v < 128 else v)
    for v in (0.1, 0.73, 1.81):
        if colour:
            yield "color", v, ImageEnhance.Color(image).enhance(v)
        yield "contrast", v, ImageEnhance.Contrast(image).enhance(v)
        yield "brightness", v, ImageEnhance.Brightness(image).enhance(v)
        yield "sharpness", v, ImageEnhance.Sharpness(image).enhance(v)
    yield "shear_x", 0.27, affine(1, 0.27, 0, 0, 1, 0)
    yield "shear_y", -0.21, affine(1, 0, 0, -0.21, 1, 0)
    yield "translate_x", 0.31, affine(1, 0, 0.31 * width, 0, 1, 0)
    yield "translate_y", -0.4, affine(1, 0, 0, 0, 1, -0.4 * height)


def main():
    with h5py.File(os.path.join(os.path.dirname(os.path.abspath(__file__)), "image.h5"), "w", track_order=False) as f:
        for name, content, pixels in files():
            f["file/" + name] = np.frombuffer(content, np.uint8)
            f["pixels/" + name] = pixels
        noisy = picture(23, 17).astype(int) * 3 // 4 + np.random.RandomState(3).randint(0, 50, (23, 17, 3))
        rgb = Image.fromarray(noisy.astype(np.uint8))
        for image in (rgb, rgb.convert("L")):
            channels = len(image.getbands())
            f["source_%d" % channels] = np.array(image)
            filters = {"box": Image.BOX, "bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC}
            for name, kind in filters.items():
                for h, w in ((23, 40), (64, 17), (50, 60), (7, 5), (10, 30), (1, 1)):
                    f["resize/%s_%dx%d_%d" % (name, h, w, channels)] = np.array(image.resize((w, h), kind))
            for name, value, result in operations(image):
                f["operation/%s_%s_%d" % (name, value, channels)] = np.array(result)


if __name__ == "__main__":
    main()
