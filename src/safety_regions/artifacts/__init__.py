"""What is made, and how it is known: kinds, paths with digests, receipts."""
