"""How good a trained model is, and what it says about pictures. Import the module you need."""
