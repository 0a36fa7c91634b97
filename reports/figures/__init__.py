"""One figure a file: results -> matplotlib Figure."""
