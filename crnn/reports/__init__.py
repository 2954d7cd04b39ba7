"""Results as JSON, as text, as tables and pictures, and in the words of other systems."""
