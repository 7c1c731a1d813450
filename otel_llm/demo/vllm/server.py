"""`vllm serve` as a process of ours, with the hooks on."""

import shutil
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from otel_llm.demo.child import Child, DemoError

HOST = "127.0.0.1"
ENVIRONMENT = {
    # Nothing is fetched, and nothing is told to anybody.
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    # GiB of KV cache on a CPU: the least that can be said.
    "VLLM_CPU_KVCACHE_SPACE": "1",
    # The tiny model's matrices are too small for a second thread to help.
    "OMP_NUM_THREADS": "1",
}
OPTIONS = (
    *("--load-format", "dummy"),
    *("--max-model-len", "2048"),
    # The smallest block of vLLM's attention on a CPU, so that prefixes are shared early.
    *("--block-size", "32"),
    # Told to stop, vLLM kills its core at once unless it has a time for it; then the core's journal
    # ends as if it had died.
    *("--shutdown-timeout", "5"),
    "--enforce-eager",
    "--disable-uvicorn-access-log",
)

_NO_VLLM = (
    "There is no program `vllm` on the PATH. Install vllm and otel-llm into one environment "
    "and name its program: --vllm ENV/bin/vllm. `make vllm` builds one that needs no GPU."
)


def find_cli(named: Path | None = None) -> Path:
    """The program `vllm`: the one named, else on the PATH, else beside this Python.

    Args:
        named: a path, if the user gave one.

    Raises:
        DemoError: there is none.
    """
    if named is not None:
        if shutil.which(named) is None:
            message = f"--vllm {named}: no such program. Name the file bin/vllm of an environment."
            raise DemoError(message)
        return named.absolute()
    found = shutil.which("vllm") or shutil.which(Path(sys.executable).with_name("vllm"))
    if found is None:
        raise DemoError(_NO_VLLM)
    return Path(found)


class VllmServer(Child):
    """One `vllm serve`, with the hooks on unless told otherwise.

    The program runs in its own environment, where otel-llm must be installed too.

    Args:
        name: the deployment's name (`service.name`), and of its log file.
        cli: the program `vllm`.
        model_dir: as `write_model` wrote it.
        log_dir: where its log goes.
        environment: variables beside our own, `OTEL_LLM_JOURNAL_DIR` among them. They win over
            ENVIRONMENT.
        options: further options of `vllm serve`. They win over OPTIONS.
        hooks: whether to start it through `otel-llm run`.

    Attributes:
        port: where it listens.
        url: its base URL.
    """

    ready_timeout_s = 420.0
    poll_s = 0.2

    def __init__(
        self,
        name: str,
        cli: Path,
        model_dir: Path,
        log_dir: Path,
        environment: Mapping[str, str],
        options: Sequence[str] = (),
        hooks: bool = True,
    ) -> None:
        self.port = _free_port()
        self.url = f"http://{HOST}:{self.port}"
        self._serving = False
        run = [sys.executable, "-m", "otel_llm.cli.main", "run", "--service", name, "--"]
        serve = [str(cli), "serve", str(model_dir), "--host", HOST, "--port", str(self.port)]
        command = [*(run if hooks else ()), *serve, *OPTIONS, *options]
        super().__init__(name, command, log_dir, {**ENVIRONMENT, **environment})

    def _told(self) -> dict[str, Any] | None:
        # Not httpx: it is asked often while it starts, and a client of httpx is dear to make.
        asked = HTTPConnection(HOST, self.port, timeout=5.0)
        try:
            asked.request("GET", "/health")
            status = asked.getresponse().status
        except (OSError, HTTPException):
            return None
        finally:
            asked.close()
        if status != HTTPStatus.OK:
            return None
        self._serving = True
        return {"url": self.url, "port": self.port, "pid": self.process.pid, "name": self.name}

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it and wait. While it starts, vLLM heeds no signal but SIGKILL."""
        super().stop(how if self._serving else signal.SIGKILL)


def _free_port() -> int:
    """A port that is free now: vLLM cannot say which one it took."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
