"""`python -m neuralsde.search …` is `neuralsde search …`."""

from neuralsde.cli.search import search

if __name__ == "__main__":
    search()
