"""Show results: one page, figures, tables. Nothing is recomputed here."""
