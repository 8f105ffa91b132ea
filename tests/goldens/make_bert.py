#!/usr/bin/python3
"""Makes bert.h5: BERT in plain PyTorch operations, f64, dropout 0. Needs Debian's python3-torch and python3-h5py.

  relative/<kind>       self-attention with relative positions, in the layout of make_nn.py
  model/<variant>       both losses of a tiny model with all parameters and gradients; inputs are instances as in data/text/instance_file.h
  curve                 instances of real text, initial parameters, and the losses of 50 training steps: output [50, 2], before each step

    make_bert.py [INSTANCES.h5]
INSTANCES.h5 is written by `capstan prepare` with instances.kind=original; its first instances are kept in bert.h5, and without the argument
those are used again.
"""
import math
import os
import sys

import h5py
import numpy as np
import torch

from make_nn import Writer, leaf

torch.manual_seed(5)
HERE = os.path.dirname(os.path.abspath(__file__))
FIELDS = ("input_ids", "lengths", "first_segment", "masked_positions", "masked_ids", "masked_counts", "next_sentence_labels")


def truncated_normal(*shape):
    x = torch.randn(*shape)
    while (x.abs() > 2).any():
        x = torch.where(x.abs() > 2, torch.randn(*shape), x)
    return 0.02 * x


def half(*shape):
    return (0.5 * torch.randn(*shape)).requires_grad_()


