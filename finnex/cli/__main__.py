"""`python -m finnex.cli`: the same as the console script."""

from finnex.cli import main

if __name__ == "__main__":  # worker processes import this module again
    main()
