"""Language models: where they come from, how they are loaded, trained and asked."""
