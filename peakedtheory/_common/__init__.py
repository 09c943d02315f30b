"""What every room needs: checks of input, results, files, progress, threads, Gauss panels."""
