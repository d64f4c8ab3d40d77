"""Search: spaces of models as values, one network that holds all of them, evolution under a budget."""
