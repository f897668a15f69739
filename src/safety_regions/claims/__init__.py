"""What the numbers mean: estimates with intervals, and the claims that they decide."""

from safety_regions.claims.assessment import Assessment, assess

__all__ = ["Assessment", "assess"]
