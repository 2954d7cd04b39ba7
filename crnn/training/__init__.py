"""Training: one loop, and a recipe file for each system whose training it stands in for."""
