"""Numbers that others published, each with its source and how sure we are of it; beside ours, never among them."""

from relic_eval.published.beside import Own, larger_networks, network_of, own_models, published_beside
from relic_eval.published.read import Published, published

__all__ = ["Own", "Published", "larger_networks", "network_of", "own_models", "published", "published_beside"]
