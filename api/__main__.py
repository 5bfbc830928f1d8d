"""`python -m api`: one server process. Start several: they share the port, each with a socket of its own."""

import logging
import os
import sys

from api.settings import ApiSettings
from vns.settings import Settings


def main() -> None:
    core, settings = Settings(), ApiSettings()
    logging.basicConfig(
        level=core.log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    if settings.metrics_dir is not None:
        settings.metrics_dir.mkdir(parents=True, exist_ok=True)
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(settings.metrics_dir)
    from api.server import serve  # noqa: PLC0415 - prometheus_client looks for its folder when it is imported

    try:
        serve(core, settings)
    except OSError as error:
        sys.exit(f"cannot listen on {settings.http_host}:{settings.http_port}: {error.strerror}")


if __name__ == "__main__":
    main()
