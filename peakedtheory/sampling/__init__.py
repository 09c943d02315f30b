"""Monte Carlo runs around the compiled kernels: sources, samplers, blocks, moments and estimates."""
