"""Optimizers with the schedule that many recipes share: a short warm-up, then along a cosine to nothing."""

from deepcanon.engine import Adam, AdamW, Factory, Muon, cosine


def adam(lr: float, *, muon: bool = False) -> Factory:
    """Adam, or Muon in its place."""
    return (Muon if muon else Adam)(lr, schedule=cosine(warmup=0.02))


def adamw(lr: float, *, muon: bool = False) -> Factory:
    """Adam with a slight weight decay and a longer warm-up, or Muon in its place."""
    return (Muon if muon else AdamW)(lr, weight_decay=0.01, schedule=cosine(warmup=0.05))
