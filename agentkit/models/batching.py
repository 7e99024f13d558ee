"""The engine of `hf/` models: one worker thread per model, which answers concurrent calls in one batch.

Every row of a batch has its own grammar, temperature, seed, stop texts and limit, so different calls can share a batch.
Rows are sampled with the Gumbel-max trick: the argmax of logits / T plus Gumbel noise is a draw from the softmax. The
noise comes from the row's own generator, so a row's draw depends on its seed and not on its neighbours.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, cast

from agentkit.errors import AgentKitError, ContextOverflow, MissingExtra, ModelError, ModelFileError, ModelNotFound
from agentkit.json_types import JsonObject
from agentkit.models.control import pattern_of, without_control
from agentkit.models.lora_files import load_into
from agentkit.models.rows import Completion, Request, Row, row_logits, row_stops


class Batcher:
    """A loaded model and its worker thread.

    Raises:
        ModelNotFound: neither a folder nor a reachable repository.
        ModelFileError: the files can't be loaded.
    """

    def __init__(
        self, repo: str, *, gguf_file: str | None, device: str | None, dtype: str | None, max_batch: int, window: float
    ) -> None:
        self.max_batch, self.window = max_batch, window
        self.model, self.tokenizer = load_weights(repo, gguf_file, device, dtype)
        special = [str(token) for token in self.tokenizer.added_tokens_decoder.values() if token.special]
        self._control = pattern_of([*special, *self.tokenizer.all_special_tokens])
        self.batch_sizes: list[int] = []
        self._grammar_tokenizer: Any = None
        self._adapters: dict[tuple[str, float], str] = {}
        self._requests: queue.SimpleQueue[Request] = queue.SimpleQueue()
        threading.Thread(target=self._work, name=f"agentkit-hf-{repo}", daemon=True).start()

    @property
    def context(self) -> int:
        """Context length in tokens, prompt and answer together."""
        return int(getattr(self.model.config, "max_position_embeddings", None) or 1 << 20)

    def submit(self, request: Request) -> Future[Completion]:
        """Queue a call; the future is completed with the answer."""
        self._requests.put(request)
        return request.future

    def _work(self) -> None:
        while True:
            batch = self._collect()
            try:
                for group in by_adapter(batch):
                    self._answer(group)
            except Exception as error:  # noqa: BLE001 - the worker must live on; the callers get the error
                for request in batch:
                    _fail(request, error)

    def _collect(self) -> list[Request]:
        batch = [self._requests.get()]
        until = time.monotonic() + self.window
        while len(batch) < self.max_batch:
            try:
                batch.append(self._requests.get(timeout=max(0.0, until - time.monotonic())))
            except queue.Empty:
                break
        return batch

    def _answer(self, batch: Sequence[Request]) -> None:
        import torch

        rows = [row for request in batch if (row := self._row(request)) is not None]
        if not rows:
            return
        self.batch_sizes.append(len(rows))
        try:
            with self._adapted(batch[0].adapter, batch[0].scale):
                self._decode(rows)
        except torch.OutOfMemoryError:
            if len(rows) == 1:
                raise
            torch.cuda.empty_cache()
            for half in (rows[: len(rows) // 2], rows[len(rows) // 2 :]):
                self._answer([row.request for row in half])

    @contextmanager
    def _adapted(self, file: str, scale: float) -> Iterator[None]:
        """Answer with an adapter, which is loaded when it is first asked for; without one, as the bare model."""
        if not file:
            with self.model.disable_adapter() if self._adapters else nullcontext():
                yield
            return
        key = (file, scale)
        if key not in self._adapters:
            name = f"adapter{len(self._adapters)}"
            self.model = load_into(self.model, Path(file), name, scale=scale)
            self._adapters[key] = name
        self.model.set_adapter(self._adapters[key])
        yield

    def _row(self, request: Request) -> Row | None:
        """The request as a row with its prompt tokens and grammar; None if that failed, in which case the caller has
        the error."""
        try:
            prompt = self._prompt(request.chat)
            if len(prompt) >= self.context:
                raise ContextOverflow(
                    f"the prompt is too long: {len(prompt)} tokens do not fit the context of {self.context}"
                )
            limit = min(request.max_tokens, self.context - len(prompt))
            matcher = None if request.grammar is None else self._matcher(request.grammar)
            return Row(request, prompt, matcher, limit, self.tokenizer, self._end_tokens())
        except ModelError as error:
            _fail(request, error)
            return None

    def _prompt(self, chat: list[dict[str, str]]) -> list[int]:
        chat = without_control(chat, self._control)
        if not self.tokenizer.chat_template:
            text = "".join(f"{turn['role']}: {turn['content']}\n" for turn in chat) + "assistant:"
            return list(self.tokenizer(text).input_ids)
        encoded = self.tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=True)
        return list(encoded["input_ids"])

    def _matcher(self, grammar: str) -> Any:
        import llguidance
        import llguidance.hf

        if self._grammar_tokenizer is None:
            size = max(self.model.get_output_embeddings().weight.shape[0], len(self.tokenizer))
            self._grammar_tokenizer = llguidance.hf.from_tokenizer(self.tokenizer, n_vocab=size)
        matcher = llguidance.LLMatcher(self._grammar_tokenizer, grammar, log_level=0)
        if matcher.is_error():
            raise ModelError(f"the schema can't be made into a grammar: {matcher.get_error().splitlines()[0]}")
        return matcher

    def _end_tokens(self) -> frozenset[int]:
        ends = self.model.generation_config.eos_token_id
        listed = ends if isinstance(ends, list) else [] if ends is None else [ends]
        return frozenset([*listed, self.tokenizer.eos_token_id])

    def _decode(self, rows: list[Row]) -> None:
        import torch

        width = max(len(row.prompt) for row in rows)
        pad = self.tokenizer.pad_token_id
        ids = [[pad] * (width - len(row.prompt)) + row.prompt for row in rows]
        mask = [[0] * (width - len(row.prompt)) + [1] * len(row.prompt) for row in rows]
        with torch.inference_mode():
            self.model.generate(
                input_ids=torch.tensor(ids, device=self.model.device),
                attention_mask=torch.tensor(mask, device=self.model.device),
                max_new_tokens=max(row.limit for row in rows),
                do_sample=False,
                pad_token_id=pad,
                logits_processor=[row_logits(rows)],
                stopping_criteria=[row_stops(rows)],
            )
        for row in rows:
            text = row.finished_text()
            if not row.request.future.cancelled():
                row.request.future.set_result(
                    Completion(
                        text=text,
                        finish=row.finish,
                        prompt_tokens=len(row.prompt),
                        completion_tokens=len(row.tokens),
                        logprobs=tuple(row.logprobs),
                    )
                )
            row.request.pieces.put(None)


def by_adapter(batch: Sequence[Request]) -> list[list[Request]]:
    """Requests in groups that are answered with the same weights, in the order in which the first of each came."""
    groups: dict[tuple[str, float], list[Request]] = {}
    for request in batch:
        groups.setdefault((request.adapter, request.scale if request.adapter else 0.0), []).append(request)
    return list(groups.values())


_batchers: dict[tuple[Any, ...], Batcher] = {}
_loading = threading.Lock()


def batcher_for(repo: str, **options: str | float | None) -> Batcher:
    """The process-wide engine for a model, loaded once."""
    key = (repo, *sorted(options.items(), key=lambda item: item[0]))
    with _loading:
        if key not in _batchers:
            _batchers[key] = Batcher(repo, **cast("JsonObject", options))
        return _batchers[key]


def load_weights(repo: str, gguf_file: str | None, device: str | None, dtype: str | None) -> tuple[Any, Any]:
    """A model and its tokenizer; weights from a GGUF file are dequantised.

    Raises:
        MissingExtra: torch or transformers is not installed.
        ModelNotFound: neither a folder nor a reachable repository.
        ModelFileError: the files can't be loaded.
    """
    try:
        import torch
        import transformers
    except ModuleNotFoundError as error:
        raise MissingExtra("hf", error.name or "transformers") from None
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    kind = getattr(torch, dtype or ("bfloat16" if device.startswith("cuda") else "float32"))
    transformers.utils.logging.disable_progress_bar()
    options: dict[str, Any] = {"local_files_only": Path(repo).is_dir()}
    if gguf_file:
        options["gguf_file"] = gguf_file
    hub = logging.getLogger("huggingface_hub")
    level = hub.level
    try:
        hub.setLevel(logging.ERROR)  # hide its retries; only the final outcome matters
        tokenizer = transformers.AutoTokenizer.from_pretrained(repo, padding_side="left", **options)
        model = transformers.AutoModelForCausalLM.from_pretrained(repo, dtype=kind, **options)
    except ImportError as error:
        raise MissingExtra("hf", error.name or "gguf") from None
    except (OSError, ValueError) as error:
        line = str(error).strip().splitlines()[0]
        if options["local_files_only"]:
            raise ModelFileError(f"{repo} can't be loaded: {line}") from None
        raise ModelNotFound(f"hf/{repo} is neither a folder nor a repository that can be reached: {line}") from None
    finally:
        hub.setLevel(level)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    _neutral(model)
    return model.to(device).eval(), tokenizer


def _neutral(model: Any) -> None:
    """Remove the sampling settings that come with a repository, since each row has its own."""
    settings = model.generation_config
    settings.do_sample, settings.temperature, settings.top_p, settings.top_k = False, None, None, None
    settings.repetition_penalty = None


def _fail(request: Request, error: Exception) -> None:
    line = str(error).strip().splitlines() or [type(error).__name__]
    known = error if isinstance(error, AgentKitError) else ModelError(f"{type(error).__name__}: {line[0]}")
    if not request.future.done():
        request.future.set_exception(known)
    request.pieces.put(None)
