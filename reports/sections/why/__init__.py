"""Curves that say why one leads."""
