"""`carrousel` and `python -m carrousel`."""

import sys

from carrousel.processes import INTERRUPTED


def main() -> None:
    """Run the command line, also for who changes their mind while it is still imported."""
    try:
        from carrousel.cli import main
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    main()


if __name__ == "__main__":
    main()
