"""Real loss curves: laws side by side, robust fits, honest uncertainty, forecasts (docs/losscurves.md)."""
