"""What is shown of a run: figures, tables, a summary and a page."""
