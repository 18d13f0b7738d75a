"""azure-search-documents 11.3.0: before there were vectors, with an api-version of 2020. And what people of that time
wrote by hand, with requests: keys in URLs, and links that are followed as they are.
"""

import requests
from recorder import case, door, request_sent
from search_suite import run_all

HOTELS = f"{door.search}/indexes/hotels/docs"


def look(url, headers=None, **parameters):
    request_sent()
    return requests.get(url, parameters, headers=headers)


def told(answer):
    body = answer.json()
    return [answer.status_code, body.get("error"), [found["HotelId"] for found in body.get("value", [])]]


for name, key, row in (
    ("query", door.search_query_key, "F-ais-url-query"),
    ("admin", door.search_admin_key, "F-ais-url-admin"),
):

    @case(f"by hand: the {name} key in the URL", requests=1, row=row, forwarded=name == "query")
    def _(key=key):
        return told(look(HOTELS, **{"api-key": key, "api-version": "2020-06-30", "$orderby": "HotelId", "$top": "3"}))


@case("by hand: pages, by the links that lead to the next", requests=3)
def _():
    key = {"api-key": door.search_query_key}
    pages = [look(HOTELS, key, **{"api-version": "2020-06-30", "search": "*", "$orderby": "HotelId"})]
    while link := pages[-1].json().get("@odata.nextLink"):
        assert link.startswith(door.search), link
        pages.append(look(link, key))
    return [told(page) for page in pages]


run_all()
