"""From a configuration to a plan: which artifacts, from which inputs, in which jobs."""
