"""`python -m serving.controller`: one uvicorn process, settings from the environment."""

import uvicorn

from alphamill.embedded.watch import exit_with_runtime
from alphamill.settings import load_settings
from serving.controller.app import create_app


def main() -> None:
    exit_with_runtime()
    settings = load_settings()
    uvicorn.run(
        create_app(settings),
        host=settings.controller_host,
        port=settings.controller_port,
        log_level=settings.log_level.lower(),
        access_log=False,
    )


if __name__ == "__main__":
    main()
