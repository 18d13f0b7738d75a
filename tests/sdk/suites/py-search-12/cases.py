"""azure-search-documents 12.0.0: aliases and knowledge bases."""

from search_suite import run_all

run_all()
