"""azure-search-documents 11.3.0: before there were vectors, with an api-version of 2020."""

from search_suite import run_all

run_all()
