#!/usr/bin/python3
"""Makes vit_real.h5: losses of 50 steps of the models of cifar10.cfg and image_folder.cfg on real images, without dropout and augmentation.

Usage: make_vit_real.py FOLDER, with FOLDER/cifar10-part (binary batches, gzip) and FOLDER/tiny-imagenet-20/train/<class>/**/*.JPEG.
Weights by formula as in make_vit.py, all in f32. Step s shows images number 37 (32 s + j) mod size, j = 0 ... 31, in the order of the files
(classes and paths in byte order); AdamW, lr 5e-4 after 5 steps of warm-up, decay .05 of matrices.
  <set>/curve: losses before each step
Needs Debian's python3-torch, python3-h5py and python3-pil.
"""
import gzip
import os
import sys

import h5py
import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from make_vit import NO_DECAY, logits_of, parameters_of

BATCH, STEPS = 32, 50


def cifar(folder):
    raw = np.frombuffer(gzip.open(os.path.join(folder, "cifar10-part", "data_batch_1.bin.gz")).read(), np.uint8).reshape(-1, 3073)
    mean, deviation = np.array([0.4914, 0.4822, 0.4465]), np.array([0.2470, 0.2435, 0.2616])

    def image(i):
        planes = raw[i, 1:].reshape(3, 32, 32) / 255.0
        return (planes - mean[:, None, None]) / deviation[:, None, None], int(raw[i, 0])

    return len(raw), image, 32, 4, 10


def tiny_imagenet(folder):
    root = os.path.join(folder, "tiny-imagenet-20", "train")
    files = []
    for label, name in enumerate(sorted(os.listdir(root))):
        here = [os.path.join(at, f) for at, _, names in os.walk(os.path.join(root, name)) for f in names if f.lower().endswith(".jpeg")]
        files += [(path, label) for path in sorted(here)]
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])

    def image(i):
        planes = np.asarray(Image.open(files[i][0]).convert("RGB")).transpose(2, 0, 1) / 255.0
        return (planes - mean[:, None, None]) / deviation[:, None, None], files[i][1]

    return len(files), image, 64, 8, 20


def curve(size, image, pixels, patch, classes):
    o = dict(image=pixels, patch=patch, channels=3, hidden=192, heads=3, mlp=768, layers=6, classes=classes, head="token", gelu="none", eps=1e-6)
    p = {n: v.detach().float().requires_grad_() for n, v in parameters_of(o).items()}
    decays = {n: not (n.endswith(NO_DECAY) or "norm" in n) for n in p}
    optimizer = torch.optim.AdamW([{"params": [v for n, v in p.items() if decays[n]], "weight_decay": 0.05},
                                   {"params": [v for n, v in p.items() if not decays[n]], "weight_decay": 0.0}], eps=1e-8)
    losses = []
    for step in range(STEPS):
        examples = [image(37 * (BATCH * step + j) % size) for j in range(BATCH)]
        x = torch.from_numpy(np.stack([e[0] for e in examples]).astype(np.float32))
        y = torch.tensor([e[1] for e in examples])
        for group in optimizer.param_groups:
            group["lr"] = 5e-4 * min((step + 1) / 5, 1)
        optimizer.zero_grad()
        loss = F.cross_entropy(logits_of(p, x, o), y)
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
    return losses


def main():
    torch.set_num_threads(2)
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "vit_real.h5")
    with h5py.File(path, "w") as f:
        for name, read in (("cifar10", cifar), ("tiny_imagenet", tiny_imagenet)):
            losses = curve(*read(sys.argv[1]))
            f[name + "/curve"] = np.array(losses)
            print(name, losses[0], losses[10], losses[-1], flush=True)


if __name__ == "__main__":
    main()
