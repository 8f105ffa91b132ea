#!/usr/bin/python3
"""Makes nn.h5: layers of PyTorch with all weights, inputs, outputs and gradients. Needs PyTorch 2.13 and h5py (pip).

Everything is f64, drawn from a fixed seed. Layout, for every case:
  <case>/input/<name>      <case>/parameter/<our name>
  <case>/output            <case>/cotangent: the loss is sum(output * cotangent)
  <case>/gradient/input/<name>   <case>/gradient/parameter/<our name>
  <case>/mask/<name>       masks in our sense: u8, 1 = may be attended to (torch: True = may not), or f64 to be added
"""
import os

import h5py
import numpy as np
import torch
from torch import nn

torch.set_default_dtype(torch.float64)
torch.manual_seed(11)


def random(*shape):
    return torch.randn(*shape)


def randomise(module):
    with torch.no_grad():
        for name, p in module.named_parameters():
            p.copy_(torch.randn(p.shape) * 0.5 + (1.0 if "norm" in name and name.endswith("weight") else 0.0))
    return module


class Writer:
    def __init__(self, file):
        self.file = file

    def case(self, name, parameters, inputs, run, masks=None, extra=None):
        """parameters: our name -> tensor or list of (part index, packed tensor); inputs: name -> tensor; run() -> output."""
        output = run()
        cotangent = random(*output.shape)
        leaves = [p for p in parameters.values()] + [x for x in inputs.values() if x.is_floating_point()]
        sources = {id(t[0] if isinstance(t, tuple) else t): (t[0] if isinstance(t, tuple) else t) for t in leaves}
        gradients = dict(zip(sources, torch.autograd.grad(output, list(sources.values()), cotangent, allow_unused=True)))

        def put(path, value):
            self.file[name + "/" + path] = value.detach().numpy()

        put("output", output)
        put("cotangent", cotangent)
        for key, x in inputs.items():
            put("input/" + key, x)
            if x.is_floating_point():
                put("gradient/input/" + key, gradients[id(x)])
        for key, p in parameters.items():
            if isinstance(p, tuple):  # (packed tensor, part, number of parts)
                put("parameter/" + key, p[0].chunk(p[2])[p[1]])
                put("gradient/parameter/" + key, gradients[id(p[0])].chunk(p[2])[p[1]])
            else:
                put("parameter/" + key, p)
                put("gradient/parameter/" + key, gradients[id(p)])
        for key, m in (masks or {}).items():
            put("mask/" + key, m)
        for key, value in (extra or {}).items():
            put(key, value)


def attention_parameters(m, prefix=""):
    out = {}
    for i, part in enumerate(("query", "key", "value")):
        packed = getattr(m, "in_proj_weight")
        out[prefix + part + "/weight"] = (packed, i, 3) if packed is not None else getattr(m, part[0] + "_proj_weight")
        if m.in_proj_bias is not None:
            out[prefix + part + "/bias"] = (m.in_proj_bias, i, 3)
    out[prefix + "output/weight"] = m.out_proj.weight
    if m.out_proj.bias is not None:
        out[prefix + "output/bias"] = m.out_proj.bias
    return out


def linear_and_norm_parameters(layer, names):
    """names: PyTorch's name of a part of a transformer layer -> ours."""
    out = {}
    for theirs, ours in names.items():
        part = getattr(layer, theirs)
        out[ours + "/weight"] = part.weight
        if part.bias is not None:
            out[ours + "/bias"] = part.bias
    return out


def encoder_layer_parameters(layer, prefix=""):
    return attention_parameters(layer.self_attn, prefix + "attention/") | linear_and_norm_parameters(layer, {
        "norm1": prefix + "attention_norm", "linear1": prefix + "feed_forward/inner", "linear2": prefix + "feed_forward/outer",
        "norm2": prefix + "feed_forward_norm"})


