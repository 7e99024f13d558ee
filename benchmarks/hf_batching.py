"""Tokens per second of `hf/` with concurrent calls in one batch, compared with plain `generate` for one prompt after
another.

Both sides run the same weights, prompts and number of new tokens in one process, interleaved round by round, so the
ratio does not depend on what else the machine does. `python -m benchmarks.hf_batching --model hf/REPO --json`
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from benchmarks._results import Results, arguments, mean

PROMPTS = [f"Write a long story about the number {number} and a lighthouse." for number in range(64)]


def plain(batcher: Any, prompts: list[str], tokens: int) -> float:
    """Tokens per second of transformers' `generate`, one prompt at a time, to exactly `tokens` new tokens."""
    import torch

    started = time.perf_counter()
    for prompt in prompts:
        ids = batcher._prompt([{"role": "user", "content": prompt}])
        tensor = torch.tensor([ids], device=batcher.model.device)
        with torch.inference_mode():
            batcher.model.generate(
                input_ids=tensor,
                attention_mask=torch.ones_like(tensor),
                max_new_tokens=tokens,
                min_new_tokens=tokens,
                do_sample=False,
                pad_token_id=batcher.tokenizer.pad_token_id,
            )
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return len(prompts) * tokens / (time.perf_counter() - started)


async def batched(model: Any, prompts: list[str], tokens: int) -> float:
    """Tokens per second of as many concurrent calls as there are prompts, counting the tokens actually written."""
    started = time.perf_counter()
    answers = await asyncio.gather(*[model.ainvoke(prompt, max_tokens=tokens) for prompt in prompts])
    written = sum(answer.usage_metadata["output_tokens"] for answer in answers)
    return float(written / (time.perf_counter() - started))


def main() -> None:
    from agentkit.models import load_model

    parser = arguments("hf_batching", "batched hf/ calls beside plain generate, tokens per second")
    parser.add_argument("--model", default="hf/smollm2-135m")
    parser.add_argument("--calls", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    model: Any = load_model(given.model, max_batch=given.calls, window=0.05)
    model.warm_up()
    batcher, prompts = model._batcher(), (PROMPTS * 8)[: given.calls]
    asyncio.run(batched(model, prompts[:2], 4))
    settings = {**vars(given), "device": str(batcher.model.device), "dtype": str(batcher.model.dtype)}
    results, singles, batches = (
        Results("hf_batching", settings=settings, label=given.label),
        list[float](),
        list[float](),
    )
    for _ in range(given.rounds):
        singles.append(plain(batcher, prompts, given.tokens))
        batches.append(asyncio.run(batched(model, prompts, given.tokens)))
    results.add(arm="plain generate", metric="tokens/s", **mean(singles))
    results.add(arm="batched", metric="tokens/s", **mean(batches))
    ratios = [many / one for many, one in zip(batches, singles, strict=True)]
    results.add(arm="batched / plain", metric="ratio", **mean(ratios))
    results.finish(json_=given.json, folder=given.out)


if __name__ == "__main__":
    main()
