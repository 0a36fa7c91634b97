"""The board, and what is drawn of it."""
