"""The child side of `sandbox`: shuts its own doors, then runs the program it is given on stdin.

Run as a script by `python -I`, so it imports nothing but the standard library.
"""

from __future__ import annotations

import builtins
import contextlib
import ctypes
import importlib
import json
import os
import sys
import types
from typing import Any

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000  # linux/sched.h
MB = 1024 * 1024

PROCESSES = {
    "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.startfile",
    "os.kill", "os.killpg", "subprocess.Popen", "pty.spawn",
}  # fmt: skip
NETWORK = {
    "socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname",
}  # fmt: skip
FORBIDDEN = PROCESSES | NETWORK
CHANGES = {
    "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod",
    "os.chown", "os.utime", "sqlite3.connect", "shutil.rmtree", "shutil.move", "shutil.copyfile", "shutil.copytree",
    "shutil.chown",
}  # fmt: skip
FOLDERS = {"os.rename": 2, "os.link": 2, "os.truncate": 0}  # descriptors at the end of an event's arguments, else 1
NO_FOLDER = -1
UNHEARD = (("_posixsubprocess", "fork_exec"), ("os", "mkfifo"), ("os", "mknod"))  # they tell no hook
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def leave_network() -> bool:
    """Moves into an empty network namespace (Linux); False where the kernel does not permit it."""
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    return libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0


def limit_resources(limits: dict[str, Any], own_namespace: bool) -> None:
    try:
        import resource
    except ImportError:  # not a POSIX system
        return
    wanted = {
        resource.RLIMIT_CPU: (limits["cpu_s"], limits["cpu_s"] + 1),  # SIGXCPU, then SIGKILL
        resource.RLIMIT_FSIZE: (limits["file_mb"] * MB,) * 2,
        resource.RLIMIT_NOFILE: (limits["files"],) * 2,
        resource.RLIMIT_CORE: (0, 0),
    }
    if sys.platform.startswith("linux"):  # macOS maps more than it uses
        wanted[resource.RLIMIT_AS] = (limits["memory_mb"] * MB,) * 2
    if own_namespace:  # else all processes of the user would count
        wanted[resource.RLIMIT_NPROC] = (limits["processes"],) * 2
    for kind, (soft, hard) in wanted.items():
        with contextlib.suppress(ValueError, OSError):  # a lower limit is already set
            resource.setrlimit(kind, (soft, hard))


def guard(folder: str) -> None:
    """Refuses processes, connections and changes outside `folder`; an audit hook cannot be removed."""
    inside = os.path.realpath(folder) + os.sep

    def allowed(path: object) -> bool:
        if isinstance(path, int) or path == os.devnull:
            return True
        return (os.path.realpath(os.fsdecode(path)) + os.sep).startswith(inside)  # type: ignore[arg-type]

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in FORBIDDEN:
            raise PermissionError(f"{event} is refused in the sandbox")
        if event == "open" and arguments[2] & WRITING and not allowed(arguments[0]):
            raise PermissionError("writing outside the sandbox is refused")
        if event not in CHANGES:
            return
        paths = [part for part in arguments if isinstance(part, (str, bytes, os.PathLike))]
        folders = arguments[len(arguments) - FOLDERS.get(event, 1) :] if event.startswith("os.") else ()
        if any(folder != NO_FOLDER for folder in folders) or not all(map(allowed, paths)):
            raise PermissionError(f"{event} outside the sandbox is refused")

    def refused(*_: object) -> None:
        raise PermissionError("refused in the sandbox")

    for module, name in UNHEARD:
        with contextlib.suppress(ImportError):
            setattr(importlib.import_module(module), name, refused)
    sys.addaudithook(hook)


def run(source: str) -> str | None:
    """The type of the exception that ended the program, None when it ran to its end."""
    module = types.ModuleType("__main__")
    module.__dict__["__builtins__"] = builtins
    sys.modules["__main__"] = module
    try:
        exec(compile(source, "candidate.py", "exec"), module.__dict__)  # noqa: S102  # the point of the sandbox
    except BaseException as error:  # the process edge: SystemExit and KeyboardInterrupt fail too
        return type(error).__name__
    return None


def main() -> None:
    job = json.loads(sys.stdin.buffer.read())
    verdict = os.dup(1)
    sink = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(sink, descriptor)
    own_namespace = leave_network()
    limit_resources(job["limits"], own_namespace)
    guard(os.getcwd())
    error = run(job["source"])
    network = "namespace" if own_namespace else "hook"
    os.write(verdict, json.dumps({"nonce": job["nonce"], "error": error, "network": network}).encode())
    os._exit(0)  # threads the program left behind do not matter any more


if __name__ == "__main__":
    main()
