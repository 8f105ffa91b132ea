#!/usr/bin/env python3
"""Makes foreign/{llama_hf,gpt2_hf}/: small random language models as Hugging Face transformers keeps them, without tokenizers, and
foreign/language_models.h5, what they compute: <model>/<name>.

  llama_hf   LlamaForCausalLM: 4 heads of which 2 of keys and values, 404 rows, its own table of output vectors
  gpt2_hf    GPT2LMHeadModel: 400 rows, tied

byte_bpe/ has tokenizers of 401 and 400 tokens for them. `greedy` is how generate goes on with `prompt`, the ids of PROMPT.
Needs torch, transformers, tokenizers, numpy and h5py.
"""
import os
import shutil

import h5py
import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "foreign")
PROMPT = "the quick brown fox"


def randomise(model):
    """Every parameter away from where it starts, so that none can be mistaken for another."""
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn_like(p) * 0.2 + (1.0 if p.dim() == 1 and bool((p == 1).all()) else 0.0))
    return model.eval()


def main():
    torch.manual_seed(17)
    prompt = torch.tensor([Tokenizer.from_file(os.path.join(HERE, "..", "byte_bpe", "tokenizer.json")).encode(PROMPT).ids])
    models = {
        "llama_hf": LlamaForCausalLM(LlamaConfig(vocab_size=404, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
                                                 intermediate_size=24, max_position_embeddings=32, rms_norm_eps=1e-4, rope_theta=500.0,
                                                 bos_token_id=None, eos_token_id=0)),
        "gpt2_hf": GPT2LMHeadModel(GPT2Config(vocab_size=400, n_embd=16, n_layer=2, n_head=4, n_inner=40, n_positions=32, resid_pdrop=0.0,
                                              embd_pdrop=0.0, attn_pdrop=0.0, layer_norm_epsilon=1e-4, bos_token_id=0, eos_token_id=0)),
    }
    with h5py.File(os.path.join(HERE, "language_models.h5"), "w") as out:
        for name, model in models.items():
            randomise(model)
            folder = os.path.join(HERE, name)
            shutil.rmtree(folder, ignore_errors=True)
            model.save_pretrained(folder)
            os.remove(os.path.join(folder, "generation_config.json"))
            ids = torch.randint(1, 400, (2, 9))
            model.generation_config.eos_token_id = None
            with torch.no_grad():
                logits = model(ids).logits
                greedy = model.generate(prompt, max_new_tokens=12, do_sample=False, pad_token_id=0)[0, prompt.shape[1]:]
            group = out.create_group(name)
            group["ids"] = ids.numpy()
            group["logits"] = logits.numpy().astype(np.float32)
            group["prompt"] = prompt.numpy()
            group["greedy"] = greedy.numpy()


if __name__ == "__main__":
    main()
