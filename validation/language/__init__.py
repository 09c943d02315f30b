"""Language models: statistics of next-token logits, evaluation of checkpoints, training runs, analysis."""
