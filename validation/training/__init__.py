"""Training of students in stacks, by compiled loops or by torch."""
