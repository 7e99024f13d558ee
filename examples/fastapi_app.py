"""A run in the browser while it happens: its events and the answer's words, as server-sent events from FastAPI.

Run it with  pip install fastapi 'agentkit-evolve[server]'  and  python examples/fastapi_app.py [MODEL], then open
http://127.0.0.1:8000 . Closing the page interrupts the run; `agentkit resume` continues it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator

import uvicorn
from fastapi import FastAPI
from fastapi.responses import HTMLResponse, StreamingResponse

from agentkit import Agent, AgentKitError

PAGE = """<!doctype html><meta charset="utf-8"><title>AgentKit</title>
<form><input name="question" size="60" autofocus required> <button>Ask</button></form>
<p id="answer" style="white-space: pre-wrap"></p><ol id="events"></ol>
<script>
const [form, answer, events] = ["form", "#answer", "#events"].map(name => document.querySelector(name));
form.onsubmit = submitted => {
  submitted.preventDefault();
  answer.textContent = "";
  events.replaceChildren();
  const stream = new EventSource("/runs?" + new URLSearchParams(new FormData(form)));
  stream.onerror = () => stream.close();  // else the browser would ask again
  stream.onmessage = message => {
    const event = JSON.parse(message.data);
    if (event.type === "words") answer.textContent = (event.at ? answer.textContent : "") + event.text;
    else events.appendChild(document.createElement("li")).textContent = message.data;
    if (event.type === "run_ended") answer.textContent = event.answer ?? event.status;
  };
};
</script>"""


def create_app(agent: Agent) -> FastAPI:
    """The page, and the event stream that it reads."""
    app = FastAPI()

    @app.get("/")
    def page() -> HTMLResponse:
        return HTMLResponse(PAGE)

    @app.get("/runs")
    def run(question: str) -> StreamingResponse:
        return StreamingResponse(told(question), media_type="text/event-stream", headers={"cache-control": "no-cache"})

    async def told(question: str) -> AsyncIterator[str]:
        try:
            async for event in agent.astream(question):
                yield f"data: {json.dumps(event.to_json())}\n\n"
        except AgentKitError as error:
            yield f"data: {json.dumps({'type': 'failed', 'error': str(error)})}\n\n"

    return app


if __name__ == "__main__":
    with Agent(*sys.argv[1:2]) as opened:
        uvicorn.run(create_app(opened), port=8000)
