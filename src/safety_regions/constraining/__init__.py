"""Whether keeping a region keeps refusals: fine-tuning with it frozen, and putting it back."""
