"""`python -m hermescape`: the command line."""

from hermescape.cli.app import main

if __name__ == "__main__":
    main()
