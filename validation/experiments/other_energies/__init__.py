"""Students whose energies are not Gaussian."""
