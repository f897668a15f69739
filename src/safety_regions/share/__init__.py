"""Sharing: receipts and tables through git, bytes through DVC."""
