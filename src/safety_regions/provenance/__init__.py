"""Where a number comes from: receipts read backwards, artifacts made again."""
