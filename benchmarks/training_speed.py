"""How fast an adapter is trained: tokens per second of each model, and how long a planned training would take.

    python -m benchmarks.training_speed [--models smollm2-135m qwen2.5-coder-0.5b] [--steps 4] [--threads 1]

Examples are GeoQuery's questions with their right queries, as in `benchmarks.self_training`. The common prefix of a
batch is computed once: `computed` counts the tokens that went through the model, `trained on` those of the examples one
by one.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from agentkit.models.catalog import model_file
from agentkit.training.examples import Example, task_hash
from agentkit.training.lora import LoraSettings, StepDone, load_base, prompt_tokens, tokens_of, train
from benchmarks._results import Results, arguments, data_path
from benchmarks._stream_sets import read_set


def main() -> None:
    args = _arguments()
    results = Results("training_speed", settings=vars(args), label=args.label)
    examples = _examples(args)
    for name in args.models:
        _measure(results, name, examples, args)
    results.finish(json_=args.json, folder=args.out)


def _measure(results: Results, name: str, examples: list[Example], args: argparse.Namespace) -> None:
    base, began = model_file(name), time.perf_counter()
    model, tokenizer = load_base(base)
    results.add(arm=name, metric="load the weights", value=time.perf_counter() - began, n=1, unit="s")
    settings = LoraSettings(rank=args.rank, batch=args.batch, epochs=1, loss=args.loss, threads=args.threads)
    told: list[StepDone] = []
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        done = train(base, examples, settings, Path(folder), on_step=told.append, loaded=(model, tokenizer))
    worked = time.process_time() - began
    plain = sum(len(item) for example in examples for item in tokens_of(example, tokenizer)[:1])
    rows = {"computed": done.tokens / done.seconds, "trained on": plain / done.seconds}
    for metric, speed in rows.items():
        results.add(arm=name, metric=f"tokens/s, {metric}", value=speed, n=len(told), unit="tokens/s")
    results.add(arm=name, metric="tokens a second of the processor, computed", value=done.tokens / worked, n=len(told))
    prompt = len(prompt_tokens(examples[0].chat, tokenizer))
    results.add(arm=name, metric="tokens of a prompt", value=prompt, n=1)
    results.add(arm=name, metric="an example", value=done.seconds / len(examples), n=len(examples), unit="s")
    planned = done.seconds / len(examples) * args.plan / 60
    results.add(arm=name, metric=f"{args.plan} examples, one epoch, at this speed", value=planned, n=1, unit="min")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    results.add(arm=name, metric="most memory of the process so far", value=peak, n=1, unit="GB")


def _examples(args: argparse.Namespace) -> list[Example]:
    """Right queries as answers; for pairs, with the query of another question as the rejected one."""
    (found,) = read_set("geoquery", data_path(args.data, "streams", "geoquery"))
    tasks = found.tasks[: args.steps * args.batch + 1]
    return [
        Example(
            chat=(("system", task.instructions or ""), ("user", task.input)),
            answer=task.target or "",
            rejected=None if args.loss == "sft" else other.target,
            run_id=task.id,
            task=task_hash(task),
            source="label",
            trust="corrected",
        )
        for task, other in pairwise(tasks)
    ]


def _arguments() -> argparse.Namespace:
    parser = arguments("training_speed", "how fast an adapter is trained")
    parser.add_argument("--data", type=Path, help="folder of GeoQuery (default: streams/geoquery below AGENTKIT_DATA)")
    parser.add_argument("--models", nargs="+", default=["smollm2-135m", "qwen2.5-coder-0.5b"])
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--loss", choices=["sft", "dpo", "simpo"], default="sft")
    parser.add_argument("--threads", type=int, default=1, help="processor threads")
    parser.add_argument("--plan", type=int, default=300, help="number of examples for which to predict the duration")
    return parser.parse_args()


if __name__ == "__main__":
    main()
