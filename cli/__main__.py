"""``python -m cli`` is ``cocogen``."""

from cli.main import main

main()
