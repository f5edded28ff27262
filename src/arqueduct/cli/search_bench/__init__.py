"""How good search is: a collection with judgements, our three modes, and BM25 beside them."""
