"""What the best candidates of a search have in common."""

from collections import Counter
from collections.abc import Sequence

from vitreous.searching.gene_words import words_of_genes
from vitreous.searching.ledger import Candidate
from vitreous.searching.space import Gene, Space

ENOUGH = 0.8  # of the best, that take the same; ours


def converged(space: Space, best: Sequence[Candidate]) -> list[tuple[Gene, str, int]]:
    """Genes on which the best agree, each with what they take, in words, and how many of them do."""
    found = []
    for number, (gene, words) in enumerate(words_of_genes(space)):
        value, count = Counter(each.genome[number] for each in best).most_common(1)[0]
        if count >= ENOUGH * len(best):
            what = f"before {words[value - 1]}" if gene.kind == "place" else words[value]
            found.append((gene, what, count))
    return found
