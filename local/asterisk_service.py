"""`python -m local.asterisk_service --root DIR`: one Asterisk by itself, for a container that has nothing else to do.

Writes prompts and configuration from the settings, then becomes Asterisk inside its root folder.
"""

import argparse
import os
import sys
from pathlib import Path

from ivr.asterisk.configuration import write_configuration
from ivr.asterisk.instance import Instance
from ivr.settings import IvrSettings
from local.accounts import SetupError
from local.asterisk import install
from local.launch import become
from local.prompt_files import make_prompts

FOLDER = "srv/vns/main"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m local.asterisk_service")
    parser.add_argument("--root", type=Path, required=True, help="root folder that holds Asterisk")
    root: Path = parser.parse_args().root
    settings = IvrSettings()

    def tell(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    try:
        installation = install(None, root, tell)
        make_prompts(settings.prompts_dir, tell)
    except SetupError as problem:
        sys.exit(f"cannot start Asterisk: {problem}")
    instance = Instance(folder=root / FOLDER, root=root)
    write_configuration(instance, settings)
    owner = instance.owner()
    assert owner is not None  # noqa: S101 - a root folder was given
    command = [installation.program, *instance.command()[1:]]
    become(chroot=str(root), uid=owner[0], gid=owner[1])
    os.execv(command[0], command)  # noqa: S606 - an argument list, no shell wanted


if __name__ == "__main__":
    main()
