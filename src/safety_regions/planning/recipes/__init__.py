"""The recipe of each kind of artifact: what a planner writes, a receipt holds and a step reads.

Imported while the Snakefile is parsed: no heavy imports, no network.
"""
