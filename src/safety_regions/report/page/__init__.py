"""The report as one HTML page, and as a PDF to append to a paper."""
