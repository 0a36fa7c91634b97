"""What pointing at pictures answers: confusion, differences, a map, masks."""
