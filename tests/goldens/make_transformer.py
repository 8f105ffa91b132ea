#!/usr/bin/python3
"""Makes transformer.h5: torch.nn.Transformer in 24 combinations of its options and masks, and torch.nn.MultiheadAttention with the options
that layers do not use. Layout as in make_nn.py, but masks are PyTorch's: mask/<argument>, u8 with 1 = blocked, or f64 to be added."""
import itertools
import os

import h5py
import torch
from torch import nn

from make_nn import Writer, attention_parameters, decoder_layer_parameters, encoder_layer_parameters, leaf, random, randomise, stack_parameters

B, S, T, WIDTH, HEADS = 2, 5, 4, 4, 2


def some_blocked(*shape):
    """Every query is left its first key."""
    mask = torch.rand(shape) < 0.4
    mask[..., 0] = False
    return mask


def padding(length, *real):
    return torch.arange(length)[None, :] >= torch.tensor(real)[:, None]


def added(mask):
    return torch.zeros(mask.shape, dtype=torch.float64).masked_fill(mask, -torch.inf)


def mask_sets():
    """PyTorch wants the masks of one attention to be of one kind."""
    causal = torch.ones(T, T, dtype=torch.bool).triu(1)
    source, target = padding(S, 5, 3), padding(T, 4, 2)
    return [
        {},
        {"tgt_mask": causal, "src_key_padding_mask": source, "memory_key_padding_mask": source, "tgt_key_padding_mask": target},
        {"src_mask": some_blocked(S, S), "tgt_mask": some_blocked(T, T), "memory_mask": some_blocked(T, S)},
        {"src_mask": random(S, S), "tgt_mask": random(T, T), "memory_mask": random(T, S), "src_key_padding_mask": added(source),
         "memory_key_padding_mask": added(source), "tgt_key_padding_mask": added(target)},
        {"src_mask": some_blocked(B * HEADS, S, S), "tgt_mask": some_blocked(B * HEADS, T, T), "memory_mask": some_blocked(B * HEADS, T, S),
         "src_key_padding_mask": source, "memory_key_padding_mask": source},
        {"src_mask": random(B * HEADS, S, S), "tgt_mask": random(B * HEADS, T, T), "memory_mask": random(B * HEADS, T, S)},
    ]


def stored(masks):
    return {k: m.to(torch.uint8) if m.dtype == torch.bool else m for k, m in masks.items()}


def prefixed(prefix, parameters):
    return {prefix + k: v for k, v in parameters.items()}


def transformers(w):
    sets = mask_sets()
    for n, (norm_first, gelu, bias) in enumerate(itertools.product((False, True), repeat=3)):
        for k in range(3):
            masks, batch_first = sets[(n + 2 * k) % len(sets)], (n + k) % 2 == 0
            encoder_layers, decoder_layers = ((1, 1), (2, 1), (1, 2))[k]
            m = randomise(nn.Transformer(WIDTH, HEADS, encoder_layers, decoder_layers, 6, 0.0, "gelu" if gelu else "relu",
                                         layer_norm_eps=(1e-5, 1e-3)[n % 2], batch_first=batch_first, norm_first=norm_first, bias=bias))
            source, target = (leaf(B, S, WIDTH), leaf(B, T, WIDTH)) if batch_first else (leaf(S, B, WIDTH), leaf(T, B, WIDTH))
            parameters = prefixed("encoder/", stack_parameters(m.encoder, encoder_layer_parameters))
            parameters |= prefixed("decoder/", stack_parameters(m.decoder, decoder_layer_parameters))
            w.case(f"transformer/{3 * n + k}", parameters, {"source": source, "target": target}, lambda: m(source, target, **masks),
                   stored(masks), {"options": torch.tensor([norm_first, gelu, bias, batch_first, encoder_layers, decoder_layers, n % 2])})


def attentions(w):
    query, key, value = leaf(B, T, WIDTH), leaf(B, S, WIDTH), leaf(B, S, WIDTH)
    narrow_key, wide_value = leaf(B, S, 3), leaf(B, S, 6)
    cases = {
        "extra": ({"add_bias_kv": True}, {"attn_mask": some_blocked(T, S)}),
        "zero": ({"add_zero_attn": True}, {"attn_mask": random(B * HEADS, T, S)}),
        "extra_and_zero": ({"add_bias_kv": True, "add_zero_attn": True}, {"key_padding_mask": padding(S, 3, 5)}),
        "widths": ({"kdim": 3, "vdim": 6}, {"attn_mask": random(T, S), "key_padding_mask": added(padding(S, 3, 5))}),
        "extra_and_zero_causal": ({"add_bias_kv": True, "add_zero_attn": True},
                                  {"attn_mask": torch.ones(T, S, dtype=torch.bool).triu(1)}),
    }
    for name, (options, masks) in cases.items():
        m = randomise(nn.MultiheadAttention(WIDTH, HEADS, batch_first=True, **options))
        k, v = (narrow_key, wide_value) if "kdim" in options else (key, value)
        parameters = attention_parameters(m)
        if m.bias_k is not None:
            parameters |= {"extra_key": m.bias_k, "extra_value": m.bias_v}
        w.case("attention/" + name, parameters, {"query": query, "key": k, "value": v}, lambda: m(query, k, v, **masks)[0], stored(masks),
               {"weights": m(query, k, v, average_attn_weights=False, **masks)[1], "mean_weights": m(query, k, v, **masks)[1]})


def main():
    torch.manual_seed(17)
    with h5py.File(os.path.join(os.path.dirname(os.path.abspath(__file__)), "transformer.h5"), "w", libver="latest") as f:
        w = Writer(f)
        transformers(w)
        attentions(w)


if __name__ == "__main__":
    main()
