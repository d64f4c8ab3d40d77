"""Images: sources, splits, preprocessing, augmentation, batches. Import the module you need."""