def decoder_layer_parameters(layer, prefix=""):
    return (attention_parameters(layer.self_attn, prefix + "self_attention/")
            | attention_parameters(layer.multihead_attn, prefix + "cross_attention/")
            | linear_and_norm_parameters(layer, {
                "norm1": prefix + "self_attention_norm", "norm2": prefix + "cross_attention_norm",
                "linear1": prefix + "feed_forward/inner", "linear2": prefix + "feed_forward/outer", "norm3": prefix + "feed_forward_norm"}))


def stack_parameters(stack, of_layer):
    out = linear_and_norm_parameters(stack, {"norm": "norm"})
    for i, layer in enumerate(stack.layers):
        out |= of_layer(layer, str(i) + "/")
    return out


def leaf(*shape):
    return random(*shape).requires_grad_()


def kept(mask):
    return (~mask).to(torch.uint8)


def main():
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "nn.h5")
    with h5py.File(path, "w", libver="latest") as f:
        w = Writer(f)

        m = randomise(nn.Linear(5, 3))
        x = leaf(2, 4, 5)
        w.case("linear", {"weight": m.weight, "bias": m.bias}, {"x": x}, lambda: m(x))
        m1 = randomise(nn.Linear(5, 3, bias=False))
        w.case("linear_no_bias", {"weight": m1.weight}, {"x": x}, lambda: m1(x))

        m2 = nn.LayerNorm(7, eps=1e-5)
        with torch.no_grad():
            m2.weight.copy_(1 + 0.5 * random(7))
            m2.bias.copy_(random(7))
        y = leaf(3, 2, 7)
        w.case("layer_norm", {"weight": m2.weight, "bias": m2.bias}, {"x": y}, lambda: m2(y))

        m3 = randomise(nn.Embedding(6, 4))
        ids = torch.tensor([[1, 5, 1], [0, 3, 1]])
        w.case("embedding", {"weight": m3.weight}, {"ids": ids}, lambda: m3(ids))

        # attention: batch 2, target length 3, source length 4, width 6, 2 heads
        q, k, v = leaf(2, 3, 6), leaf(2, 4, 6), leaf(2, 4, 6)
        qkv = {"query": q, "key": k, "value": v}
        boolean = torch.tensor([[False, True, False, False], [False, False, True, True], [True, False, False, False]])
        added = random(3, 4)
        padding = torch.tensor([[False, False, False, True], [False, False, True, True]])
        for name, arguments, masks in (
            ("plain", {}, {}),
            ("boolean_mask", {"attn_mask": boolean}, {"mask": kept(boolean)}),
            ("float_mask", {"attn_mask": added}, {"mask": added}),
            ("key_padding", {"key_padding_mask": padding}, {"key": kept(padding)}),
            ("boolean_mask_key_padding", {"attn_mask": boolean, "key_padding_mask": padding}, {"mask": kept(boolean), "key": kept(padding)}),
        ):
            a = randomise(nn.MultiheadAttention(6, 2, batch_first=True))
            averaged = a(q, k, v, **arguments)[1]
            single = a(q, k, v, average_attn_weights=False, **arguments)[1]
            w.case("attention/" + name, attention_parameters(a), qkv, lambda: a(q, k, v, **arguments)[0], masks,
                   {"weights": averaged, "weights_per_head": single})
        a = randomise(nn.MultiheadAttention(6, 2, batch_first=True, bias=False))
        w.case("attention/no_bias", attention_parameters(a), qkv, lambda: a(q, k, v)[0])
        a2 = randomise(nn.MultiheadAttention(6, 3, kdim=5, vdim=4, batch_first=True))
        k2, v2 = leaf(2, 4, 5), leaf(2, 4, 4)
        w.case("attention/kdim_vdim", attention_parameters(a2), {"query": q, "key": k2, "value": v2}, lambda: a2(q, k2, v2)[0])
        a3 = randomise(nn.MultiheadAttention(6, 2, batch_first=True))
        s = leaf(2, 5, 6)
        causal = torch.ones(5, 5, dtype=torch.bool).triu(1)
        w.case("attention/causal_self", attention_parameters(a3), {"query": s}, lambda: a3(s, s, s, attn_mask=causal)[0])

        for activation in ("relu", "gelu"):
            for norm_first in (False, True):
                e = randomise(nn.TransformerEncoderLayer(6, 2, 10, 0.0, activation, 1e-5, True, norm_first))
                z = leaf(2, 4, 6)
                name = "encoder_layer/" + activation + ("_pre" if norm_first else "_post")
                w.case(name, encoder_layer_parameters(e), {"x": z}, lambda: e(z, src_key_padding_mask=padding), {"key": kept(padding)})

        transformer_cases(w, padding)

        n = randomise(nn.RMSNorm(7, eps=1e-2))
        u = leaf(3, 2, 7)
        w.case("rms_norm", {"weight": n.weight}, {"x": u}, lambda: n(u))


