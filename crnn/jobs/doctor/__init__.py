"""What this machine has, line by line, and whether what is asked of it would run."""
