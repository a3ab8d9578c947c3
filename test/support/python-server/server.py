"""A server on the official Python SDK, which pins its era on the first message that it reads."""

import os

from mcp.server import MCPServer
from mcp.server.mcpserver import Context

server = MCPServer("mcp-runner-python", version="1.0.0")


@server.tool()
def echo(text: str) -> str:
    """Returns the text it was given."""
    return text


@server.tool()
def whoami(context: Context) -> dict[str, str | int]:
    """Describes the server process and the revision it speaks with its client."""
    return {"pid": os.getpid(), "uid": os.getuid(), "revision": str(context.protocol_version)}


@server.tool()
async def progress(n: int, label: str, context: Context) -> str:
    """Sends n progress notifications that carry the label."""
    for number in range(1, n + 1):
        await context.report_progress(number, n, f"{label} {number}")
    return f"{label} done"


@server.prompt()
def greeting(name: str) -> str:
    """A prompt with one argument."""
    return f"Say hello to {name}."


@server.resource("test://static-text")
def static_text() -> str:
    """A text that never changes."""
    return "This is the content of the static text resource."


if __name__ == "__main__":
    server.run()
