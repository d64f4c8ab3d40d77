"""What a model costs and does. Import the module you need."""
