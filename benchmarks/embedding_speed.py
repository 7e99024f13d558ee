"""How much processor time an embedder takes for the text of a case.

The processor time of this process is measured, so that other work on the machine matters little. The texts are
generated, all different, with `--words` words each.
"""

from __future__ import annotations

import random
import time

from agentkit.memory.opening import named_embedder
from benchmarks._results import Results, arguments, mean

WORDS = ["the", "lot", "parcel", "crate", "ship", "dose", "paper", "drug", "cause", "trial", "early", "late", "north"]


def texts(number: int, words: int) -> list[str]:
    rng = random.Random(0)
    return [f"{index} " + " ".join(rng.choices(WORDS, k=words - 1)) for index in range(number)]


def main() -> None:
    parser = arguments("embedding_speed", __doc__.split("\n", 1)[0])
    parser.add_argument("--embedders", default="local/bge-small-en-v1.5,hash-256")
    parser.add_argument("--texts", type=int, default=200)
    parser.add_argument("--words", type=int, default=40)
    args = parser.parse_args()
    results = Results("embedding_speed", settings=vars(args), label=args.label)
    for name in args.embedders.split(","):
        embedder, taken = named_embedder(name), list[float]()
        embedder.embed_documents(["warm up"])
        for text in texts(args.texts, args.words):
            began = time.process_time()
            embedder.embed_documents([text])
            taken.append(1000 * (time.process_time() - began))
        results.add(arm=name, metric="processor time a text", unit="ms", **mean(taken))
    results.finish(json_=args.json, folder=args.out)


if __name__ == "__main__":
    main()
