"""``python -m serving.forecaster``: serve one model folder until SIGTERM.

A model that is missing, corrupt or silly refuses to start: a message on stderr and an exit code above zero.
"""

import argparse
import sys
from pathlib import Path

from alphamill.adapters.onnx.forecaster import OnnxForecaster
from alphamill.errors import AlphamillError
from alphamill.logs import configure
from alphamill.settings import read_settings
from serving.forecaster.answers import warm_up


def main(arguments: list[str] | None = None) -> int:
    """Exit code: 0 after a stop, else the one of the error (see `alphamill.errors`)."""
    options = _parser().parse_args(arguments)
    try:
        configure(read_settings(), "forecaster")
        forecaster = OnnxForecaster(options.model_dir, version=options.model_version)
        warm_up(forecaster)
        # Imported late: kserve takes seconds, and a bad model is refused without it.
        from serving.forecaster.model import ForecasterModel
        from serving.forecaster.server import ForecasterServer

        model = ForecasterModel(options.model_name, forecaster)
        model.load()
        server = ForecasterServer(host=options.host, http_port=options.http_port, grpc_port=options.grpc_port)
        server.serve(model)
    except AlphamillError as error:
        sys.stderr.write(f"{error.code}: {error}\n")
        return error.exit_code
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m serving.forecaster", description=__doc__)
    parser.add_argument("--model-dir", type=Path, default=Path("/mnt/models"), help="holds model.onnx and card.json")
    parser.add_argument("--model-name", default="forecaster", help="name in the URL")
    parser.add_argument("--model-version", default="unregistered", help="version in the registry")
    parser.add_argument("--host", default="0.0.0.0", help="address REST listens on")
    parser.add_argument("--http-port", type=int, default=8080)
    parser.add_argument("--grpc-port", type=int, default=0, help="0: no gRPC; it always listens on every address")
    return parser


if __name__ == "__main__":
    sys.exit(main())
