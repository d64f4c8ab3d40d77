"""Training: recipe, loop, checkpoints, run folder. Import the module you need; this one is light."""
