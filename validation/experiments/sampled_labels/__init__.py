"""Students on labels that are drawn from their teachers, as in pre-training."""
