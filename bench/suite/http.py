"""``http``, ``http-socket``, ``cold``: what the platform costs a request, without and with a socket, and a start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.model import Bench, ContenderSpec, Extra, ServerSpec, Target, Task

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.model import Scale

__all__ = ["make_cold", "make_http", "make_http_socket"]

_VERBS = frozenset({"http", "http_socket", "cold"})
_WRK = "!wrk"
_CONTENDERS = (
    ContenderSpec("longshore", None, "http_longshore", (_WRK, "longshore", "uvicorn"), _VERBS),
    ContenderSpec("uvicorn", None, "http_uvicorn", (_WRK, "uvicorn", "uvloop"), _VERBS),
    ContenderSpec("workerd", None, "http_workerd", (_WRK, "npm:workerd"), _VERBS),
)
_EXTRAS = (Extra("p50_ms", "p50_ms"), Extra("p99_ms", "p99_ms"))
_LOOPS = ("uvloop",)


def _rate(reading: Mapping[str, float], _count: int) -> float:
    return reading["rate"]


def _task(name: str, verb: str, scale: Scale) -> Task:
    return Task(name, verb, ServerSpec("echo_server"), scale.pick(4, 1), value=_rate)


def make_http(scale: Scale) -> Bench:
    """Return the bench of the bare platform."""
    task = _task("hello, 50 connections", "http", scale)
    case = f"{task.name}, uvloop"
    targets = (Target("≥ 0.85 × uvicorn", case, ("uvicorn",), ">=", 0.85),)
    summary = "requests to a hello worker in one process, one core"
    return Bench("http", summary, "requests/s", False, (task,), _CONTENDERS, targets, _LOOPS, _EXTRAS)


def make_http_socket(scale: Scale) -> Bench:
    """Return the bench of a request that opens a socket."""
    task = _task("socket a request, 50 connections", "http_socket", scale)
    targets = (Target("≥ 2 × workerd", f"{task.name}, uvloop", ("workerd",), ">=", 2.0),)
    summary = "requests that open a socket to an echo server, make one round trip and close it"
    return Bench("http-socket", summary, "requests/s", False, (task,), _CONTENDERS, targets, _LOOPS, _EXTRAS)


def make_cold(scale: Scale) -> Bench:
    """Return the bench of a start."""
    task = Task("start to first byte", "cold", ServerSpec("echo_server"), scale.pick(10, 2), value=_milliseconds)
    others = ("uvicorn", "workerd")
    targets = tuple(Target(f"< {other}", f"{task.name}, uvloop", (other,), "<", 1.0) for other in others)
    summary = "a worker forked from the warm zygote, beside a fresh uvicorn and a fresh workerd, on an open socket"
    extras = (Extra("worst_ms", "worst_ms", is_worst=True),)
    return Bench("cold", summary, "ms", True, (task,), _CONTENDERS, targets, _LOOPS, extras)


def _milliseconds(reading: Mapping[str, float], _count: int) -> float:
    return reading["median_ms"]
