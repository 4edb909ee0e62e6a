"""A widget in a real browser: a live kernel, the front end that ipywidgets ships, and Chromium driven from here.

Jupyter's own server is not needed: a page (`widgets.html`) hands the front end's messages to the kernel through a
websocket of tornado's, which Jupyter's kernels run on anyway.
"""

import asyncio
import base64
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from jupyter_client.asynchronous import AsyncKernelClient
from jupyter_client.manager import start_new_async_kernel
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketHandler, websocket_connect

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PAGE = Path(__file__).parent / "widgets.html"
LONGEST = 60.0  # seconds of anything that is waited for


def front_end() -> Path | None:
    """Return the script that draws widgets, which ipywidgets installs; None without it."""
    try:
        import widgetsnbextension
    except ImportError:
        return None
    path = Path(widgetsnbextension.__file__).parent / "static" / "extension.js"
    return path if path.is_file() else None


class _File(RequestHandler):
    def initialize(self, path: Path, kind: str) -> None:
        self.path, self.kind = path, kind

    def get(self) -> None:
        self.set_header("Content-Type", self.kind)
        self.write(self.path.read_bytes())


class _Channel(WebSocketHandler):
    """Carries messages of comms to the kernel, and what the kernel says back."""

    def initialize(self, client: AsyncKernelClient) -> None:
        self.client = client

    async def open(self, *_: str) -> None:
        channels = {"shell": self.client.get_shell_msg, "iopub": self.client.get_iopub_msg}
        self.readers = [asyncio.ensure_future(self._read(name, get)) for name, get in channels.items()]

    async def _read(self, channel: str, get: Any) -> None:
        while True:
            message = await get()
            parts = {key: message[key] for key in ("header", "parent_header", "metadata", "content")}
            buffers = [base64.b64encode(bytes(buffer)).decode() for buffer in message["buffers"]]
            await self.write_message(json.dumps({**parts, "channel": channel, "buffers": buffers}, default=str))

    def on_message(self, text: str | bytes) -> None:
        given = json.loads(text)
        session = self.client.session
        message = session.msg(given["type"], content=given["content"], metadata=given["metadata"])
        message["header"]["msg_id"] = message["msg_id"] = given["id"]
        session.send(self.client.shell_channel.socket, message, buffers=list(map(base64.b64decode, given["buffers"])))

    def on_close(self) -> None:
        for reader in self.readers:
            reader.cancel()


class Tab:
    """One page of the browser: evaluates JavaScript, moves the mouse, takes pictures."""

    def __init__(self, socket: Any) -> None:
        self.socket, self.count, self.said = socket, 0, []

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Ask for something, and return the answer; what the console says meanwhile is kept."""
        self.count += 1
        await self.socket.write_message(json.dumps({"id": self.count, "method": method, "params": parameters}))
        while True:
            answer = json.loads(await asyncio.wait_for(self.socket.read_message(), LONGEST))
            if answer.get("id") == self.count:
                assert "error" not in answer, answer
                return answer["result"]
            if answer.get("method") in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled"):
                self.said.append(json.dumps(answer["params"])[:400])

    async def run(self, script: str) -> Any:
        """Return the value of an expression."""
        answer = await self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    async def until(self, script: str) -> Any:
        """Wait until an expression holds, and return its value."""
        for _ in range(int(LONGEST / 0.1)):
            if value := await self.run(script):
                return value
            await asyncio.sleep(0.1)
        raise AssertionError(f"{script} never held; the console: {self.said}")

    async def mouse(self, kind: str, x: float, y: float) -> None:
        """Move, press or release the mouse at a place."""
        buttons = {"button": "left", "clickCount": 1} if kind != "mouseMoved" else {"button": "left", "buttons": 1}
        await self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **buttons)

    async def picture(self) -> bytes:
        """Return the page as PNG."""
        return base64.b64decode((await self.call("Page.captureScreenshot"))["data"])


@asynccontextmanager
async def chromium(folder: Path, url: str) -> AsyncIterator[Tab]:
    """Open a page in a browser without a window."""
    assert BROWSER is not None
    options = ("--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", "--window-size=1400,900")
    quiet = {"stdout": asyncio.subprocess.DEVNULL, "stderr": asyncio.subprocess.DEVNULL}
    process = await asyncio.create_subprocess_exec(BROWSER, *options, f"--user-data-dir={folder}", url, **quiet)
    sockets = []

    async def connected(path: str) -> Tab:
        sockets.append(await websocket_connect(f"ws://127.0.0.1:{number}{path}", max_message_size=2**28))
        return Tab(sockets[-1])

    try:
        port = folder / "DevToolsActivePort"
        async with asyncio.timeout(LONGEST):
            while not (port.is_file() and len(port.read_text().splitlines()) == 2):
                await asyncio.sleep(0.05)
        number, path = port.read_text().splitlines()
        browser, pages = await connected(path), []
        while not pages:
            targets = (await browser.call("Target.getTargets"))["targetInfos"]
            pages = [target["targetId"] for target in targets if target["type"] == "page"]
        tab = await connected(f"/devtools/page/{pages[0]}")
        await tab.call("Runtime.enable")
        yield tab
    finally:
        for socket in sockets:
            socket.close()
        process.terminate()
        await asyncio.wait_for(process.wait(), LONGEST)


@asynccontextmanager
async def widget(code: str, folder: Path) -> AsyncIterator[Tab]:
    """Run code whose last value is a widget in a kernel, and show it in a browser."""
    script = front_end()
    assert script is not None
    manager, client = await start_new_async_kernel(extra_arguments=["--log-level=ERROR"])
    try:
        views: list[str] = []

        def take(message: dict[str, Any]) -> None:
            content = message["content"]
            assert message["msg_type"] != "error", content
            view = content.get("data", {}).get("application/vnd.jupyter.widget-view+json")
            views.extend([view["model_id"]] if view else [])

        await client.execute_interactive(code, output_hook=take, timeout=LONGEST)
        handlers = [
            ("/", _File, {"path": PAGE, "kind": "text/html"}),
            ("/extension.js", _File, {"path": script, "kind": "text/javascript"}),
            ("/kernel", _Channel, {"client": client}),
        ]
        (socket,) = bind_sockets(0, "127.0.0.1")
        server = HTTPServer(Application(handlers, websocket_max_message_size=2**28))
        server.add_sockets([socket])
        url = f"http://127.0.0.1:{socket.getsockname()[1]}/?model={views[0]}"
        async with chromium(folder / "profile", url) as tab:
            await tab.until("document.title === 'shown'")
            yield tab
        server.stop()
    finally:
        client.stop_channels()
        await manager.shutdown_kernel(now=True)
