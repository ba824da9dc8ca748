"""Layers that two networks or more share: tensors in, tensors out."""
