"""Models fitted on embeddings."""
