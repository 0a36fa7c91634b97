"""Bundled data: a balanced subset of Fashion-MNIST (MIT licence)."""
