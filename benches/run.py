#!/usr/bin/env python3
"""keyswap against nginx on the same job, on loopback: see README.md beside the results in benches/runs.

What counts is processor time (utime and stime of a gateway's processes) and instructions, not the clock: they mean
something on a machine that does other things too. The two gateways take turns, and a result is the median of the
rounds; a ratio is the median of the rounds' ratios.

Needs nginx, wrk, valgrind and openssl (Debian: nginx-light wrk valgrind openssl) and nothing of the network.
"""

import argparse
import asyncio
import datetime
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
KEYS = [hashlib.sha256(b"bench key %d" % number).hexdigest()[:32] for number in range(1000)]
TOKEN = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9." + "bench" * 280 + ".c2lnbmF0dXJl"  # as long as Entra's
CHAT = json.dumps({"messages": [
    {"role": "system", "content": "You are a helpful assistant that answers questions about invoices."},
    {"role": "user", "content": "Which of our suppliers were paid twice in the last quarter, and by how much?"}]})
ANSWER = json.dumps({
    "id": "chatcmpl-9", "object": "chat.completion", "created": 1, "model": "gpt-4o",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "word " * 80}}],
    "usage": {"prompt_tokens": 40, "completion_tokens": 80, "total_tokens": 120}})
PATH = "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"
GATEWAYS = ("keyswap", "nginx")
TICK = os.sysconf("SC_CLK_TCK")


# What is compared, and what it is compared on.

class Process:
    """A process and its children, ended by its id."""

    def __init__(self, command, directory, port, **more):
        self.directory = directory
        log = lambda name: open(directory / name, "wb")
        self.popen = subprocess.Popen(command, cwd=directory, stdin=subprocess.DEVNULL,
                                      stdout=log("requests.stdout"), stderr=log("stderr"), **more)
        until = time.monotonic() + 60
        while not reachable(port):
            if self.popen.poll() is not None or time.monotonic() > until:
                self.stop()
                sys.exit(f"{command[0]} does not serve:\n{(directory / 'stderr').read_text()}")
            time.sleep(0.05)

    def pids(self):
        pid = self.popen.pid
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *map(int, children)]

    def processor(self):
        """Seconds in user and in system mode so far."""
        stats = [pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in self.pids()]
        return sum(int(stat[11]) for stat in stats) / TICK, sum(int(stat[12]) for stat in stats) / TICK

    def resident(self):
        """Bytes of memory in use."""
        status = [pathlib.Path(f"/proc/{pid}/status").read_text() for pid in self.pids()]
        return sum(int(re.search(r"VmRSS:\s+(\d+)", text)[1]) * 1024 for text in status)

    def stop(self):
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
            try:
                self.popen.wait(20)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()


