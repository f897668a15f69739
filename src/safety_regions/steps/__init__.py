"""One module per step of the pipeline that reads and writes artifacts: the only callers of both science and files."""
