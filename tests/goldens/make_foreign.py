#!/usr/bin/env python3
"""Makes foreign/: small random models as other programs keep them, and what those programs compute with them.

  bert_pretraining/ bert_classification/ bert_spans/   directories of Hugging Face transformers: 3 heads, a vocabulary of 40 tokens
  bert_old.safetensors                                 a bare BertModel with gamma and beta, and its position_ids
  bert_google.safetensors                              the pretraining model under the names of the original release, matrices [in, out]
  vit_hf/ vit_timm/                                    directories of transformers and timm: 3 heads, 8 x 8 images in patches of 4
  vit_google.npz                                       the model of vit_hf under the names and in the shapes of the original code
  vit_hybrid_google.npz vit_hybrid_torch.safetensors vit_hybrid_own.safetensors    one hybrid, with the names of three programs
  sasrec_{post,pre,query}.safetensors                  the torch port of SASRec in its three forms
  gru4rec_{shared,separate}.safetensors                the official PyTorch GRU4Rec
  foreign.h5                                           inputs and results, <case>/<name>

Needs torch, transformers, timm, safetensors, numpy and h5py.
"""
import json
import os
import shutil

import h5py
import numpy as np
import timm
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import (BertConfig, BertForPreTraining, BertForQuestionAnswering, BertForSequenceClassification, BertModel, BertTokenizer,
                          ViTConfig, ViTForImageClassification)

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "foreign")
TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + [chr(c) for c in range(97, 97 + 26)] + ["##" + c for c in "abcdefghi"]
LINES = ["a bad cafe", "face ||| dig a hedge", "z"]


def randomise(model):
    """Every parameter away from where it starts, so that none can be mistaken for another."""
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn_like(p) * 0.2 + (1.0 if p.dim() == 1 and bool((p == 1).all()) else 0.0))
    return model.eval()


def save(model, name, tokenizer=True):
    folder = os.path.join(HERE, name)
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    for extra in ("generation_config.json",):
        if os.path.exists(os.path.join(folder, extra)):
            os.remove(os.path.join(folder, extra))
    if tokenizer:
        with open(os.path.join(folder, "vocab.txt"), "w") as f:
            f.write("".join(t + "\n" for t in TOKENS))
        with open(os.path.join(folder, "tokenizer_config.json"), "w") as f:
            json.dump({"tokenizer_class": "BertTokenizer", "do_lower_case": True}, f)
    return folder


def google_bert(state):
    """The names of the original release; its matrices but that of next sentences are [in, out]."""
    out = {}
    for name, t in state.items():
        n = name.replace(".", "/").replace("layer/", "layer_")
        n = n.replace("LayerNorm/weight", "LayerNorm/gamma").replace("LayerNorm/bias", "LayerNorm/beta")
        if n == "cls/predictions/bias":
            n = "cls/predictions/output_bias"
        elif n.startswith("cls/seq_relationship"):
            n = n.replace("weight", "output_weights").replace("/bias", "/output_bias")
        elif n.endswith("_embeddings/weight"):
            n = n[: -len("/weight")]
        elif n.endswith("/weight"):
            n, t = n.replace("/weight", "/kernel"), t.t()
        out[n] = t.contiguous()
        out[n + "/adam_m"] = torch.zeros_like(out[n])
    out["global_step"] = torch.tensor(7)
    return out


def bert(h5):
    config = dict(vocab_size=len(TOKENS), hidden_size=12, num_hidden_layers=2, num_attention_heads=3, intermediate_size=20,
                  max_position_embeddings=16, hidden_act="gelu", pad_token_id=0)
    pretraining = randomise(BertForPreTraining(BertConfig(**config)))
    folder = save(pretraining, "bert_pretraining")
    tokenizer = BertTokenizer(os.path.join(folder, "vocab.txt"))
    classes = randomise(BertForSequenceClassification(BertConfig(**config, id2label={0: "poor", 1: "fair", 2: "good"})))
    save(classes, "bert_classification")
    spans = randomise(BertForQuestionAnswering(BertConfig(**config)))
    save(spans, "bert_spans")
    bare = randomise(BertModel(BertConfig(**config)))
    state = {k.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): v.contiguous()
             for k, v in bare.state_dict().items()}
    state["embeddings.position_ids"] = torch.arange(16).unsqueeze(0)
    save_file(state, os.path.join(HERE, "bert_old.safetensors"))
    own = {k: v for k, v in pretraining.state_dict().items() if "decoder" not in k and "position_ids" not in k}
    save_file(google_bert(own), os.path.join(HERE, "bert_google.safetensors"))

    for i, line in enumerate(LINES):
        parts = line.split(" ||| ")
        x = tokenizer(*parts, return_tensors="pt")
        with torch.no_grad():
            p, q, s, b = pretraining(**x), classes(**x).logits, spans(**x), bare(**x)
        for name, value in {"ids": x["input_ids"], "segments": x["token_type_ids"], "masked_logits": p.prediction_logits,
                            "next_logits": p.seq_relationship_logits, "class_logits": q,
                            "span_logits": torch.stack([s.start_logits, s.end_logits], -1), "hidden": b.last_hidden_state,
                            "pooled": b.pooler_output}.items():
            h5["bert/%d/%s" % (i, name)] = value[0].numpy()


