"""What training left: losses, sample efficiency, checkpoints."""
