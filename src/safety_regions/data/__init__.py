"""The data phase: datasets -> rows -> samples of prompts, and how much the sets share."""
