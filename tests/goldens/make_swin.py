#!/usr/bin/python3
"""Makes small random Swin transformers as transformers, timm and the original code keep them, and what they compute:

  foreign/swin_hf/ foreign/swin_timm/    directories: 24 x 24 images in patches of 2, windows of 3, stages of 2 and 1 blocks
  foreign/swin_original.safetensors      the model of swin_timm under the names of the original code, with its indices and masks
  foreign/swin.h5                        images, logits of both, also of images of another size, which windows do not divide; the
                                         attention of the last block
Needs torch, transformers, timm, safetensors and h5py. An argument is a folder where timm is, if it is not beside the others.
"""
import json
import os
import re
import shutil
import sys

import h5py
import torch
from safetensors.torch import save_file
from transformers import SwinConfig, SwinForImageClassification

sys.path += sys.argv[1:]
import timm  # noqa: E402

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "foreign")
torch.manual_seed(18)
torch.set_num_threads(1)


def randomise(model):
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn_like(p) * 0.2 + (1.0 if p.dim() == 1 and bool((p == 1).all()) else 0.0))
    return model.eval()


def hugging_face():
    model = randomise(SwinForImageClassification(SwinConfig(
        image_size=24, patch_size=2, embed_dim=8, depths=[2, 1], num_heads=[2, 4], window_size=3, mlp_ratio=2.0,
        use_absolute_embeddings=True, id2label={0: "ant", 1: "bee", 2: "cat"}, label2id={"ant": 0, "bee": 1, "cat": 2})))
    folder = os.path.join(HERE, "swin_hf")
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    with open(os.path.join(folder, "preprocessor_config.json"), "w") as f:
        json.dump({"do_normalize": True, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4], "size": {"height": 24, "width": 24}}, f)
    return model


def timm_model():
    args = {"img_size": 24, "patch_size": 2, "embed_dim": 8, "depths": [2, 1], "num_heads": [2, 4], "window_size": 3, "mlp_ratio": 2.0}
    model = randomise(timm.create_model("swin_tiny_patch4_window7_224", num_classes=4, dynamic_img_size=True, **args))
    folder = os.path.join(HERE, "swin_timm")
    os.makedirs(folder, exist_ok=True)
    state = {k: v.contiguous() for k, v in model.state_dict().items()}
    save_file(state, os.path.join(folder, "model.safetensors"))
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump({"architecture": "swin_tiny_patch4_window7_224", "num_classes": 4, "model_args": args, "global_pool": "avg",
                   "label_names": ["ant", "bee", "cat", "dog"],
                   "pretrained_cfg": {"input_size": [3, 24, 24], "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "crop_pct": 0.9}}, f)
    old = {re.sub(r"layers\.(\d+)\.downsample", lambda m: "layers.%d.downsample" % (int(m.group(1)) - 1), k).replace("head.fc", "head"): v
           for k, v in state.items()}
    for i, stage in enumerate(model.layers):
        for j, block in enumerate(stage.blocks):
            old["layers.%d.blocks.%d.attn.relative_position_index" % (i, j)] = block.attn.relative_position_index
            mask = block.get_attn_mask(device="cpu", dtype=torch.float32)
            if mask is not None:
                old["layers.%d.blocks.%d.attn_mask" % (i, j)] = mask
    save_file({k: v.contiguous() for k, v in old.items()}, os.path.join(HERE, "swin_original.safetensors"))
    return model


def main():
    hf, tm = hugging_face(), timm_model()
    images, other = torch.randn(2, 3, 24, 24), torch.randn(2, 3, 28, 22)
    with h5py.File(os.path.join(HERE, "swin.h5"), "w") as h5, torch.no_grad():
        h5["images"], h5["other"] = images.numpy(), other.numpy()
        h5["hf_logits"] = hf(images).logits.numpy()
        h5["hf_other_logits"] = hf(other, interpolate_pos_encoding=True).logits.numpy()
        h5["timm_logits"] = tm(images).numpy()
        h5["timm_other_logits"] = tm(other).numpy()
        hf.set_attn_implementation("eager")
        probabilities = hf(images[:1], output_attentions=True).attentions[-1]  # windows of the last stage
        h5["hf_attention"] = probabilities.numpy()


main()
