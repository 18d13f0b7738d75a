"""A network of its own for one suite: nothing but loopback, and a hosts file that leads Azure's names here.

That file is what somebody writes who puts keyswap in front of programs that cannot be told another host. Azure itself
is elsewhere, on addresses of its own; the one who knows that is a name server that keyswap alone asks.
"""

import contextlib
import socket
import tempfile
import threading

from runner import processes

OPENAI, SEARCH = "contoso.openai.azure.com", "contoso.search.windows.net"
AZURE = {OPENAI: "127.0.0.2", SEARCH: "127.0.0.3"}

_SCRIPT = 'mount --bind "$0" /etc/hosts && ip link set lo up && exec "$@"'


# Whatever was started inside ends with the first process there.
_ALONE = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]


def run_inside(command, limit):
    """Runs a command inside, as `processes.run` does. Needs root."""
    with tempfile.NamedTemporaryFile("w") as hosts:
        hosts.write(f"127.0.0.1 localhost {' '.join(AZURE)}\n")
        hosts.flush()
        return processes.run([*_ALONE, "sh", "-c", _SCRIPT, hosts.name, *command], limit)


def be_azure(name, port):
    """Answers at a name's own address, at port 443, what the emulator answers at a port of its own; until `leave`."""
    listener = socket.create_server((AZURE[name], 443))
    _keep(listener.accept, lambda accepted: _join(accepted[0], socket.create_connection(("127.0.0.1", port))))
    return listener


def leave(listener):
    """Whoever waits for a connection there is woken: while it waits, the listener would be open still."""
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def name_server():
    """A name server that knows where Azure really is; gives its address."""
    server = socket.socket(type=socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))
    _keep(lambda: server.recvfrom(512), lambda asked: server.sendto(_answer(asked[0]), asked[1]))
    return "{}:{}".format(*server.getsockname())


def _answer(question):
    end = question.index(0, 12) + 5
    labels, at = [], 12
    while length := question[at]:
        labels.append(question[at + 1 : at + 1 + length].decode().lower())
        at += 1 + length
    address = AZURE.get(".".join(labels))
    is_asked = address and question[end - 4 : end - 2] == b"\0\1"  # for an address of IPv4
    code = 0x80 if address else 0x83
    head = question[:2] + bytes([0x81, code, 0, 1, 0, bool(is_asked), 0, 0, 0, 0])
    record = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + socket.inet_aton(address) if is_asked else b""
    return head + question[12:end] + record


def _join(one, other):
    for source, sink in ((one, other), (other, one)):
        threading.Thread(target=_pour, args=(source, sink), daemon=True).start()


def _pour(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        # a reset is passed on as an end: which of them it was is for other tests
        for side in (source, sink):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)


def _keep(wait, act):
    def work():
        try:
            while True:
                act(wait())
        except OSError:
            pass  # closed

    threading.Thread(target=work, daemon=True).start()
