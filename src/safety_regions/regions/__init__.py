"""Regions: how they are selected, their file, and the masks in it."""
