"""Neighbour blocks, and what is worked out of them."""
