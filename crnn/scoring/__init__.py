"""The loop that every evaluation shares: batches through a runner, and their logits counted."""
