"""What a command might do to its worker: `main` stands in for the command line in the tests of the harness."""

import contextlib
import os
import sys
import time

__all__ = ["main"]


def main() -> None:
    """Do the first argument."""
    match sys.argv[1]:
        case "answer":
            sys.exit(0)
        case "hang":
            while True:
                with contextlib.suppress(Exception):
                    time.process_time()
        case "eat":
            sys.exit(len([0] * 10**10))
        case "break":
            sys.exit(1 // 0)
        case "die":
            os._exit(9)
