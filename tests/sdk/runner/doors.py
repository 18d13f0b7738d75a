"""A door: where a suite is sent, with which keys, and what makes its SDK trust whoever stands there."""

import json
import os
import urllib.request
from dataclasses import dataclass


@dataclass(frozen=True)
class Door:
    name: str
    run: str
    environment: dict


def make(journal, addresses, keys, control, trust, **more):
    """`journal` is which of the emulator's doors the requests arrive at; `trust` are variables as they are."""
    run = os.urandom(4).hex()
    told = addresses | more | {
        "openai_key": keys["openai"],
        "search_admin_key": keys["search_admin"],
        "search_query_key": keys["search_query"],
        "control": control,
        "journal": journal,
        "run": run,
    }
    environment = {f"SDK_{name.upper()}": value for name, value in told.items()}
    return Door(journal, run, environment | trust)


def trusting(ca):
    """requests, httpx and node each look at a variable of their own."""
    return dict.fromkeys(["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"], ca)


def keys_enabled(control):
    """The addresses of the emulator's door where keys are still enabled."""
    with urllib.request.urlopen(control + "/doors") as answer:
        azure = json.load(answer)
    direct = {plane: azure[plane]["keys_enabled"] for plane in ("openai", "search")}
    # Azure has no plain HTTP; there the same is done over TLS
    return direct | {"openai_plain": direct["openai"], "search_plain": direct["search"]}
