"""What measures and checks the code itself; not installed with the package."""
