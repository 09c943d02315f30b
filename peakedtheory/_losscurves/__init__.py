"""Laws of loss curves, their fits and uncertainty, and the formats of training logs."""
