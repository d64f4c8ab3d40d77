"""Where settings come from: defaults, recipes, files, the environment, and what the caller says."""
