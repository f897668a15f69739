"""What a run needs of machines, how it was started, and how it is getting on."""
