"""Streams for the gateways, and the token for keyswap.

On TLS every request gets an event stream: CHUNKS events of SIZE bytes, one each PAUSE seconds; with PAUSE 0 one event
and then silence, until the client goes. On plain HTTP: /msi/token is an App Service identity endpoint with a fixed
token, /chunks says how many events have been written.
"""

import asyncio
import json
import ssl
import sys
import time

HEAD = (b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\napim-request-id: 7f1c\r\n"
        b"transfer-encoding: chunked\r\n\r\n")
written = 0


async def head_of(reader):
    """The next request's head; its body is read and dropped. None when the client is gone."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        for line in head.lower().split("\r\n"):
            if line.startswith("content-length:"):
                await reader.readexactly(int(line.split(":")[1]))
            if line == "transfer-encoding: chunked":
                while await reader.readuntil(b"\r\n") != b"0\r\n":
                    await reader.readuntil(b"\r\n")
                await reader.readuntil(b"\r\n")
        return head
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


async def stream(reader, writer, chunks, size, pause):
    global written
    event = b"data: " + b"x" * (size - 8) + b"\n\n"
    chunk = b"%x\r\n%s\r\n" % (len(event), event)
    while await head_of(reader) is not None:
        writer.write(HEAD)
        for _ in range(chunks if pause else 1):
            if writer.is_closing():
                break
            writer.write(chunk)
            written += 1
            await asyncio.sleep(pause)
        if not pause:
            break
        writer.write(b"0\r\n\r\n")
    if not pause:
        await reader.read()
    writer.close()


async def plain(reader, writer, token):
    head = await head_of(reader)
    if head and head.startswith("GET /msi/token"):
        expires = str(int(time.time()) + 86400)
        body = {"access_token": token, "expires_on": expires, "resource": "", "token_type": "Bearer"}
    else:
        body = {"chunks": written}
    body = json.dumps(body).encode()
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n"
                 b"content-length: %d\r\n\r\n%s" % (len(body), body))
    await writer.drain()
    writer.close()


async def main(settings):
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain("upstream.pem", "upstream.key")
    chunks, size, token = settings["chunks"], settings["size"], settings["token"]
    here = "127.0.0.1"
    for port, pause in ((settings["streams"], settings["pause"]), (settings["silent"], 0)):
        await asyncio.start_server(
            lambda r, w, pause=pause: stream(r, w, chunks, size, pause), here, port, ssl=tls, backlog=1024)
    server = await asyncio.start_server(lambda r, w: plain(r, w, token), here, settings["plain"])
    await server.serve_forever()


asyncio.run(main(json.loads(sys.argv[1])))
