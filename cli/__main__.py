"""``python -m cli`` is ``cocogen``."""

from cli.main import main

if __name__ == "__main__":
    main()
