"""How far regions overlap, and how far by chance."""
