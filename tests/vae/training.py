"""A loop for methods with one loss."""

import torch


def train(method, batch, steps, lr):
    """Adam on `batch()`, the rate falling to 0."""
    optimizer = torch.optim.Adam([p for p in method.parameters() if p.requires_grad], lr)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = lr * (1 - step / steps)
        optimizer.zero_grad()
        loss = method.loss(batch())
        (loss["loss"] if isinstance(loss, dict) else loss).backward()
        optimizer.step()
    return method
