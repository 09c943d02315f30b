"""The equations of training: forces, noise, finite width, and the integration of the flows."""
