"""A door: where a suite is sent, with which keys, and what makes its SDK trust whoever stands there."""

import json
import os
import ssl
import urllib.parse
import urllib.request
from dataclasses import dataclass


@dataclass(frozen=True)
class Door:
    name: str
    run: str
    environment: dict


def make(journal, addresses, keys, azure, trust, **more):
    """`journal` is which of the emulator's doors the requests arrive at; `azure` is what the emulator says of itself;
    `trust` are variables as they are."""
    run = os.urandom(4).hex()
    told = addresses | more | {
        "openai_key": keys["openai"],
        "search_admin_key": keys["search_admin"],
        "search_query_key": keys["search_query"],
        "openai_token": _token(azure),
        "control": azure["control"],
        "journal": journal,
        "run": run,
    }
    environment = {f"SDK_{name.upper()}": value for name, value in told.items()}
    return Door(journal, run, environment | trust)


def trusting(ca):
    """requests, httpx and node each look at a variable of their own."""
    return dict.fromkeys(["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"], ca)


def azure_at(control):
    """All that the emulator says of itself."""
    with urllib.request.urlopen(control + "/doors") as answer:
        return json.load(answer)


def keys_enabled(azure):
    """The addresses of the emulator's door where keys are still enabled."""
    direct = {plane: azure[plane]["keys_enabled"] for plane in ("openai", "search")}
    # Azure has no plain HTTP; there the same is done over TLS
    return direct | {"openai_plain": direct["openai"], "search_plain": direct["search"]}


def _token(azure):
    """An Entra token of a client's own."""
    app = azure["app"]
    form = {"grant_type": "client_credentials", "client_id": app["client_id"], "client_secret": app["secret"]}
    form["scope"] = "https://cognitiveservices.azure.com/.default"
    url = f"{azure['entra']}/{app['tenant']}/oauth2/v2.0/token"
    trust = ssl.create_default_context(cadata=azure["ca_pem"])
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust))
    with opener.open(url, urllib.parse.urlencode(form).encode()) as answer:
        return json.load(answer)["access_token"]
