"""What the project claims, measured: ours, the peer's and their ratio from one run."""
