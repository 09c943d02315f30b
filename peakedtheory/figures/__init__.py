"""All drawing; computes nothing."""
