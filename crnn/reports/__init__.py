"""An Evaluation as JSON and as text."""
