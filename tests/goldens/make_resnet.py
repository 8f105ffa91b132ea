#!/usr/bin/env python3
"""Makes foreign/resnet_hf, foreign/resnet_timm and foreign/resnet.h5: small random residual networks and what their programs compute.

  resnet_hf     Hugging Face transformers: bottlenecks, 1-2-1-1 blocks
  resnet_timm   timm: basic blocks, 1-1-1-2 blocks, whose names are those of torchvision too
  resnet.h5     images, labels;  hf_logits, timm_logits: with running statistics
                timm_dilated: features of the timm network with output_stride 16
                after/<name>: every tensor of resnet_hf after one step of SGD (rate .1) in training mode;  loss: of that step
                frozen/<name>: gradients of resnet_hf's loss by its weights where running statistics normalise;  frozen_loss

Needs torch, transformers, timm, safetensors and h5py.
"""
import json
import os
import shutil
import sys

import h5py
import torch
from safetensors.torch import save_file
from transformers import ResNetConfig, ResNetForImageClassification

sys.path += os.environ.get("TIMM_PATH", "").split(":")  # behind all others: what stands in for torchvision must not be found first
import timm  # noqa: E402

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "foreign")


def randomise(model):
    with torch.no_grad():
        for name, t in model.state_dict().items():
            if name.endswith("num_batches_tracked"):
                t.fill_(7)
            elif name.endswith("running_var"):
                t.uniform_(0.5, 1.5)
            elif t.dim() == 4:
                t.normal_(0, (2.0 / (t.shape[1] * t.shape[2] * t.shape[3])) ** 0.5)
            else:
                t.normal_(1.0 if t.dim() == 1 and name.endswith("weight") else 0.0, 0.2)
    return model.eval()


def directory(name):
    folder = os.path.join(HERE, name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    return folder


def main():
    torch.manual_seed(3)
    torch.set_num_threads(1)
    h5 = h5py.File(os.path.join(HERE, "resnet.h5"), "w", track_order=True)
    images, labels = torch.randn(3, 3, 44, 36), torch.tensor([2, 0, 1])
    h5["images"], h5["labels"] = images.numpy(), labels.numpy()

    model = randomise(ResNetForImageClassification(ResNetConfig(
        embedding_size=8, hidden_sizes=[16, 16, 24, 32], depths=[1, 2, 1, 1], layer_type="bottleneck",
        id2label={0: "ant", 1: "bee", 2: "cat"})))
    folder = directory("resnet_hf")
    model.save_pretrained(folder)
    with open(os.path.join(folder, "preprocessor_config.json"), "w") as f:
        json.dump({"do_normalize": True, "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225], "crop_pct": 0.8,
                   "size": {"shortest_edge": 32}, "resample": 3}, f)
    with torch.no_grad():
        h5["hf_logits"] = model(images).logits.numpy()
    loss = model(images, labels=labels).loss
    loss.backward()
    h5["frozen_loss"] = loss.item()
    for name, p in model.named_parameters():
        if p.dim() == 4:
            h5["frozen/" + name] = p.grad.numpy()
    optimizer = torch.optim.SGD(model.train().parameters(), 0.1)
    optimizer.zero_grad()
    loss = model(images, labels=labels).loss
    loss.backward()
    optimizer.step()
    h5["loss"] = loss.item()
    for name, t in model.state_dict().items():
        h5["after/" + name] = t.numpy()

    args = dict(layers=[1, 1, 1, 2], channels=[8, 8, 12, 16])
    model = randomise(timm.create_model("resnet18", num_classes=4, **args))
    folder = directory("resnet_timm")
    save_file(model.state_dict(), os.path.join(folder, "model.safetensors"))
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump({"architecture": "resnet18", "num_classes": 4, "num_features": 16, "model_args": args,
                   "label_names": ["ant", "bee", "cat", "dog"],
                   "pretrained_cfg": {"input_size": [3, 32, 32], "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225],
                                      "crop_pct": 0.95, "interpolation": "bicubic"}}, f)
    dilated = timm.create_model("resnet18", num_classes=4, output_stride=16, **args).eval()
    dilated.load_state_dict(model.state_dict())
    with torch.no_grad():
        h5["timm_logits"] = model(images).numpy()
        h5["timm_dilated"] = dilated.forward_features(images).numpy()


if __name__ == "__main__":
    main()
