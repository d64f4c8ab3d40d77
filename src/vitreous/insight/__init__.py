"""What happens inside models, measured over images: the bench behind `analyze`, and the report page."""
