#!/usr/bin/python3
"""Makes recurrent.h5: GRU and LSTM layers of PyTorch; layout as in make_nn.py. Needs Debian's python3-torch and python3-h5py.

The output of a case is one vector: all outputs, then the last states (h_n, and for LSTM c_n), flattened one after the other.
<case>/lengths, where present, are the lengths of the sequences of a packed run; gate orders and weight shapes are PyTorch's own.
"""
import os

import h5py
import torch
from torch import nn

from make_nn import Writer, leaf, randomise

torch.manual_seed(12)


def parameters(module):
    """Our names: <layer>/<direction>/input/... is PyTorch's weight_ih and bias_ih, .../state/... is weight_hh and bias_hh."""
    out = {}
    for name, p in module.named_parameters():
        kind, source, rest = name.split("_", 2)[0], name.split("_")[1], name.split("_l")[1]
        direction = "backward" if rest.endswith("_reverse") else "forward"
        layer = rest.replace("_reverse", "")
        out["/".join((layer, direction, {"ih": "input", "hh": "state"}[source], kind))] = p
    return out


def flat(result):
    y, last = result
    states = last if isinstance(last, tuple) else (last,)
    return torch.cat([y.reshape(-1)] + [s.reshape(-1) for s in states])


def main():
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "recurrent.h5")
    with h5py.File(path, "w", track_order=False) as f:
        w = Writer(f)
        for name, layer in (("gru", nn.GRU), ("lstm", nn.LSTM)):
            m = randomise(layer(3, 4, batch_first=True))
            x = leaf(2, 5, 3)
            w.case(name + "/plain", parameters(m), {"x": x}, lambda: flat(m(x)))
            m1 = randomise(layer(3, 4, batch_first=True, bias=False))
            w.case(name + "/no_bias", parameters(m1), {"x": x}, lambda: flat(m1(x)))

            m2 = randomise(layer(3, 2, num_layers=2, bidirectional=True, batch_first=True))
            z = leaf(3, 5, 3)
            lengths = torch.tensor([5, 2, 4])

            def packed():
                y, last = m2(nn.utils.rnn.pack_padded_sequence(z, lengths, batch_first=True, enforce_sorted=False))
                return flat((nn.utils.rnn.pad_packed_sequence(y, batch_first=True)[0], last))

            w.case(name + "/deep_bidirectional_lengths", parameters(m2), {"x": z}, packed, extra={"lengths": lengths})


if __name__ == "__main__":
    main()
