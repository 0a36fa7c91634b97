"""The pretraining study: its arms, what judges them, its table and its figures."""
