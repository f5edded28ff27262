"""BM25 over whole documents, by bm25s. Runs under another Python, which has that and PyStemmer, and not us.

Reads `{"documents": [text …], "queries": [text …], "stop_words": [word …], "depth": n}` from the standard input and
writes the places of the best documents of each query, best first.
"""

import json
import sys


def main() -> None:
    import bm25s  # type: ignore[import-not-found]  # in the other environment
    import Stemmer  # type: ignore[import-not-found]

    if sys.argv[1:] == ["version"]:
        print(bm25s.__version__)
        return
    asked = json.load(sys.stdin)
    options = {"stopwords": asked["stop_words"], "stemmer": Stemmer.Stemmer("english"), "show_progress": False}
    index = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
    index.index(bm25s.tokenize(asked["documents"], **options), show_progress=False)
    depth = min(asked["depth"], len(asked["documents"]))
    found, scores = index.retrieve(bm25s.tokenize(asked["queries"], **options), k=depth, show_progress=False)
    ranked = [
        [int(place) for place, score in zip(places, values, strict=True) if score > 0]
        for places, values in zip(found, scores, strict=True)
    ]
    json.dump(ranked, sys.stdout)


if __name__ == "__main__":
    main()
