#!/usr/bin/python3
"""Makes optim.h5: trajectories of PyTorch's optimisers on given gradients. Needs Debian's python3-torch and python3-h5py.

Everything is f64. Gradients do not depend on the parameters, so a wrong step cannot hide behind convergence.
  gradients [100, 5, 3]; start [5, 3]; dense/<case> [10, 5, 3]: the parameter after steps 10, 20, ... 100
  indices [100, 4], rows [100, 4, 3] (a row may occur twice); sparse/<case> likewise
"""
import os

import h5py
import numpy as np
import torch

STEPS = 100
generator = np.random.RandomState(7)
start = generator.randn(5, 3)
gradients = generator.randn(STEPS, 5, 3) * np.linspace(0.01, 2, 15).reshape(5, 3)
indices = generator.randint(0, 5, (STEPS, 4))
rows = generator.randn(STEPS, 4, 3)

DENSE = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.05),
    "sgd_decay": lambda p: torch.optim.SGD(p, lr=0.05, weight_decay=0.1),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=0.1),
    "nesterov": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.1),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01),
    "adam_l2": lambda p: torch.optim.Adam(p, lr=0.01, betas=(0.8, 0.98), eps=1e-3, weight_decay=0.1),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.1),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=0.05, eps=1e-3),
    "adagrad_decay": lambda p: torch.optim.Adagrad(p, lr=0.05, weight_decay=0.1, initial_accumulator_value=0.1),
}
SPARSE = {
    "adam_lazy": lambda p: torch.optim.SparseAdam(p, lr=0.01, betas=(0.9, 0.98), eps=1e-3),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=0.05, eps=1e-3),
    "sgd": lambda p: torch.optim.SGD(p, lr=0.05),
}


def trajectory(make, gradient):
    p = torch.nn.Parameter(torch.tensor(start))
    optimizer = make([p])
    kept = []
    for step in range(STEPS):
        p.grad = gradient(step)
        optimizer.step()
        if step % 10 == 9:
            kept.append(p.detach().numpy().copy())
    return np.stack(kept)


def main():
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "optim.h5")
    with h5py.File(path, "w", track_order=False) as f:
        for name in ("start", "gradients", "indices", "rows"):
            f[name] = globals()[name]
        for name, make in DENSE.items():
            f["dense/" + name] = trajectory(make, lambda step: torch.tensor(gradients[step]))
        for name, make in SPARSE.items():
            sparse = lambda step: torch.sparse_coo_tensor(torch.tensor(indices[step])[None], torch.tensor(rows[step]), (5, 3))
            f["sparse/" + name] = trajectory(make, sparse)


if __name__ == "__main__":
    main()
