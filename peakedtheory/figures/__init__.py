"""All drawing; computes nothing but points of known curves between those that a result holds.

`plot_...` draws into the axes it is given, or into the current ones, and returns the axes; `draw_...` makes a
figure of its own and returns it.
"""

#: Who draws a result that has a `plot` method, by the name of its type: module and function of this folder.
DRAWERS = {
    "Thermodynamics": "exact:plot_thermodynamics",
    "MonteCarloResult": "estimates:plot_free_energy",
    "StudentFlow": "flows:plot_flow",
    "LossCurveFit": "curves:draw_fit",
    "LawComparison": "curves:draw_comparison",
    "Forecast": "forecasts:draw_forecast",
    "Collapse": "curves:plot_collapse",
    "CollapseComparison": "curves:draw_collapse",
}
