"""Models on disk and in other people's software. Import the module you need."""
