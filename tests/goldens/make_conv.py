#!/usr/bin/python3
"""Makes conv.h5: convolution and image normalisation of PyTorch with weights, inputs, outputs and all gradients.

Layout and helpers as in make_nn.py, except for batch_norm, whose running statistics are not trained:
  batch_norm/{x, weight, bias, running_mean, running_variance, cotangent}, .../{training, evaluation}/{output, dx, dweight, dbias} and
  batch_norm/after/{running_mean, running_variance}: the statistics after one batch in training
"""
import os

import h5py
import torch
from torch import nn
from torch.nn import functional as F

from make_nn import Writer, leaf, random, randomise


def standardize(w, eps=1e-5, root=True):
    var, mean = torch.var_mean(w, dim=[1, 2, 3], keepdim=True, unbiased=False)
    return (w - mean) / (torch.sqrt(var + eps) if root else torch.sqrt(var) + eps)


def main():
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "conv.h5")
    with h5py.File(path, "w", track_order=False) as f:
        w = Writer(f)
        for name, module, x in (
            ("conv2d/plain", nn.Conv2d(3, 4, 3, stride=2, padding=1), leaf(2, 3, 5, 6)),
            ("conv2d/groups", nn.Conv2d(4, 6, 2, padding=1, dilation=2, groups=2, bias=False), leaf(2, 4, 4, 4)),
        ):
            m = randomise(module)
            parameters = {"weight": m.weight} | ({"bias": m.bias} if m.bias is not None else {})
            w.case(name, parameters, {"x": x}, lambda: m(x))

        for form in ("root", "sum"):
            m = randomise(nn.Conv2d(3, 5, 3, bias=False))
            x = leaf(2, 3, 4, 5)
            # TensorFlow's SAME padding for a stride of 2: nothing before and one after at even sizes, one on both sides at odd ones
            w.case("std_conv2d/" + form, {"weight": m.weight}, {"x": x},
                   lambda: F.conv2d(F.pad(x, (1, 1, 0, 1)), standardize(m.weight, root=form == "root"), stride=2))

        g = nn.GroupNorm(2, 6, eps=1e-6)
        with torch.no_grad():
            g.weight.copy_(1 + 0.5 * random(6))
            g.bias.copy_(random(6))
        x = leaf(3, 6, 2, 4)
        w.case("group_norm", {"weight": g.weight, "bias": g.bias}, {"x": x}, lambda: g(x))

        p = randomise(nn.Conv2d(3, 7, 2, stride=2))
        x = leaf(2, 3, 4, 6)
        w.case("patch_embedding", {"weight": p.weight, "bias": p.bias}, {"x": x}, lambda: p(x).flatten(2).transpose(1, 2))

        b = nn.BatchNorm2d(4, eps=1e-3, momentum=0.2)
        with torch.no_grad():
            b.weight.copy_(1 + 0.5 * random(4))
            b.bias.copy_(random(4))
            b.running_mean.copy_(random(4))
            b.running_var.copy_(0.5 + torch.rand(4))
        x, cotangent = leaf(3, 4, 2, 5), random(3, 4, 2, 5)
        for key, value in (("x", x), ("cotangent", cotangent), ("weight", b.weight), ("bias", b.bias), ("running_mean", b.running_mean),
                           ("running_variance", b.running_var)):
            f["batch_norm/" + key] = value.detach().numpy().copy()
        for mode in ("evaluation", "training"):
            b.train(mode == "training")
            y = b(x)
            gradients = torch.autograd.grad(y, [x, b.weight, b.bias], cotangent)
            for key, value in zip(("output", "dx", "dweight", "dbias"), (y, *gradients)):
                f["batch_norm/%s/%s" % (mode, key)] = value.detach().numpy()
        f["batch_norm/after/running_mean"] = b.running_mean.numpy()
        f["batch_norm/after/running_variance"] = b.running_var.numpy()


if __name__ == "__main__":
    main()
