"""What a run is asked for: its configuration and registries, checked."""
