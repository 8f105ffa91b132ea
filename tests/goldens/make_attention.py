#!/usr/bin/python3
"""Makes attention.h5: attention of PyTorch beyond the plain layer, with outputs and all gradients. Needs PyTorch 2.13 and h5py.

Everything is f64 from a fixed seed; the layout is that of make_nn.py. Queries, keys and values are [B, T, H, D] as ours are. Masks and biases
stand for [B, H, Tq, Tk]; a mask says what may be attended to.
"""
import os

import h5py
import torch
from torch import nn
from torch.nn.functional import linear, scaled_dot_product_attention

from make_nn import Writer, attention_parameters, kept, leaf, random, randomise

torch.manual_seed(13)


def sdpa(q, k, v, **arguments):
    by_head = (t.transpose(1, 2) for t in (q, k, v))
    return scaled_dot_product_attention(*by_head, enable_gqa=True, **arguments).transpose(1, 2)


def ops(w):
    q, k, v = leaf(2, 3, 4, 5), leaf(2, 6, 2, 5), leaf(2, 6, 2, 5)
    qkv = {"query": q, "key": k, "value": v}
    w.case("op/gqa_causal", {}, qkv, lambda: sdpa(q, k, v, is_causal=True))
    k1, v1 = leaf(2, 6, 1, 5), leaf(2, 6, 1, 5)
    allowed = torch.rand(2, 1, 3, 6) < 0.6
    allowed[..., 0] = True
    w.case("op/mqa_mask", {}, {"query": q, "key": k1, "value": v1}, lambda: sdpa(q, k1, v1, attn_mask=allowed, scale=0.3),
           {"mask": allowed.to(torch.uint8)})
    # Of PyTorch's two arguments for what is added and what is removed there is one: here a bias where removed is -inf.
    for name, shape in (("head", (4, 3, 6)), ("sample", (2, 1, 3, 6)), ("keys", (4, 1, 6)), ("all", (2, 4, 3, 6))):
        bias = leaf(*shape)
        w.case("op/bias_of_" + name, {}, qkv | {"bias": bias},
               lambda: sdpa(q, k, v, attn_mask=bias.expand(2, 4, 3, 6).masked_fill(~allowed, float("-inf"))), {"mask": allowed.to(torch.uint8)})
    offset = 2  # query i stands at position offset + i
    visible = torch.ones(3, 6, dtype=torch.bool).tril(offset)
    w.case("op/offset", {}, qkv, lambda: sdpa(q, k, v, attn_mask=visible))


def relative_index(window):
    """index(i, j) = (row distance + window - 1) (2 window - 1) + column distance + window - 1, tokens row by row."""
    rows, columns = (t.flatten() for t in torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij"))
    row, column = (t[:, None] - t[None, :] + window - 1 for t in (rows, columns))
    return row * (2 * window - 1) + column


def shifted_window_mask(size, window, shift):
    """-100 where two tokens of a window come from different regions of the image before it was rolled, else 0: [windows, N, N]."""
    region = torch.zeros(size, size)
    slices = (slice(0, -window), slice(-window, -shift), slice(-shift, None))
    for number, (rows, columns) in enumerate((a, b) for a in slices for b in slices):
        region[rows, columns] = number
    windows = region.reshape(size // window, window, size // window, window).transpose(1, 2).reshape(-1, window * window)
    return torch.where(windows[:, None, :] == windows[:, :, None], 0.0, -100.0)


def windows(w):
    """Attention in shifted windows: softmax(q k^T / sqrt(D) + table[index] + mask) v, window b under mask b mod (windows of an image)."""
    size, window, heads, width, images = 4, 2, 2, 6, 2
    tokens, head_width = window * window, width // heads
    mask = shifted_window_mask(size, window, 1)
    x, table = leaf(images * mask.shape[0], tokens, width), leaf((2 * window - 1) ** 2, heads)
    names = ("query", "key", "value", "output")
    weights = {n: (random(width, width) * 0.5).requires_grad_() for n in names}
    biases = {n: random(width).requires_grad_() for n in names}
    index = relative_index(window)

    def run():
        q, k, v = (linear(x, weights[n], biases[n]).reshape(-1, tokens, heads, head_width).transpose(1, 2) for n in names[:3])
        scores = q @ k.transpose(-2, -1) * head_width ** -0.5
        scores = scores + table[index.flatten()].reshape(tokens, tokens, heads).permute(2, 0, 1)
        scores = (scores.reshape(images, -1, heads, tokens, tokens) + mask[None, :, None]).reshape(-1, heads, tokens, tokens)
        return linear((scores.softmax(-1) @ v).transpose(1, 2).flatten(2), weights["output"], biases["output"])

    parameters = {n + "/weight": weights[n] for n in names} | {n + "/bias": biases[n] for n in names}
    w.case("layer/windows", parameters, {"x": x, "table": table, "index": index.flatten()}, run, {"added": mask[:, None]})


def decoding(w):
    """Causal self-attention with 4 heads of width 3 over 2 of keys and values, width 8, and the same sequences continued: what a cache must give."""
    heads, kv_heads, head_width, width, tokens = 4, 2, 3, 8, 7
    x = leaf(2, tokens, width)
    sizes = {"query": (heads * head_width, width), "key": (kv_heads * head_width, width), "value": (kv_heads * head_width, width),
             "output": (width, heads * head_width)}
    weights = {n: (random(*s) * 0.5).requires_grad_() for n, s in sizes.items()}
    biases = {n: random(s[0]).requires_grad_() for n, s in sizes.items()}

    def run():
        q, k, v = (linear(x, weights[n], biases[n]).reshape(2, tokens, -1, head_width) for n in ("query", "key", "value"))
        return linear(sdpa(q, k, v, is_causal=True).flatten(2), weights["output"], biases["output"])

    w.case("layer/decoding", {n + "/weight": t for n, t in weights.items()} | {n + "/bias": t for n, t in biases.items()}, {"x": x}, run)


def cross(w):
    """nn.MultiheadAttention over a memory of other length and width, padded, with a bias for every sample and head (its rows: b * heads + h)."""
    heads, queries, keys = 2, 3, 5
    a = randomise(nn.MultiheadAttention(6, heads, kdim=4, vdim=4, batch_first=True))
    x, memory, bias = leaf(2, queries, 6), leaf(2, keys, 4), leaf(2, heads, queries, keys)
    padding = torch.tensor([[False, False, False, True, True], [False, False, False, False, True]])
    added = torch.zeros(2, keys).masked_fill(padding, float("-inf"))
    w.case("layer/cross", attention_parameters(a), {"x": x, "memory": memory, "bias": bias},
           lambda: a(x, memory, memory, attn_mask=bias.flatten(0, 1), key_padding_mask=added, need_weights=False)[0], {"key": kept(padding)})


def main():
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "attention.h5")
    with h5py.File(path, "w", libver="latest") as f:
        w = Writer(f)
        ops(w)
        windows(w)
        decoding(w)
        cross(w)


if __name__ == "__main__":
    main()
