"""`python -m benchmarks.peers.bare_server MODEL PORT`: an ONNX graph behind uvicorn, and nothing else.

A raw float32 body is answered by mean and std as raw float32; a body of ``{"rows": [[...]]}`` by JSON of orjson.
"""

import sys
from collections.abc import Awaitable, Callable
from typing import Any


def app(model: str) -> Callable[[Any, Any, Any], Awaitable[None]]:
    import numpy as np
    import onnxruntime
    import orjson

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    width = session.get_inputs()[0].shape[1]

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            message = await receive()
            body += message["body"]
            more = message.get("more_body", False)
        if scope["path"] == "/raw":
            out = session.run(["mean", "std"], {"features": np.frombuffer(body, dtype="<f4").reshape(-1, width)})
            content = b"".join(part.tobytes() for part in out)
        else:
            rows = np.array(orjson.loads(body)["rows"], dtype=np.float32)
            mean, std = session.run(["mean", "std"], {"features": rows})
            content = orjson.dumps({"mean": mean, "std": std}, option=orjson.OPT_SERIALIZE_NUMPY)
        length = str(len(content)).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
        await send({"type": "http.response.body", "body": content})

    return answer


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(app(sys.argv[1]), host="127.0.0.1", port=int(sys.argv[2]), log_level="warning", lifespan="off")
