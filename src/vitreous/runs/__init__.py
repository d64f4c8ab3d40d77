"""Runs as a whole: planned without training, as a set of seeds, listed, compared, replayed."""
