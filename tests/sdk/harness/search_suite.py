"""A whole suite of Python's azure-search-documents: the life of one index, for each kind of clients."""

import search_documents
import search_objects
import search_refusals
from recorder import run
from search_clients import WAYS, describe
from search_documents import FOR_ADMINS, READS


def run_all():
    for way in WAYS:
        search_documents.begin(way)
        search_documents.read(way)
        search_objects.objects(way)
        if way.is_asynchronous:
            search_refusals.keys(way, {"search": READS["search"], "upload": FOR_ADMINS["upload"]})
        else:
            search_refusals.keys(way, READS | FOR_ADMINS)
            search_refusals.rows(way)
            search_refusals.waits(way)
            search_refusals.dead(way)
            search_refusals.losses(way)
        search_refusals.nothing_written(way)
        search_documents.end(way)
    run(describe)
