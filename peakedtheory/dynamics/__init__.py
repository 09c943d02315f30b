"""Training as the theory predicts it: interpolants, gap law, regimes, flows, tuning."""
