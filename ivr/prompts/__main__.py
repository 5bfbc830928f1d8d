"""`python -m ivr.prompts --into DIR`: make every prompt."""

import argparse
import sys
from pathlib import Path

from ivr.prompts.synthesis import PromptError, build, duration


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m ivr.prompts")
    parser.add_argument("--into", type=Path, required=True, help="folder for the wav files")
    options = parser.parse_args()
    try:
        for made in build(options.into):
            print(f"{made.name} {duration(made):.1f} s")
    except PromptError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
