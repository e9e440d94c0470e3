"""`python -m regraft`: the same as the `regraft` command."""

from regraft.cli.app import main

if __name__ == "__main__":
    main()
