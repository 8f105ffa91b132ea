#!/usr/bin/env python3
"""Makes foreign/detr_hf and foreign/detr.h5: a small random DETR of Hugging Face transformers and what it computes.

  detr_hf            the model and its image processor, as save_pretrained writes them
  detr.h5            images [2, 3, 40, 72] and real u8 [2, 40, 72] (the second is padded), logits, boxes (last layer), auxiliary_logits,
                     auxiliary_boxes (of the layer before), attention [2, queries, h w] (last layer's cross-attention, mean over heads)

Needs torch, transformers, safetensors and h5py.
"""
import os

import h5py
import torch
from transformers import DetrConfig, DetrForObjectDetection, DetrImageProcessorPil, ResNetConfig

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "foreign")


def main():
    torch.manual_seed(5)
    torch.set_num_threads(1)
    backbone = ResNetConfig(embedding_size=8, hidden_sizes=[16, 16, 24, 32], depths=[1, 1, 1, 2], layer_type="bottleneck",
                            out_features=["stage4"])
    model = DetrForObjectDetection(DetrConfig(
        backbone_config=backbone, use_timm_backbone=False, d_model=16, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=24, decoder_ffn_dim=24, num_queries=5, id2label={0: "N/A", 1: "cat", 2: "N/A"},
        attn_implementation="eager"))  # with auxiliary_loss it would feed normalised states from layer to layer, unlike the original
    with torch.no_grad():
        for name, t in model.state_dict().items():
            if name.endswith("running_var"):
                t.uniform_(0.5, 1.5)
            elif t.dim() == 4:
                t.normal_(0, (2.0 / (t.shape[1] * t.shape[2] * t.shape[3])) ** 0.5)
            elif t.dim() == 1:
                t.normal_(1.0 if "norm" in name and name.endswith("weight") else 0.0, 0.2)
            else:
                t.normal_(0, 0.3)
    model.eval()
    images, real = torch.randn(2, 3, 40, 72), torch.ones(2, 40, 72, dtype=torch.long)
    real[1, 30:], real[1, :, 40:] = 0, 0
    images[real[:, None].expand_as(images) == 0] = 0
    with torch.no_grad():
        out = model(pixel_values=images, pixel_mask=real, output_attentions=True, output_hidden_states=True)
        before = model.model.decoder.layernorm(out.decoder_hidden_states[1])
    with torch.no_grad(), h5py.File(os.path.join(HERE, "detr.h5"), "w", track_order=True) as h5:
        h5["images"], h5["real"] = images.numpy(), real.to(torch.uint8).numpy()
        h5["logits"], h5["boxes"] = out.logits.numpy(), out.pred_boxes.numpy()
        h5["auxiliary_logits"] = model.class_labels_classifier(before).numpy()
        h5["auxiliary_boxes"] = model.bbox_predictor(before).sigmoid().numpy()
        h5["attention"] = out.cross_attentions[-1].mean(1).numpy()
    folder = os.path.join(HERE, "detr_hf")
    model.save_pretrained(folder)
    DetrImageProcessorPil(size={"shortest_edge": 40, "longest_edge": 72}).save_pretrained(folder)


main()
