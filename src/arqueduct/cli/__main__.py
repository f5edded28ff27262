"""`python -m arqueduct.cli`: what `arqueduct up` starts its processes with."""

from arqueduct.cli.app import main

if __name__ == "__main__":
    main()
