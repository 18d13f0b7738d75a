"""azure-search-documents 11.6.0, the last of its line: vectors and meaning."""

from search_suite import run_all

run_all()
