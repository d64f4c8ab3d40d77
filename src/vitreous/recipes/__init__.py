"""Recipes: a paper's training settings, and ours, one YAML file each, every value with its source."""
