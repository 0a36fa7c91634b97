"""How far apart the classes are."""
