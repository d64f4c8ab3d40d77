"""The analyses, one a file: what each needs, sums up over batches, shows, and how it is drawn."""
