#!/usr/bin/python3
"""Makes vit.h5: vision transformers written with PyTorch's functions, their logits, gradients and learning curves.

Weights follow a formula that both sides compute, so they are not stored: element i of parameter number t (in the order of our store) is
  0.15 sin(0.7 i + 0.01 i^2 + 0.3 t + 0.1), plus 1 for the weights of normalisations.
Images are stored (f32). Convolutions normalise by the statistics of the batch, as in training. For every case, in f64:
  <case>/images, <case>/labels, <case>/logits, <case>/loss: the mean cross-entropy
  <case>/gradient/<our name>: [sum, norm, first element] of the gradient of each parameter
  <case>/curve: losses before each of 50 steps of AdamW, and their learning rates, <case>/rates (not for every case)
Needs Debian's python3-torch and python3-h5py.
"""
import math
import os

import h5py
import numpy as np
import torch
from torch.nn import functional as F

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)


def shapes_of(o):
    """Names and shapes of all parameters, in the order of our store."""
    out = {}
    channels, size = o["channels"], o["image"]
    if "blocks" in o:
        width = o["stem_width"]

        def norm(name, n):
            out[name + "/weight"], out[name + "/bias"] = (n,), (n,)

        out["stem/root/conv/weight"] = (width, channels, 7, 7)
        norm("stem/root/norm", width)
        inner, last, number = width, width, 0
        for stage, count in enumerate(o["blocks"]):
            for i in range(count):
                p = "stem/blocks/%d/" % number
                out[p + "conv1/weight"] = (inner, last, 1, 1)
                norm(p + "norm1", inner)
                out[p + "conv2/weight"] = (inner, inner, 3, 3)
                norm(p + "norm2", inner)
                out[p + "conv3/weight"] = (4 * inner, inner, 1, 1)
                norm(p + "norm3", 4 * inner)
                if last != 4 * inner or (stage > 0 and i == 0):
                    out[p + "shortcut_conv/weight"] = (4 * inner, last, 1, 1)
                    norm(p + "shortcut_norm", 4 * inner)
                last, number = 4 * inner, number + 1
            inner *= 2
        channels, size = last, o["features"]
    last = channels
    for i, n in enumerate(o.get("convolutions", ())):
        p = "stem/%d/" % i
        out[p + "conv/weight"], out[p + "norm/weight"], out[p + "norm/bias"] = (n, last, 3, 3), (n,), (n,)
        channels, size, last = n, -(-size // o["strides"][i]), n
    h, m, token = o["hidden"], o["mlp"], o["head"] == "token"
    out["patches/weight"], out["patches/bias"] = (h, channels, o["patch"], o["patch"]), (h,)
    if token:
        out["class_token"] = (h,)
    out["positions"] = ((size // o["patch"]) ** 2 + token, h)
    for n in range(o["layers"]):
        p = "encoder/%d/" % n
        for part in ("query", "key", "value", "output"):
            out[p + "attention/" + part + "/weight"], out[p + "attention/" + part + "/bias"] = (h, h), (h,)
        out[p + "attention_norm/weight"], out[p + "attention_norm/bias"] = (h,), (h,)
        out[p + "feed_forward/inner/weight"], out[p + "feed_forward/inner/bias"] = (m, h), (m,)
        out[p + "feed_forward/outer/weight"], out[p + "feed_forward/outer/bias"] = (h, m), (h,)
        out[p + "feed_forward_norm/weight"], out[p + "feed_forward_norm/bias"] = (h,), (h,)
    out["encoder/norm/weight"], out["encoder/norm/bias"] = (h,), (h,)
    last = h
    if o.get("representation"):
        last = o["representation"]
        out["representation/weight"], out["representation/bias"] = (last, h), (last,)
    out["head/weight"], out["head/bias"] = (o["classes"], last), (o["classes"],)
    return out


def parameters_of(o):
    out = {}
    for t, (name, shape) in enumerate(shapes_of(o).items()):
        i = torch.arange(math.prod(shape))
        v = 0.15 * torch.sin(0.7 * i + 0.01 * i * i + 0.3 * t + 0.1)
        if "norm" in name and name.endswith("weight"):
            v = v + 1
        out[name] = v.reshape(shape).requires_grad_()
    return out


def same_pad(x, kernel, stride, value=0.0):
    """TensorFlow's SAME padding."""
    sides = []
    for size in (x.shape[-1], x.shape[-2]):
        total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
        sides += [total // 2, total - total // 2]
    return F.pad(x, sides, value=value)


def stem(p, x, o):
    flax = o["form"] == "flax"

    def conv(name, x, stride=1):
        w = p[name + "/weight"]
        var, mean = torch.var_mean(w, dim=[1, 2, 3], keepdim=True, unbiased=False)
        w = (w - mean) / (torch.sqrt(var) + 1e-5 if flax else torch.sqrt(var + 1e-5))
        k = w.shape[-1]
        return F.conv2d(same_pad(x, k, stride), w, stride=stride) if flax else F.conv2d(x, w, stride=stride, padding=k // 2)

    def norm(name, x, groups=32, eps=1e-6):
        return F.group_norm(x, groups, p[name + "/weight"], p[name + "/bias"], eps)

    x = F.relu(norm("stem/root/norm", conv("stem/root/conv", x, 2)))
    x = F.max_pool2d(same_pad(x, 3, 2, -math.inf) if flax else x, 3, 2)
    number = 0
    for stage, count in enumerate(o["blocks"]):
        for i in range(count):
            b = "stem/blocks/%d/" % number
            stride = 2 if stage > 0 and i == 0 else 1
            shortcut = x
            if b + "shortcut_conv/weight" in p:
                shortcut = conv(b + "shortcut_conv", x, stride)
                shortcut = norm(b + "shortcut_norm", shortcut, *(() if flax else (shortcut.shape[1], 1e-5)))
            y = F.relu(norm(b + "norm1", conv(b + "conv1", x)))
            y = F.relu(norm(b + "norm2", conv(b + "conv2", y, stride)))
            x = F.relu(shortcut + norm(b + "norm3", conv(b + "conv3", y)))
            number += 1
    return x


def convolutions(p, x, o):
    for i, stride in enumerate(o["strides"]):
        x = F.conv2d(x, p["stem/%d/conv/weight" % i], stride=stride, padding=1)
        x = F.relu(F.batch_norm(x, None, None, p["stem/%d/norm/weight" % i], p["stem/%d/norm/bias" % i], training=True))
    return x


def logits_of(p, images, o):
    h, heads = o["hidden"], o["heads"]
    x = stem(p, images, o) if "blocks" in o else convolutions(p, images, o) if "convolutions" in o else images
    x = F.conv2d(x, p["patches/weight"], p["patches/bias"], stride=o["patch"]).flatten(2).transpose(1, 2)
    if o["head"] == "token":
        x = torch.cat([p["class_token"].expand(x.shape[0], 1, h), x], 1)
    x = x + p["positions"]

    def linear(name, x):
        return F.linear(x, p[name + "/weight"], p[name + "/bias"])

    def norm(name, x):
        return F.layer_norm(x, (h,), p[name + "/weight"], p[name + "/bias"], o["eps"])

    def split(x):
        return x.reshape(x.shape[0], x.shape[1], heads, h // heads).transpose(1, 2)

    for n in range(o["layers"]):
        a = "encoder/%d/" % n
        y = norm(a + "attention_norm", x)
        q, k, v = (split(linear(a + "attention/" + part, y)) for part in ("query", "key", "value"))
        y = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(h // heads), -1) @ v
        x = x + linear(a + "attention/output", y.transpose(1, 2).reshape(x.shape))
        y = linear(a + "feed_forward/inner", norm(a + "feed_forward_norm", x))
        x = x + linear(a + "feed_forward/outer", F.gelu(y, approximate=o["gelu"]))
    x = norm("encoder/norm", x)
    x = x[:, 0] if o["head"] == "token" else x.mean(1)
    if o.get("representation"):
        x = torch.tanh(linear("representation", x))
    return linear("head", x)


CASES = {
    "token": dict(image=12, patch=4, channels=3, hidden=16, heads=2, mlp=24, layers=2, classes=5, head="token", gelu="none", eps=1e-6),
    "average": dict(image=12, patch=3, channels=1, hidden=16, heads=4, mlp=24, layers=2, classes=5, head="average", gelu="tanh", eps=1e-12,
                    representation=8),
    "hybrid_flax": dict(image=32, features=4, patch=1, channels=3, hidden=16, heads=2, mlp=24, layers=1, classes=5, head="token",
                        gelu="none", eps=1e-6, blocks=(2, 1), stem_width=32, form="flax"),
    "hybrid_torch_port": dict(image=40, features=5, patch=1, channels=3, hidden=16, heads=2, mlp=24, layers=1, classes=5, head="token",
                              gelu="none", eps=1e-6, blocks=(2, 1), stem_width=32, form="torch_port"),
    "convolutions": dict(image=11, patch=3, channels=3, hidden=16, heads=2, mlp=24, layers=1, classes=5, head="token", gelu="none", eps=1e-6,
                         convolutions=(8, 12), strides=(1, 2)),
}
CURVES = {"token": 16, "average": 16, "convolutions": 16}  # images in a batch
NO_DECAY = ("bias", "class_token", "positions")


def curve(o, images, labels):
    """Losses of 50 steps of AdamW on one batch, lr 2e-3 after 5 steps of warm-up, cosine to 0; decay .05 of matrices only."""
    p = parameters_of(o)
    decays = {n: not (n.endswith(NO_DECAY) or "norm" in n) for n in p}
    optimizer = torch.optim.AdamW([{"params": [v for n, v in p.items() if decays[n]], "weight_decay": 0.05},
                                   {"params": [v for n, v in p.items() if not decays[n]], "weight_decay": 0.0}], eps=1e-8)
    rates = [2e-3 * min((s + 1) / 5, 0.5 * (1 + math.cos(math.pi * max(s - 5, 0) / 45))) for s in range(50)]
    losses = []
    for rate in rates:
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        loss = F.cross_entropy(logits_of(p, images, o), labels)
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
    return losses, rates


def main():
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "vit.h5")
    generator = np.random.RandomState(3)
    with h5py.File(path, "w") as f:
        for name, o in CASES.items():
            count = CURVES.get(name, 2)
            images = generator.randn(count, o["channels"], o["image"], o["image"]).astype(np.float32)
            labels = np.arange(count) % o["classes"]
            p = parameters_of(o)
            x, y = torch.from_numpy(images.astype(np.float64)), torch.from_numpy(labels)
            logits = logits_of(p, x, o)
            loss = F.cross_entropy(logits, y)
            gradients = torch.autograd.grad(loss, list(p.values()))
            f[name + "/images"], f[name + "/labels"] = images, labels
            f[name + "/logits"], f[name + "/loss"] = logits.detach().numpy(), np.array([loss.item()])
            for n, g in zip(p, gradients):
                f[name + "/gradient/" + n] = np.array([g.sum().item(), g.norm().item(), g.flatten()[0].item()])
            if name in CURVES:
                losses, rates = curve(o, x, y)
                f[name + "/curve"], f[name + "/rates"] = np.array(losses), np.array(rates)
                print(name, losses[0], losses[10], losses[-1])


if __name__ == "__main__":
    main()
