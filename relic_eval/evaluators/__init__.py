"""Evaluators: frozen dataclasses with a pure call from embeddings to a cell. `cell.rows[0]` is the headline number."""