class Bench:
    """A directory with certificates and keys, and what runs in it."""

    def __init__(self, directory, settings):
        self.directory, self.settings, self.running = directory, settings, []
        self.plain, self.streams, self.silent, self.whole = (free_port() for _ in range(4))
        certificates(directory)
        (directory / "keys").write_text("".join(f"{key}\n" for key in KEYS))

    def start(self, name, command, port, template=None, values=None, **more):
        place = pathlib.Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.directory))
        for file in ("ca.pem", "cert.pem", "key.pem", "upstream.pem", "upstream.key"):
            shutil.copy(self.directory / file, place)
        (place / "keys.map").write_text("".join(f'"{key}" team-{at:04};\n' for at, key in enumerate(KEYS)))
        (place / "keys.toml").write_text("".join(
            f'[clients.team-{at:04}]\nkeys = [{{ id = "team-{at:04}-key", sha256 = '
            f'"{hashlib.sha256(key.encode()).hexdigest()}" }}]\ngrants = [{{ resource = "bench" }}]\n'
            for at, key in enumerate(KEYS)))
        if template:
            text = (HERE / template).read_text()
            for word, value in (values or {}).items():
                text = text.replace(f"@{word}@", str(value))
            (place / template).write_text(text)
            (place / template).chmod(0o600)
        process = Process(command, place, port, **more)
        self.running.append(process)
        return process

    def upstreams(self):
        self.start("whole", nginx("upstream.conf"), self.whole, "upstream.conf", {"PORT": self.whole, "ANSWER": ANSWER})
        ports = {name: getattr(self, name) for name in ("plain", "streams", "silent")}
        stream = {name: self.settings[name] for name in ("chunks", "size", "pause")}
        command = [sys.executable, str(HERE / "upstream.py"), json.dumps({**ports, **stream, "token": TOKEN})]
        self.start("upstream", command, self.plain)

    def gateway(self, name, upstream, workers, under=(), master=True):
        """A gateway's process and port; `under` is a tool to run it under."""
        port, admin = free_port(), free_port()
        values = {"PORT": port, "UPSTREAM": upstream, "WORKERS": workers, "ADMIN": admin, "TOKEN": TOKEN,
                  "MASTER": "" if master else "master_process off;"}
        if name == "nginx":
            return self.start(name, [*under, *nginx("nginx.conf")], port, "nginx.conf", values), port
        identity = {"IDENTITY_ENDPOINT": f"http://127.0.0.1:{self.plain}/msi/token", "IDENTITY_HEADER": "bench"}
        command = [*under, self.settings["keyswap"], "serve", "--config", "keyswap.toml"]
        process = self.start(name, command, port, "keyswap.toml", values, env={"PATH": os.environ["PATH"], **identity})
        process.admin = f"http://127.0.0.1:{admin}"
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                urllib.request.urlopen(f"{process.admin}/health/ready", timeout=5).close()
                return process, port
            except OSError:
                time.sleep(0.1)
        sys.exit("keyswap does not become ready")

    def stop(self, *processes):
        for process in processes or tuple(self.running):
            process.stop()
            self.running.remove(process)

    def chunks(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.plain}/chunks", timeout=10) as answer:
            return json.load(answer)["chunks"]

    def load(self, port, seconds, connections):
        """wrk's own summary, of a load over kept TLS connections."""
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s", "-s", str(HERE / "load.lua"),
                   f"https://127.0.0.1:{port}"]
        env = {**os.environ, "KEYS": str(self.directory / "keys"), "CHAT": CHAT}
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=seconds + 60, check=True)
        result = json.loads(re.search(r"RESULT (.*)", done.stdout)[1])
        if result["errors"] or not result["requests"]:
            sys.exit(f"a load had errors: {result}")
        return result


def nginx(config):
    return ["nginx", "-p", ".", "-c", config, "-e", "error.log"]


