"""What the numbers mean: estimates with intervals, confounds, and the claims they decide."""
