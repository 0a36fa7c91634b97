"""Make an encoder: one loop, a file a method."""