def certificates(directory):
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)
    (directory / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=bench authority")
    # Upstream has one of its own: an upstream that shows keyswap's is taken for keyswap itself, and refused as a loop.
    for serial, (key, certificate) in enumerate((("key.pem", "cert.pem"), ("upstream.key", "upstream.pem")), 1):
        openssl("req", *curve, "-keyout", key, "-out", "request.pem", "-subj", "/CN=localhost")
        openssl("x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2",
                "-extfile", "names", "-out", certificate, "-set_serial", str(serial))
        (directory / key).chmod(0o600)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def reachable(port):
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0


# The measurements. Each gives a list of rounds: {gateway: {figure: value}}.

def alternated(bench, upstream, measure):
    """Both gateways up, measured in turns; who begins changes from round to round."""
    gateways = {name: bench.gateway(name, upstream, bench.settings["workers"]) for name in GATEWAYS}
    for _, port in gateways.values():
        bench.load(port, 4, bench.settings["connections"])
    rounds = []
    for number in range(bench.settings["rounds"]):
        order = GATEWAYS if number % 2 == 0 else GATEWAYS[::-1]
        rounds.append({name: measure(*gateways[name]) for name in order})
    told_all(gateways["keyswap"][0])
    bench.stop(*(process for process, _ in gateways.values()))
    return rounds


def told_all(keyswap):
    """A request whose line was dropped has cost less than it should."""
    with urllib.request.urlopen(f"{keyswap.admin}/metrics", timeout=10) as page:
        dropped = re.search(r"^keyswap_request_lines_dropped_total (\d+)$", page.read().decode(), re.MULTILINE)[1]
    if dropped != "0":
        sys.exit(f"keyswap has dropped {dropped} request lines: the figures are not good")


def spent(process, before, count):
    """Microseconds for each of `count` things since `before`."""
    user, system = (1e6 * (now - then) / count for now, then in zip(process.processor(), before))
    return {"user_us": round(user, 3), "system_us": round(system, 3), "total_us": round(user + system, 3)}


def requests(bench):
    def measure(process, port):
        before = process.processor()
        result = bench.load(port, bench.settings["seconds"], bench.settings["connections"])
        return {**spent(process, before, result["requests"]), **result}
    return alternated(bench, bench.whole, measure)


def streams(bench):
    def measure(process, port):
        before, chunks = process.processor(), bench.chunks()
        result = bench.load(port, bench.settings["stream_seconds"], bench.settings["connections"])
        chunks = bench.chunks() - chunks
        return {**spent(process, before, chunks), "chunks": chunks, **result}
    return alternated(bench, bench.streams, measure)


def idle(bench):
    """Memory of a gateway before and while it has many silent streams open."""
    async def hold(process, port, count):
        tls = ssl.create_default_context(cafile=bench.directory / "ca.pem")

        async def one():
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls, server_hostname="localhost")
            writer.write(request_bytes(KEYS[0]))
            await reader.readuntil(b"x\n\n")
            return writer
        (await one()).close()  # what the first connection costs is not what one more costs
        await asyncio.sleep(0.5)
        before = process.resident()
        opened = []
        for _ in range(count // 20):
            opened += await asyncio.gather(*(one() for _ in range(20)))
        await asyncio.sleep(2)
        after = process.resident()
        for writer in opened:
            writer.transport.abort()
        return {"before_kb": before / 1024, "after_kb": after / 1024, "kb_per_stream": (after - before) / 1024 / count}

    rounds = []
    for number in range(bench.settings["rounds"]):
        order = GATEWAYS if number % 2 == 0 else GATEWAYS[::-1]
        rounds.append({})
        for name in order:
            process, port = bench.gateway(name, bench.silent, bench.settings["workers"])
            rounds[-1][name] = asyncio.run(hold(process, port, bench.settings["idle_streams"]))
            bench.stop(process)
    return rounds


def request_bytes(key):
    return (f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\napi-key: {key}\r\nUser-Agent: bench/1\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(CHAT)}\r\n\r\n{CHAT}").encode()


def instructions(bench):
    """Instructions for each request, in all and by function: the difference between two runs of different length."""
    few, many = bench.settings["callgrind_requests"]
    counted = {}
    for name in GATEWAYS:
        short, long = (callgrind(bench, name, count) for count in (few, many))
        counted[name] = {"per_request": (long["total"] - short["total"]) / (many - few)}
        for kind in ("itself", "with_calls"):
            each = {function: round((cost - short[kind].get(function, 0)) / (many - few), 1)
                    for function, cost in long[kind].items()}
            counted[name][kind] = dict(sorted(each.items(), key=lambda item: -item[1])[:200])
    return counted


def callgrind(bench, name, count):
    out = bench.directory / f"callgrind-{name}-{count}"
    tool = ("valgrind", "--tool=callgrind", f"--callgrind-out-file={out}")
    process, port = bench.gateway(name, bench.whole, 1, tool, master=False)
    tls = ssl.create_default_context(cafile=bench.directory / "ca.pem")
    with tls.wrap_socket(socket.create_connection(("127.0.0.1", port), 60), server_hostname="localhost") as client:
        answers = client.makefile("rb")
        for at in range(count):
            client.sendall(request_bytes(KEYS[at % len(KEYS)]))
            if b" 200 " not in answers.readline():
                sys.exit(f"{name} under callgrind answers badly")
            length = 0
            while (line := answers.readline()) != b"\r\n":
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            answers.read(length)
    bench.stop(process)
    itself, with_calls = functions(out, "no", int.__add__), functions(out, "yes", max)
    return {"total": sum(itself.values()), "itself": itself, "with_calls": with_calls}


def functions(out, inclusive, join):
    """The cost of every function. One that is spread over several files by inlining has several lines, joined here."""
    told = subprocess.run(["callgrind_annotate", "--auto=no", "--threshold=100", "--show-percs=no",
                           f"--inclusive={inclusive}", str(out)], capture_output=True, text=True, check=True).stdout
    costs = {}
    for cost, function in re.findall(r"^\s*([\d,]+)\s+[^\s:]+:(\S.*?)(?: \[[^]]*\])?$", told, re.MULTILINE):
        function = re.sub(r"::h[0-9a-f]{16}|'\d+$", "", function)
        cost = int(cost.replace(",", ""))
        costs[function] = join(costs[function], cost) if function in costs else cost
    return costs


# The report.

def median(rounds, gateway, figure):
    return statistics.median(entry[gateway][figure] for entry in rounds)


def ratio(rounds, figure):
    return statistics.median(entry["keyswap"][figure] / entry["nginx"][figure] for entry in rounds)


def versions(settings):
    def say(*command):
        done = subprocess.run(command, capture_output=True, text=True)
        return (done.stdout + done.stderr).strip().splitlines()[0]
    return {"keyswap": f"{say(settings['keyswap'], '--version').split()[-1]}, commit "
                       + say("git", "-C", str(HERE), "rev-parse", "--short", "HEAD"),
            "nginx": say("nginx", "-v").rpartition("/")[2], "wrk": say("wrk", "-v").split()[1],
            "valgrind": say("valgrind", "--version").removeprefix("valgrind-"),
            "openssl": say("openssl", "version").split()[1], "rustc": say("rustc", "--version").split()[1],
            "kernel": os.uname().release.split("-")[0]}


def machine():
    model = re.search(r"model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text())
    return f"{' '.join((model[1] if model else os.uname().machine).split())}, {os.cpu_count()} cores"


def report(results):
    settings, counted = results["settings"], results["instructions"]
    rows = []
    for title, rounds, figure in (
            ("processor time of a request, µs", results["requests"], "total_us"),
            ("— in user mode", results["requests"], "user_us"),
            ("— in system mode", results["requests"], "system_us"),
            ("processor time of an event of a stream, µs", results["streams"], "total_us"),
            ("— in user mode", results["streams"], "user_us"),
            ("— in system mode", results["streams"], "system_us"),
            ("memory of an open silent stream, KiB", results["idle"], "kb_per_stream"),
            ("memory before them, KiB", results["idle"], "before_kb")):
        each = [entry["keyswap"][figure] / entry["nginx"][figure] for entry in rounds]
        rows.append(f"| {title} | {median(rounds, 'keyswap', figure):.1f} | {median(rounds, 'nginx', figure):.1f} "
                    f"| **{ratio(rounds, figure):.2f}** | {min(each):.2f} to {max(each):.2f} |")
    keyswap, nginx_ = (counted[name]["per_request"] for name in GATEWAYS)
    rows.insert(3, f"| instructions of a request (callgrind, user mode) | {keyswap:,.0f} | {nginx_:,.0f} "
                   f"| **{keyswap / nginx_:.2f}** | |")
    costs = lambda kind, wanted: [f"| `{function}` | {cost:,.0f} | {100 * cost / keyswap:.1f} % |"
                                  for function, cost in counted["keyswap"][kind].items() if wanted(function)][:20]
    return "\n".join([
        f"# {results['date']}, {results['machine']}", "",
        "| | keyswap | nginx | ratio | of single rounds |", "|---|---|---|---|---|", *rows, "",
        "Medians; a ratio is the median of the rounds' ratios, below 1 where keyswap is cheaper. All rounds are in",
        "[raw.json](raw.json).", "",
        "## What was done", "",
        f"- Versions: {', '.join(f'{name} {version}' for name, version in results['versions'].items())}.",
        f"- keyswap is built {'guided by a rehearsal' if results['guided'] else 'without a rehearsal'} (`make guided`).",
        f"- Both: {settings['workers']} workers, 1,000 keys in turn, TLS on both sides, connections kept on both sides,",
        "  certificates checked, the JSON line of every request to a file, no buffering of bodies. The files are",
        "  `benches/nginx.conf` and `benches/keyswap.toml`, otherwise defaults.",
        f"- Requests: chats of {len(CHAT)} bytes, answers of {len(ANSWER)}, `wrk` with {settings['connections']} connections for",
        f"  {settings['seconds']} s, {settings['rounds']} rounds, in turns. Upstream is another nginx that answers by itself.",
        f"- Streams: {settings['chunks']} events of {settings['size']} bytes, one each {1000 * settings['pause']:g} ms, "
        f"{settings['connections']} streams at once for {settings['stream_seconds']} s.",
        f"  What a stream costs to begin and end is in it, a {settings['chunks']}th for each event.",
        f"- Memory: growth of VmRSS, all processes, with {settings['idle_streams']} streams open that had one event; fresh processes.",
        f"- Instructions: one connection, one worker, the difference between {settings['callgrind_requests'][0]} and "
        f"{settings['callgrind_requests'][1]} requests. Valgrind offers",
        "  neither AVX-512 nor VAES, and sees nothing of the kernel.", "",
        "## Where keyswap's instructions go", "",
        "Its own functions, with all that they call; most of them stand within one another:", "",
        "| function | a request | share |", "|---|---|---|",
        *costs("with_calls", lambda function: re.match(r"<?keyswap::", function)), "",
        "All functions, by themselves:", "",
        "| function | a request | share |", "|---|---|---|", *costs("itself", lambda function: True), ""])


def slug(text):
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def unused(place):
    """The place, or one beside it: a run never takes the place of another, whose README may have been added to."""
    names = [place, *(place.with_name(f"{place.name}-{number}") for number in range(2, 100))]
    return next(name for name in names if not name.exists())


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--keyswap", default="target/guided/keyswap", help="built by make guided PROFILE=measured")
    arguments.add_argument("--out", type=pathlib.Path, help="instead of benches/runs/DATE-MACHINE")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--seconds", type=int, default=5, help="of one load")
    given = arguments.parse_args()
    missing = [tool for tool in ("nginx", "wrk", "valgrind", "callgrind_annotate", "openssl") if not shutil.which(tool)]
    if missing:
        sys.exit(f"not installed: {', '.join(missing)} (Debian: apt-get install nginx-light wrk valgrind openssl)")

    settings = {"rounds": given.rounds, "seconds": given.seconds, "stream_seconds": 2 * given.seconds, "connections": 32,
                "workers": min(os.cpu_count(), 4), "chunks": 200, "size": 200, "pause": 0.01, "idle_streams": 500,
                "callgrind_requests": [500, 3500], "keyswap": str(pathlib.Path(given.keyswap).resolve())}
    guided = "guided" in pathlib.Path(settings["keyswap"]).parts
    results = {"guided": guided, "date": datetime.date.today().isoformat(), "machine": machine(), "versions": versions(settings)}
    with tempfile.TemporaryDirectory(prefix="keyswap-bench-") as directory:
        pathlib.Path(directory).chmod(0o755)  # nginx's workers are another user where this runs as root
        bench = Bench(pathlib.Path(directory), settings)
        try:
            bench.upstreams()
            for measure in (requests, streams, idle, instructions):
                print(f"{measure.__name__} ...", flush=True)
                results[measure.__name__] = measure(bench)
        finally:
            bench.stop()
    results["settings"] = {name: value for name, value in settings.items() if name != "keyswap"}

    out = given.out or unused(HERE / "runs" / f"{results['date']}-{slug(results['machine'])}")
    out.mkdir(parents=True, exist_ok=True)
    (out / "raw.json").write_text(json.dumps(results, indent=1) + "\n")
    (out / "README.md").write_text(report(results))
    print(report(results))


if __name__ == "__main__":
    main()
