"""A server that speaks MCP by hand over stdio, so that it can do what the SDK's own server refuses to."""

import json
import sys
import time
from typing import Any

KIND = sys.argv[1]


def schema(*names: str, **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {name: {"type": "string"} for name in names}, **more}


ECHO = {
    "name": "echo",
    "inputSchema": schema("config", "self", "$filter", "user name", "user_name", required=["$filter"]),
}
LOOP = schema(**{"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}})
LOOP["properties"]["x"] = {"$ref": "#/$defs/a"}
TREE = schema(**{"$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}}})
TREE["properties"]["x"] = {"$ref": "#/$defs/node"}
BAD: list[Any] = [
    {"name": "untyped", "inputSchema": {"properties": {}}},
    {"name": "loop", "inputSchema": LOOP},
    {"name": "wrong", "inputSchema": schema(required="q")},
    {"name": "none"},
    "text",
]
PAGES: list[list[Any]] = [
    [ECHO, {"name": "get.it", "inputSchema": schema()}, *BAD],
    [{"name": "get it", "inputSchema": schema()}, {"name": "tree", "inputSchema": TREE}],
]
RESULTS: dict[str, dict[str, Any]] = {
    "get.it": {
        "content": [
            {"type": "text", "text": "here"},
            {"type": "resource", "resource": {"uri": "repo://a.md", "text": "the code is 7391"}},
            {"type": "resource", "resource": {"uri": "repo://a.bin", "blob": "AAAA"}},
            {"type": "resource_link", "uri": "file:///r.csv", "name": "r.csv", "description": "yearly"},
            {"type": "image", "data": "AAAA", "mimeType": "image/png"},
            {"type": "audio", "data": "AAAA", "mimeType": "audio/wav"},
        ]
    },
    "get it": {"content": [], "structuredContent": {"total": 3}},
    "tree": {"content": [{"type": "hologram"}]},
}


def answer(method: str, params: dict[str, Any]) -> dict[str, Any]:
    if method == "initialize":
        able: dict[str, Any] = {"resources": {}} if KIND == "resources" else {"tools": {}}
        about = {"name": "odd", "version": "1"}
        return {"result": {"protocolVersion": "2025-06-18", "capabilities": able, "serverInfo": about}}
    if method == "tools/list" and KIND != "resources":
        page = int(params.get("cursor") or 0)
        more = {"nextCursor": str(page + 1)} if page + 1 < len(PAGES) else {}
        return {"result": {"tools": PAGES[page], **more}}
    if method == "tools/call":
        said = json.dumps(params.get("arguments"), sort_keys=True)
        return {"result": RESULTS.get(params["name"], {"content": [{"type": "text", "text": said}]})}
    return {"error": {"code": -32601, "message": "Method not found"}}


for line in sys.stdin:
    if KIND == "silent":
        time.sleep(600)
    if KIND == "junk":
        print("Listening …\n{not json", flush=True)
    message = json.loads(line)
    if "id" in message:
        reply = answer(message["method"], message.get("params") or {})
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **reply}), flush=True)
