"""`python -m peakedtheory`, the command where its script is not on the path."""

from peakedtheory.cli import main

if __name__ == "__main__":
    main()
