"""What jobs do: the only callers of both science and files, one module per step."""
