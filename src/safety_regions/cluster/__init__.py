"""What a run needs of machines: memory, time, GPUs; and how a run on a cluster is getting on."""