def distance_rows(length, table):
    """[T, T, D]: the vector of distance i - j."""
    i, j = torch.arange(length)[:, None], torch.arange(length)[None, :]
    return table[i - j + (table.shape[0] + 1) // 2 - 1]


def attention(p, prefix, x, keep, heads, kind=None):
    """Self-attention over x [B, T, C]; keep [B, T] is true for real keys."""
    batch, length, width = x.shape
    depth = width // heads

    def project(name):
        y = x @ p[prefix + name + "/weight"].T + p[prefix + name + "/bias"]
        return y.reshape(batch, length, heads, depth).transpose(1, 2)

    q, k, v = project("query"), project("key"), project("value")
    scores = q @ k.transpose(2, 3)
    if kind:
        rows = distance_rows(length, p[prefix + "distance_embedding"])
        scores = scores + torch.einsum("bhid,ijd->bhij", q, rows)
        if kind == "key_query":
            scores = scores + torch.einsum("bhjd,ijd->bhij", k, rows)
    scores = scores / math.sqrt(depth) + (~keep)[:, None, None, :] * -1e30
    y = (torch.softmax(scores, -1) @ v).transpose(1, 2).reshape(batch, length, width)
    return y @ p[prefix + "output/weight"].T + p[prefix + "output/bias"]


ACTIVATIONS = {
    "gelu": lambda x: 0.5 * x * (1 + torch.erf(x / math.sqrt(2))),
    "gelu_tanh": lambda x: 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
}


class Bert:
    def __init__(self, vocab, width, layers, heads, inner, positions, activation="gelu", kind=None):
        self.heads, self.layers, self.kind, self.act = heads, layers, kind, ACTIVATIONS[activation]
        self.parameters = p = {}

        def linear(name, inputs, outputs):
            p[name + "/weight"], p[name + "/bias"] = truncated_normal(outputs, inputs), torch.zeros(outputs)

        def norm(name):
            p[name + "/weight"], p[name + "/bias"] = torch.ones(width), torch.zeros(width)

        p["bert/embeddings/word_embeddings"] = truncated_normal(vocab, width)
        if not kind:
            p["bert/embeddings/position_embeddings"] = truncated_normal(positions, width)
        p["bert/embeddings/token_type_embeddings"] = truncated_normal(2, width)
        norm("bert/embeddings/LayerNorm")
        for i in range(layers):
            layer = f"bert/encoder/layer_{i}/"
            for name in ("query", "key", "value", "output"):
                linear(layer + "attention/" + name, width, width)
            if kind:
                p[layer + "attention/distance_embedding"] = truncated_normal(2 * positions - 1, width // heads)
            norm(layer + "attention_norm")
            linear(layer + "feed_forward/inner", width, inner)
            linear(layer + "feed_forward/outer", inner, width)
            norm(layer + "feed_forward_norm")
        linear("bert/pooler/dense", width, width)
        p["cls/predictions/output_bias"] = torch.zeros(vocab)
        linear("cls/predictions/transform/dense", width, width)
        norm("cls/predictions/transform/LayerNorm")
        linear("cls/seq_relationship", width, 2)

    def randomise(self):
        """Away from the start, where many gradients are almost zero."""
        for name, x in self.parameters.items():
            is_gain = "orm/weight" in name
            self.parameters[name] = torch.randn(x.shape) * 0.4 + (1.0 if is_gain else 0.0)
        return self

    def track(self):
        for x in self.parameters.values():
            x.requires_grad_()
        return self

    def linear(self, name, x):
        return x @ self.parameters[name + "/weight"].T + self.parameters[name + "/bias"]

    def norm(self, name, x):
        mean, var = x.mean(-1, keepdim=True), x.var(-1, unbiased=False, keepdim=True)
        return (x - mean) / torch.sqrt(var + 1e-12) * self.parameters[name + "/weight"] + self.parameters[name + "/bias"]

    def losses(self, x):
        """Mean losses of instances: masked tokens, next sentence."""
        p = self.parameters
        ids, lengths = x["input_ids"], x["lengths"]
        place = torch.arange(ids.shape[1])[None, :]
        keep = place < lengths[:, None]
        segments = ((place >= x["first_segment"][:, None]) & keep).long()
        h = p["bert/embeddings/word_embeddings"][ids] + p["bert/embeddings/token_type_embeddings"][segments]
        if not self.kind:
            h = h + p["bert/embeddings/position_embeddings"][: ids.shape[1]]
        h = self.norm("bert/embeddings/LayerNorm", h)
        for i in range(self.layers):
            layer = f"bert/encoder/layer_{i}/"
            h = self.norm(layer + "attention_norm", h + attention(p, layer + "attention/", h, keep, self.heads, self.kind))
            f = self.linear(layer + "feed_forward/outer", self.act(self.linear(layer + "feed_forward/inner", h)))
            h = self.norm(layer + "feed_forward_norm", h + f)
        pooled = torch.tanh(self.linear("bert/pooler/dense", h[:, 0]))
        next_log = torch.log_softmax(self.linear("cls/seq_relationship", pooled), -1)
        next_loss = -next_log.gather(1, x["next_sentence_labels"][:, None]).mean()
        weights = (torch.arange(x["masked_ids"].shape[1])[None, :] < x["masked_counts"][:, None]).double()
        m = h.gather(1, x["masked_positions"][:, :, None].expand(-1, -1, h.shape[2]))
        m = self.norm("cls/predictions/transform/LayerNorm", self.act(self.linear("cls/predictions/transform/dense", m)))
        log = torch.log_softmax(m @ p["bert/embeddings/word_embeddings"].T + p["cls/predictions/output_bias"], -1)
        masked = -log.gather(2, x["masked_ids"][:, :, None])[:, :, 0]
        return (masked * weights).sum() / (weights.sum() + 1e-5), next_loss


def train(model, instances, batch, steps, warmup, peak):
    """AdamWeightDecay of the original: global norm clipped to 1, no bias correction, no decay of norms and biases."""
    p = model.track().parameters
    m, v = {k: torch.zeros_like(x) for k, x in p.items()}, {k: torch.zeros_like(x) for k, x in p.items()}
    count = len(instances["lengths"])
    losses = []
    for step in range(steps):
        pick = (torch.arange(batch) + step * batch) % count
        masked, following = model.losses({k: x[pick] for k, x in instances.items()})
        losses.append([masked.item(), following.item()])
        gradients = torch.autograd.grad(masked + following, list(p.values()))
        clip = min(1.0, 1.0 / math.sqrt(sum((g**2).sum().item() for g in gradients)))
        rate = peak * step / warmup if step < warmup else peak * (1 - step / steps)
        with torch.no_grad():
            for (name, x), g in zip(p.items(), gradients):
                m[name] = 0.9 * m[name] + 0.1 * clip * g
                v[name] = 0.999 * v[name] + 0.001 * (clip * g) ** 2
                decay = 0.0 if "norm" in name.lower() or "bias" in name else 0.01
                x -= rate * (m[name] / (torch.sqrt(v[name]) + 1e-6) + decay * x)
    return np.array(losses)


def random_instances(rows, length, vocab, predictions):
    lengths = torch.randint(length // 2, length + 1, (rows,))
    lengths[0] = length
    counts = torch.randint(1, predictions + 1, (rows,))
    ids = torch.randint(5, vocab, (rows, length)) * (torch.arange(length)[None, :] < lengths[:, None])
    positions = torch.stack([torch.randperm(length // 2)[:predictions].sort().values for _ in range(rows)])
    inside = torch.arange(predictions)[None, :] < counts[:, None]
    return {
        "input_ids": ids,
        "lengths": lengths,
        "first_segment": (lengths + 1) // 2,
        "masked_positions": positions * inside,
        "masked_ids": torch.randint(0, vocab, (rows, predictions)) * inside,
        "masked_counts": counts,
        "next_sentence_labels": torch.randint(0, 2, (rows,)),
    }


def main():
    path = os.path.join(HERE, "bert.h5")
    source = sys.argv[1] if len(sys.argv) > 1 else path
    with h5py.File(source, "r") as f:
        root = f["curve/input"] if "curve" in f else f
        kept = {k: torch.from_numpy(np.array(root[k][:192], dtype=np.int64)) for k in FIELDS}

    with h5py.File(path + ".new", "w") as f:
        writer = Writer(f)
        for kind in ("key", "key_query"):
            x, keep = leaf(2, 5, 6), torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], dtype=torch.uint8)
            shapes = {"/weight": (6, 6), "/bias": (6,)}
            p = {n + part: half(*shape) for n in ("query", "key", "value", "output") for part, shape in shapes.items()}
            p["distance_embedding"] = half(13, 3)
            writer.case("relative/" + kind, p, {"x": x}, lambda: attention(p, "", x, keep.bool(), 2, kind), {"keys": keep})
        for name, options in {
            "gelu": {},
            "gelu_tanh": {"activation": "gelu_tanh"},
            "relative_key": {"kind": "key"},
            "relative_key_query": {"kind": "key_query"},
        }.items():
            model = Bert(23, 8, 2, 2, 12, 10, **options).randomise().track()
            x = random_instances(3, 9, 23, 4)
            writer.case("model/" + name, model.parameters, x, lambda: torch.stack(model.losses(x)))

        length = kept["input_ids"].shape[1]
        model = Bert(int(max(kept["input_ids"].max(), kept["masked_ids"].max())) + 1, 32, 2, 2, 64, length)
        for name, value in model.parameters.items():
            f["curve/parameter/" + name] = value.numpy().astype(np.float32)
        for k, value in kept.items():
            f.create_dataset("curve/input/" + k, data=value.numpy().astype(np.int32), compression=9)
        for name, value in model.parameters.items():  # start from what was stored
            model.parameters[name] = value.float().double()
        f["curve/output"] = train(model, kept, batch=16, steps=50, warmup=5, peak=2e-3)
    os.replace(path + ".new", path)


if __name__ == "__main__":
    main()
