"""One process that has imported what jobs import, and forks each of them.

`start` starts it beside a snakemake. A job's command runs `client`, which asks it over a socket and becomes the plain
interpreter wherever the answer is no, or none comes. `server` is the process itself.
"""