def google_vit(state, heads):
    """From names of transformers to those of the original code."""
    width = state["vit.layernorm.weight"].shape[0]
    head = width // heads
    out = {"cls": state["vit.embeddings.cls_token"], "Transformer/posembed_input/pos_embedding": state["vit.embeddings.position_embeddings"],
           "embedding/kernel": state["vit.embeddings.patch_embeddings.projection.weight"].permute(2, 3, 1, 0),
           "embedding/bias": state["vit.embeddings.patch_embeddings.projection.bias"],
           "Transformer/encoder_norm/scale": state["vit.layernorm.weight"], "Transformer/encoder_norm/bias": state["vit.layernorm.bias"],
           "head/kernel": state["classifier.weight"].t(), "head/bias": state["classifier.bias"]}
    i = 0
    while "vit.encoder.layer.%d.layernorm_before.weight" % i in state:
        p, o = "vit.encoder.layer.%d." % i, "Transformer/encoderblock_%d/" % i
        for theirs, ours in (("layernorm_before", "LayerNorm_0"), ("layernorm_after", "LayerNorm_2")):
            out[o + ours + "/scale"], out[o + ours + "/bias"] = state[p + theirs + ".weight"], state[p + theirs + ".bias"]
        for name in ("query", "key", "value"):
            a = o + "MultiHeadDotProductAttention_1/" + name
            out[a + "/kernel"] = state[p + "attention.attention." + name + ".weight"].t().reshape(width, heads, head)
            out[a + "/bias"] = state[p + "attention.attention." + name + ".bias"].reshape(heads, head)
        out[o + "MultiHeadDotProductAttention_1/out/kernel"] = state[p + "attention.output.dense.weight"].t().reshape(heads, head, width)
        out[o + "MultiHeadDotProductAttention_1/out/bias"] = state[p + "attention.output.dense.bias"]
        for theirs, ours in (("intermediate.dense", "Dense_0"), ("output.dense", "Dense_1")):
            out[o + "MlpBlock_3/" + ours + "/kernel"] = state[p + theirs + ".weight"].t()
            out[o + "MlpBlock_3/" + ours + "/bias"] = state[p + theirs + ".bias"]
        i += 1
    return {k: v.contiguous().numpy() for k, v in out.items()}


