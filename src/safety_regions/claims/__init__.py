"""What the numbers mean: estimates with intervals, confounds, and the claims they decide."""

from safety_regions.claims.assessment import Assessment, assess

__all__ = ["Assessment", "assess"]
