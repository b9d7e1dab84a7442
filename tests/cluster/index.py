"""The index process where a Qdrant server would be: it listens on the loopback only, so its port is forwarded."""

import asyncio
import hashlib
import os
import signal
import subprocess
import sys

secret = hashlib.sha256(os.environ["QDRANT__SERVICE__API_KEY"].encode()).hexdigest()  # one secret, one purpose
server = subprocess.Popen(
    [sys.executable, "-P", "-m", "query_server.index_process"], env={**os.environ, "RAG_INDEX_SECRET": secret}
)


async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    there = await asyncio.open_connection("127.0.0.1", 50052)
    await asyncio.gather(pipe(reader, there[1]), pipe(there[0], writer), return_exceptions=True)


async def main() -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, sys.exit, 0)  # the first process has no default
    await (await asyncio.start_server(serve, "0.0.0.0", 6334)).serve_forever()  # noqa: S104  a pod's own address


asyncio.run(main())
