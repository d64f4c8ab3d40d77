"""vitreous: efficient vision transformers to train on your own images, see into, search and combine."""
