"""Networks and training loops that others would use, for comparison; each written from its description."""
