"""`agentkit runs`: what was run, what happened in it, and deleting old runs."""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from agentkit.cli import completion
from agentkit.cli.output import JSON_HELP, emit, open_store, print_table, say, terminal_width
from agentkit.json_types import JsonObject
from agentkit.text import clipped

if TYPE_CHECKING:
    from agentkit.store.run_log import RunLog, RunRecord

app = typer.Typer(help="List, show and prune runs.", no_args_is_help=True)

WIDE = 120
"""Terminal width from which a list of runs has room for models and times."""

Json = Annotated[bool, typer.Option("--json", help=JSON_HELP)]


@app.command("ls")
def list_runs(
    status: Annotated[
        str | None, typer.Option(help="done, abstained, declined, waiting, running, interrupted or failed.")
    ] = None,
    batch: Annotated[str | None, typer.Option(help="The name of an evaluation.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 20,
    json_: Json = False,
) -> None:
    """List runs, newest first."""
    from agentkit.store.run_log import RunLog

    store = open_store()
    try:
        rows = [_row(record) for record in RunLog(store).runs(status=status, batch=batch, limit=limit)]
    finally:
        store.close()
    emit(rows, json_=json_, human=_print_runs)


@app.command()
def show(
    run_id: Annotated[
        str, typer.Argument(help="The run's id, or a unique prefix of it.", autocompletion=completion.runs)
    ],
    json_: Json = False,
) -> None:
    """Show a run: the task, every step with its cost, the feedback and the answer."""
    from agentkit.store.run_log import RunLog

    store = open_store()
    try:
        found = _details(RunLog(store), run_id)
    finally:
        store.close()
    emit(found, json_=json_, human=_print_run)


@app.command()
def prune(
    older_than: Annotated[str, typer.Option(help="An age such as 30d, 12h or 90m; 0d deletes all.")] = "30d",
    all_: Annotated[bool, typer.Option("--all", help="Include runs that could still be resumed.")] = False,
    json_: Json = False,
) -> None:
    """Delete old runs with their calls, feedback and checkpoints; what was learnt from them stays."""
    from agentkit.graph.checkpoints import open_checkpoints
    from agentkit.store.run_log import RunLog

    before = dt.datetime.now(dt.UTC) - parse_age(older_than)
    store = open_store()
    try:
        ids = RunLog(store).prune(before, finished_only=not all_)
        checkpoints = open_checkpoints(store)
        for run_id in ids:
            checkpoints.delete_thread(run_id)
    finally:
        store.close()
    emit({"deleted": ids}, json_=json_, human=lambda found: say(f"deleted {len(found['deleted'])} runs"))


def parse_age(text: str) -> dt.timedelta:
    """An age such as `30d`.

    Raises:
        UserError: the text is not an age.
    """
    from agentkit.errors import UserError

    found = re.fullmatch(r"(\d+)([dhm])", text)
    if found is None:
        raise UserError(f"--older-than {text!r} is not an age; write 30d, 12h or 90m")
    unit = {"d": "days", "h": "hours", "m": "minutes"}[found[2]]
    return dt.timedelta(**{unit: int(found[1])})


def _row(record: RunRecord) -> JsonObject:
    return {
        "run_id": record.id,
        "task_id": record.task.id,
        "status": record.status,
        "model": record.model,
        "batch": record.batch,
        "rounds": record.rounds,
        "seconds": record.seconds,
        "confidence": record.confidence,
        "effort": record.effort,
        "started": record.created_at.isoformat(),
        "task": record.task.input,
        "files": [file.to_json() for file in record.task.files],
        "answer": record.answer,
        "error": record.error,
    }


def _details(log: RunLog, run_id: str) -> JsonObject:
    from agentkit.result import trace

    record = log.get(run_id)
    steps = log.steps(record.id)
    return {
        **_row(record),
        "options": record.options,
        "context": [
            {"kind": block.kind, "target": block.target, "version": block.version}
            for block in log.blocks(record.id) or ()
        ],
        "trace": trace(steps.model_calls, steps.tool_calls),
        "feedback": [item.model_dump() for item in steps.feedback],
        "usage": vars(log.totals([record.id])),
        **_of_paper(log, record),
    }


def _of_paper(log: RunLog, record: RunRecord) -> JsonObject:
    """What a run that is a paper asked and gave."""
    if "curation" not in record.options:
        return {}
    from agentkit.curation.kb.tracing import of_paper

    return {"paper": of_paper(log, record)}


def _print_runs(rows: list[JsonObject]) -> None:
    if not rows:
        say('no runs yet; try  agentkit run "How many minutes are in a week?"')
        return
    wide = terminal_width() >= WIDE
    names = ("run", "status", *(("model", "took") if wide else ()), "started", "task", "answer")
    short = [
        (
            str(row["run_id"]),
            str(row["status"]),
            *((str(row["model"]), f"{row['seconds']:.1f} s") if wide else ()),
            row["started"][5:16].replace("T", " "),
        )
        for row in rows
    ]
    taken = sum(max(map(len, column)) for column in zip(*short, names[: len(short[0])], strict=True))
    room = max(20, terminal_width() - taken - 3 * len(names) - 1)  # what borders and padding leave
    cells = [
        (
            *first,
            clipped(row["task"], min(60, room * 3 // 5)),
            clipped(row["answer"] or row["error"] or "–", min(40, room * 2 // 5)),
        )
        for first, row in zip(short, rows, strict=True)
    ]
    print_table(names, cells, lines=True)


def _print_run(found: JsonObject) -> None:
    usage = found["usage"]
    tokens = f"{usage['input_tokens']:,} tokens in ({usage['cached_tokens']:,} cached), {usage['output_tokens']:,} out"
    say(f"run      {found['run_id']}  {found['status']}  {found['model']}  {found['started'][:16]}")
    say(f"used     {usage['calls']} calls, {tokens}, ${usage['cost']:.4f}, {found['seconds']:.1f} s")
    for line in _effort(found["effort"] or {}, found["answer"]):
        say(line)
    for block in found["context"]:
        say(f"context  {block['kind']} {block['target']} version {block['version']}")
    for file in found["files"]:
        say(f"file     {file['name']}  {file['media_type']}, {file['size']:,} bytes, {file['sha256'][:12]}")
    say(f"task     {_indented(found['task'])}\n")
    for step in found["trace"]:
        say(_step(step))
    say("")
    if paper := found.get("paper"):
        _print_paper(found, paper)
        return
    for item in found["feedback"]:
        score = "not checked" if item["score"] is None else f"{item['score']:g}"
        say(f"{item['channel']:<8} {score}  {clipped(item['text'], 160)}")
    say(f"checked  {_checked(found)}")
    if found["confidence"] is not None:
        say(f"sure     {found['confidence']:.3f}")
    say(f"answer   {_indented(found['answer'] if found['answer'] is not None else '–')}")
    if found["error"]:
        say(f"error    {found['error']}")


def _print_paper(found: JsonObject, paper: JsonObject) -> None:
    """The questions of a paper's run and its claims."""
    for question in paper["questions"]:
        about = f" of {question['subject']}" if question["subject"] else ""
        say(f"asked    {question['element']}{about}: {question['state']}, {question['rounds']} rounds")
        for block in question["recalled"]:
            say(f"         recalled {block['kind']} {block['target']} version {block['version']}")
    for claim in paper["claims"]:
        say(f"claim    {claim['id'][:8]}  {clipped(claim['statement'], 100)}  {claim['status']}")
    say(f"gave     {found['answer'] or '–'}; look at one with  agentkit kb show CLAIM {paper['kb']}")
    if found["error"]:
        say(f"error    {found['error']}")


def _effort(effort: JsonObject, answer: str | None) -> Iterator[str]:
    """How much was spent and why: the mode, the cheaper mode tried before it, what was weighed, and the vote."""
    if "mode" in effort:
        yield f"effort   {effort['mode']}: {effort.get('why', '')}"
    if stayed := effort.get("stayed"):
        yield f"         {stayed['why']}"
    if before := effort.get("before"):
        yield f"         before that, {before['mode']}: {clipped(before['answer'] or '–', 160)}"
    if (weighed := effort.get("weighed")) and weighed["model"] != answer:
        by = {"cases": "solved tasks that are like this one", "likeness": "how much the input resembles each option"}
        yield f"weighed  the model chose {clipped(weighed['model'], 80)}; decided by {by[weighed['by']]}"
    if samples := effort.get("samples"):
        yield f"samples  {samples['drawn']}, {samples['agree']} of which gave this answer"


def _checked(found: JsonObject) -> str:
    """Who checked the answer, and why the evaluator was or was not asked."""
    channels = list(dict.fromkeys(item["channel"] for item in found["feedback"]))
    decided = (found["effort"] or {}).get("evaluator")
    if decided is not None:
        return f"by {'the evaluator' if decided['asked'] else 'nobody'}: {decided['why']}"
    if "judge" in channels:
        return "by the evaluator, as asked for with --evaluator"
    if channels:
        return f"by {' and '.join(channels)}, which takes precedence over the evaluator"
    if found["options"]["run"].get("evaluate") is False:
        return "by nobody: the evaluator was switched off"
    return (
        "by nobody: the evaluator is asked where it was measured to help, and nothing was measured; --evaluator asks it"
    )


def _step(step: JsonObject) -> str:
    if step["type"] == "tool":
        given = json.dumps(step["arguments"], ensure_ascii=False)
        return f"  tool      {step['tool']} {given}\n            → {clipped(step['result'], 200)}"
    said = [json.dumps(call.get("args"), ensure_ascii=False) for call in step["tool_calls"]]
    names = [f"{call['name']} {args}" for call, args in zip(step["tool_calls"], said, strict=True)]
    text = clipped(" ".join([str(step["text"] or ""), *names]).strip(), 240)
    counts = f"{step['input_tokens']} in, {step['cached_tokens']} cached, {step['output_tokens']} out"
    lines = [f"  {step['role']:<9} {text}", f"            {counts}, {step['seconds']:.1f} s"]
    if told := step.get("logprobs"):
        lines.append(f"            {_doubt(told)}")
    return "\n".join(lines)


def _doubt(told: JsonObject) -> str:
    """How sure the model was: of all its words together, and of each choice, if there were choices."""
    from agentkit.models.logprobs import Logprobs

    answer = Logprobs.from_json(told).answer()
    words = "" if answer is None else f"answer's words {math.exp(answer.total):.0%}, forced {answer.forced}"
    shares = [f"{clipped(name, 40)} {share:.0%}" for name, share in list(told["choices"].items())[:3]]
    return "; ".join(filter(None, [words, ", ".join(shares)]))


def _indented(text: str) -> str:
    return str(text).replace("\n", "\n         ")