def vit(h5):
    images = torch.rand(2, 3, 8, 8) * 2 - 1
    h5["vit/images"] = images.numpy()
    model = randomise(ViTForImageClassification(ViTConfig(
        hidden_size=12, num_hidden_layers=2, num_attention_heads=3, intermediate_size=20, image_size=8, patch_size=4, hidden_act="gelu",
        id2label={0: "ant", 1: "bee", 2: "cat"})))
    folder = save(model, "vit_hf", tokenizer=False)
    with open(os.path.join(folder, "preprocessor_config.json"), "w") as f:
        json.dump({"do_normalize": True, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4], "size": {"height": 8, "width": 8}}, f)
    np.savez(os.path.join(HERE, "vit_google.npz"), **google_vit(load_file(os.path.join(folder, "model.safetensors")), 3))
    larger = torch.rand(1, 3, 16, 16) * 2 - 1
    h5["vit/larger"] = larger.numpy()
    with torch.no_grad():
        h5["vit/hf_logits"] = model(images).logits.numpy()
        h5["vit/hf_larger_logits"] = model(larger, interpolate_pos_encoding=True).logits.numpy()

    args = dict(img_size=8, patch_size=4, embed_dim=12, depth=2, num_heads=3, mlp_ratio=1.5)
    model = randomise(timm.create_model("vit_base_patch16_224", num_classes=4, **args))
    folder = os.path.join(HERE, "vit_timm")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    save_file(model.state_dict(), os.path.join(folder, "model.safetensors"))
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump({"architecture": "vit_base_patch16_224", "num_classes": 4, "model_args": args, "global_pool": "token",
                   "label_names": ["ant", "bee", "cat", "dog"],
                   "pretrained_cfg": {"input_size": [3, 8, 8], "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "crop_pct": 0.9}}, f)
    with torch.no_grad():
        h5["vit/timm_logits"] = model(images).numpy()


def hybrid():
    """A root and one stage of two units; equal numbers under the names of three programs."""
    width, out, hidden, heads, mlp, classes, patches = 32, 128, 8, 2, 12, 3, 4
    count = [0]

    def values(*shape):
        count[0] += 1
        return torch.sin(torch.arange(int(np.prod(shape)), dtype=torch.float32) * 0.7 + count[0]).reshape(shape)

    own, google, torch_port = {}, {}, {}
    hwio = lambda t: t.permute(2, 3, 1, 0)

    def add(o, g, t, value, for_google=lambda v: v):
        own[o.replace("/", ".")], google[g], torch_port[t] = value, for_google(value).contiguous().numpy(), value

    def conv(o, g, t, *shape):
        add(o + "/weight", g + "/kernel", t + ".weight", values(*shape), hwio)

    def norm(o, g, t, n, keep_axes=False):
        for ours, theirs in (("weight", "scale"), ("bias", "bias")):
            add(o + "/" + ours, g + "/" + theirs, t + "." + ours, values(n), (lambda v: v.reshape(1, 1, 1, n)) if keep_axes else lambda v: v)

    e = "transformer.embeddings."
    conv("stem/root/conv", "conv_root", e + "hybrid_model.root.conv", width, 3, 7, 7)
    norm("stem/root/norm", "gn_root", e + "hybrid_model.root.gn", width, True)
    for unit in (1, 2):
        o, g, t = "stem/blocks/%d/" % (unit - 1), "block1/unit%d/" % unit, e + "hybrid_model.body.block1.unit%d." % unit
        for i, shape in ((1, (width, width if unit == 1 else out, 1, 1)), (2, (width, width, 3, 3)), (3, (out, width, 1, 1))):
            conv(o + "conv%d" % i, g + "conv%d" % i, t + "conv%d" % i, *shape)
            norm(o + "norm%d" % i, g + "gn%d" % i, t + "gn%d" % i, shape[0], True)
        if unit == 1:
            conv(o + "shortcut_conv", g + "conv_proj", t + "downsample", out, width, 1, 1)
            norm(o + "shortcut_norm", g + "gn_proj", t + "gn_proj", out, True)
    conv("patches", "embedding", e + "patch_embeddings", hidden, out, 1, 1)
    add("patches/bias", "embedding/bias", e + "patch_embeddings.bias", values(hidden))
    token, positions = values(hidden), values(patches + 1, hidden)
    own["class_token"], own["positions"] = token, positions
    google["cls"], google["Transformer/posembed_input/pos_embedding"] = token.reshape(1, 1, -1).numpy(), positions[None].numpy()
    torch_port[e + "cls_token"], torch_port[e + "position_embeddings"] = token.reshape(1, 1, -1), positions[None].contiguous()

    def dense(o, g, t, to, n):
        add(o + "/weight", g + "/kernel", t + ".weight", values(to, n), lambda v: v.t())
        add(o + "/bias", g + "/bias", t + ".bias", values(to))

    o, g, t = "encoder/0/", "Transformer/encoderblock_0/", "transformer.encoder.layer.0."
    norm(o + "attention_norm", g + "LayerNorm_0", t + "attention_norm", hidden)
    split = lambda v: v.t().reshape(hidden, heads, -1)
    for name in ("query", "key", "value"):
        add(o + "attention/%s/weight" % name, g + "MultiHeadDotProductAttention_1/%s/kernel" % name, t + "attn.%s.weight" % name,
            values(hidden, hidden), split)
        add(o + "attention/%s/bias" % name, g + "MultiHeadDotProductAttention_1/%s/bias" % name, t + "attn.%s.bias" % name, values(hidden),
            lambda v: v.reshape(heads, -1))
    add(o + "attention/output/weight", g + "MultiHeadDotProductAttention_1/out/kernel", t + "attn.out.weight", values(hidden, hidden),
        lambda v: v.t().reshape(heads, -1, hidden))
    add(o + "attention/output/bias", g + "MultiHeadDotProductAttention_1/out/bias", t + "attn.out.bias", values(hidden))
    norm(o + "feed_forward_norm", g + "LayerNorm_2", t + "ffn_norm", hidden)
    dense(o + "feed_forward/inner", g + "MlpBlock_3/Dense_0", t + "ffn.fc1", mlp, hidden)
    dense(o + "feed_forward/outer", g + "MlpBlock_3/Dense_1", t + "ffn.fc2", hidden, mlp)
    norm("encoder/norm", "Transformer/encoder_norm", "transformer.encoder.encoder_norm", hidden)
    dense("head", "head", "head", classes, hidden)
    np.savez(os.path.join(HERE, "vit_hybrid_google.npz"), **google)
    save_file({k: v.contiguous() for k, v in torch_port.items()}, os.path.join(HERE, "vit_hybrid_torch.safetensors"))
    save_file({k: v.contiguous() for k, v in own.items()}, os.path.join(HERE, "vit_hybrid_own.safetensors"))


class SasrecPort(nn.Module):
    """The network of the torch port: form "post" and "pre" as today, "query" as before, where the query alone was normalised."""

    def __init__(self, form, items, length, width, blocks, heads):
        super().__init__()
        self.form = form
        self.item_emb = nn.Embedding(items + 1, width, padding_idx=0)
        self.pos_emb = nn.Embedding(length + 1, width, padding_idx=0)
        norm = lambda: nn.LayerNorm(width, eps=1e-8)
        self.attention_layernorms = nn.ModuleList(norm() for _ in range(blocks))
        self.attention_layers = nn.ModuleList(nn.MultiheadAttention(width, heads, 0.0) for _ in range(blocks))
        self.forward_layernorms = nn.ModuleList(norm() for _ in range(blocks))
        self.forward_layers = nn.ModuleList(nn.ModuleDict({"conv1": nn.Conv1d(width, width, 1), "conv2": nn.Conv1d(width, width, 1)})
                                            for _ in range(blocks))
        self.last_layernorm = norm()

    def forward(self, ids):
        x = self.item_emb(ids) * self.item_emb.embedding_dim ** 0.5 + self.pos_emb(torch.arange(1, ids.shape[1] + 1).expand_as(ids))
        blocked = ~torch.tril(torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool))

        def attend(i, q, kv):
            y, _ = self.attention_layers[i](q.transpose(0, 1), kv.transpose(0, 1), kv.transpose(0, 1), attn_mask=blocked)
            return y.transpose(0, 1)

        def forward(i, x):
            f = self.forward_layers[i]
            return f["conv2"](torch.relu(f["conv1"](x.transpose(1, 2)))).transpose(1, 2)

        for i in range(len(self.attention_layers)):
            n1, n2 = self.attention_layernorms[i], self.forward_layernorms[i]
            if self.form == "post":
                x = n1(x + attend(i, x, x))
                x = n2(x + forward(i, x))
            elif self.form == "pre":
                q = n1(x)
                x = x + attend(i, q, q)
                x = x + forward(i, n2(x))
            else:
                q = n1(x)
                x = n2(q + attend(i, q, x))
                x = x + forward(i, x)
        return self.last_layernorm(x)


def sasrec(h5):
    ids = torch.tensor([[3, 1, 4, 2, 5], [5, 5, 2, 1, 3]])
    h5["sasrec/ids"] = ids.numpy()
    for form in ("post", "pre", "query"):
        model = randomise(SasrecPort(form, items=6, length=5, width=6, blocks=2, heads=2))
        with torch.no_grad():
            model.item_emb.weight[0] = 0
            model.pos_emb.weight[0] = 0
            h5["sasrec/%s_scores" % form] = (model(ids)[:, -1] @ model.item_emb.weight[1:].t()).numpy()
        save_file(model.state_dict(), os.path.join(HERE, "sasrec_%s.safetensors" % form))


def gru4rec(h5):
    steps = torch.tensor([[0, 3], [2, 1], [4, 4]])  # two sessions side by side
    h5["gru4rec/steps"] = steps.numpy()
    for form in ("shared", "separate"):
        layers, items, width = [4, 3], 5, 3 if form == "shared" else 2
        model = nn.Module()
        model.Wy, model.By = nn.Embedding(items, layers[-1]), nn.Embedding(items, 1)
        if form == "separate":
            model.E = nn.Embedding(items, width)
        model.G = nn.ModuleList(nn.GRUCell(i, o) for i, o in zip([width] + layers, layers))
        randomise(model)
        table = model.Wy if form == "shared" else model.E
        with torch.no_grad():
            h = [torch.zeros(2, n) for n in layers]
            for x in steps:
                x = table(x)
                for i, cell in enumerate(model.G):
                    x = h[i] = cell(x, h[i])
            h5["gru4rec/%s_scores" % form] = (x @ model.Wy.weight.t() + model.By.weight.t()).numpy()
        save_file(model.state_dict(), os.path.join(HERE, "gru4rec_%s.safetensors" % form))


def main():
    torch.manual_seed(5)
    os.makedirs(HERE, exist_ok=True)
    with h5py.File(os.path.join(HERE, "foreign.h5"), "w") as h5:
        bert(h5)
        vit(h5)
        hybrid()
        sasrec(h5)
        gru4rec(h5)


main()