def transformer_cases(w, padding):
    """Layers and stacks of two, pre- and post-norm, with masks of every kind: 4 tokens that decode, 5 of memory, width 4, 2 heads."""
    masks = {"added": random(4, 4), "memory_added": random(4, 5)}
    causal = torch.ones(4, 4, dtype=torch.bool).triu(1)
    memory_padding = torch.tensor([[False, False, False, True, True], [False, False, False, False, False]])
    key, memory_key = kept(padding), kept(memory_padding)
    padding_added = torch.zeros(2, 4).masked_fill(padding, -torch.inf)  # PyTorch wants masks that are added in one call to be of one kind
    memory_padding_added = torch.zeros(2, 5).masked_fill(memory_padding, -torch.inf)
    for norm_first in (False, True):
        form = "pre" if norm_first else "post"
        arguments = {"d_model": 4, "nhead": 2, "dim_feedforward": 6, "dropout": 0.0, "activation": "gelu", "layer_norm_eps": 1e-5,
                     "batch_first": True, "norm_first": norm_first}
        x, memory = leaf(2, 4, 4), leaf(2, 5, 4)

        e = randomise(nn.TransformerEncoderLayer(**arguments, bias=False))
        w.case("encoder_layer/no_bias_masks_" + form, encoder_layer_parameters(e), {"x": x},
               lambda: e(x, src_mask=masks["added"], src_key_padding_mask=padding_added), {"added": masks["added"], "key": key})
        e = randomise(nn.TransformerEncoder(nn.TransformerEncoderLayer(**arguments), 2, nn.LayerNorm(4), enable_nested_tensor=False))
        w.case("encoder/" + form, stack_parameters(e, encoder_layer_parameters), {"x": x}, lambda: e(x, src_key_padding_mask=padding),
               {"key": key})

        d = randomise(nn.TransformerDecoderLayer(**arguments))
        both = {"x": x, "memory": memory}
        w.case("decoder_layer/causal_" + form, decoder_layer_parameters(d), both,
               lambda: d(x, memory, tgt_mask=causal, tgt_key_padding_mask=padding, memory_key_padding_mask=memory_padding),
               {"key": key, "memory_key": memory_key})
        d = randomise(nn.TransformerDecoderLayer(**(arguments | {"activation": "relu"}), bias=False))
        w.case("decoder_layer/no_bias_masks_" + form, decoder_layer_parameters(d), both,
               lambda: d(x, memory, tgt_mask=masks["added"], memory_mask=masks["memory_added"], tgt_key_padding_mask=padding_added,
                         memory_key_padding_mask=memory_padding_added), masks | {"key": key, "memory_key": memory_key})
        d = randomise(nn.TransformerDecoder(nn.TransformerDecoderLayer(**arguments), 2, nn.LayerNorm(4)))
        w.case("decoder/" + form, stack_parameters(d, decoder_layer_parameters), both,
               lambda: d(x, memory, tgt_mask=causal, memory_key_padding_mask=memory_padding), {"memory_key": memory_key})


if __name__ == "__main__":
    main()
