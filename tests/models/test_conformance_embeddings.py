"""Embedders under the published suites of LangChain's embeddings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_tests.integration_tests import EmbeddingsIntegrationTests
from langchain_tests.unit_tests import EmbeddingsUnitTests

from agentkit.models.catalog import catalog
from agentkit.models.embedders import HostedEmbedder, LangChainEmbedder
from agentkit.models.onnx import OnnxEmbedder
from tests.models.conformance import need


class OfLangChain:
    @property
    def embeddings_class(self) -> type[Embeddings]:
        return LangChainEmbedder

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        return {"embeddings": DeterministicFakeEmbedding(size=8)}


class TestLangChainUnit(OfLangChain, EmbeddingsUnitTests):
    """Any `Embeddings`, as they are taken."""


class TestLangChain(OfLangChain, EmbeddingsIntegrationTests):
    """Any `Embeddings`, as they are taken."""


class Server(BaseHTTPRequestHandler):
    """Embeds each text as its length."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        rows = [{"object": "embedding", "index": n, "embedding": [1.0, len(t)]} for n, t in enumerate(asked["input"])]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        data = json.dumps({"object": "list", "model": "m", "data": rows, "usage": usage}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        """Quiet."""


ADDRESS: list[str] = []


@pytest.fixture(autouse=True, scope="module")
def served() -> Iterator[None]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    ADDRESS.append(f"http://127.0.0.1:{server.server_port}/v1")
    yield
    server.shutdown()
    server.server_close()


class Hosted:
    @property
    def embeddings_class(self) -> type[Embeddings]:
        return HostedEmbedder

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        return {"name": "openai/m", "api_base": ADDRESS[-1], "api_key": "none"}


class TestHostedUnit(Hosted, EmbeddingsUnitTests):
    """Hosted embedders."""


class TestHosted(Hosted, EmbeddingsIntegrationTests):
    """Hosted embedders."""


class Onnx:
    @property
    def embeddings_class(self) -> type[Embeddings]:
        return OnnxEmbedder

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        need("bge-small-en-v1.5")
        return {"entry": catalog()["bge-small-en-v1.5"]}


@pytest.mark.model
class TestOnnxUnit(Onnx, EmbeddingsUnitTests):
    """The default embedder."""


@pytest.mark.model
class TestOnnx(Onnx, EmbeddingsIntegrationTests):
    """The default embedder."""
