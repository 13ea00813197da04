"""Text to vectors, as the authors of each model do it: recipes, devices and encoders."""
