"""What the page rests on: data, provenance, and what it lacks."""
