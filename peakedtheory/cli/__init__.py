"""Command line of peakedtheory, one module per command group."""
