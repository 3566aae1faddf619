"""Kills a writer of a local store at random moments, and looks at what is left.

Run as a program: ``python tests/kill_harness.py FOLDER KILLS [secrets|keys|rekey] [SEED]``.
It goes on beyond so many kills until a third of that number fell inside a commit, which is
over in an instant on some disks, and one call was applied all the same; but it stops in any
case after four times as many rounds.
Each round forks a writer. It says on a pipe what it is about to do, that its commit is
about to begin (from here on bytes are written), and that the call has returned: that is
the acknowledgement. The parent kills it a random moment after one of these, opens the
store, and compares it with what was acknowledged. What was not must be there whole or
not at all. A key is made and rotated where a secret is set, and what each of its versions
has sealed or signed must open or be valid as long as the writer has seen it do so. The last
line printed is a JSON object with the counts.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sqlite3
import sys
import time
from statistics import median
from typing import NamedTuple

import kmsbridge
import kmsbridge_local
from kmsbridge import KeySpec
from kmsbridge._config import parse_url
from kmsbridge_local._rekey import rekey

NAMES = ("a", "b/c", "d-e")
SPECS = {"a": KeySpec.AES_256, "b/c": KeySpec.EC_P256, "d-e": KeySpec.AES_256}
"""What kind of key has which name."""
STEPS = 40
"""Operations after which a writer that was not killed ends."""

State = dict[str, tuple[bool, list[str]]]
"""By name: whether it is deleted, and its values, oldest first. Empty: it is not there.

Of a key the versions count: each stands as an empty value.
"""


class Counts(NamedTuple):
    """What happened to the writers."""

    kills: int = 0
    in_call: int = 0
    """Killed between the begin of a call and its acknowledgement."""
    in_commit: int = 0
    """Killed between the first byte written and the acknowledgement."""
    applied: int = 0
    """Calls in which the writer was killed, and that were applied all the same."""


class Lost(Exception):
    """The store is not what was acknowledged."""


def after(state: State, step: tuple[str, str, str]) -> State:
    """The state after one operation."""
    operation, name, value = step
    _, values = state.get(name, (False, []))
    changed = {"set": (False, [*values, value]), "delete": (True, values), "recover": (False, values)}
    return {**state, name: changed[operation]}


def next_step(state: State, chance: random.Random, mode: str) -> tuple[str, str, str]:
    """An operation that the store takes in this state."""
    name = chance.choice(NAMES)
    deleted, values = state.get(name, (False, []))
    if deleted:
        return "recover", name, ""
    if values and chance.random() < 0.3:
        return "delete", name, ""
    return "set", name, "" if mode == "keys" else f"{chance.randrange(2**64):016x}" * chance.choice((1, 8, 512))


def apply(bridge: kmsbridge.Bridge, step: tuple[str, str, str], mode: str, proofs: str) -> None:
    """Do one operation."""
    operation, name, value = step
    if mode == "keys":
        apply_to_key(bridge, operation, name, proofs)
    elif operation == "set":
        bridge.secrets.set(name, value)
    elif operation == "delete":
        bridge.secrets.delete(name)
    else:
        bridge.secrets.recover(name)


def apply_to_key(bridge: kmsbridge.Bridge, operation: str, name: str, proofs: str) -> None:
    """Do one operation on a key; what its new version makes is written down before that is acknowledged."""
    if operation == "delete":
        bridge.keys.schedule_deletion(name)
        return
    if operation == "recover":
        bridge.keys.cancel_deletion(name)
        return
    try:
        bridge.keys.get(name)
    except kmsbridge.NotFoundError:
        bridge.keys.create(name, SPECS[name])
    else:
        bridge.keys.rotate(name)
    if SPECS[name] is KeySpec.AES_256:
        proof = {"name": name, "sealed": bridge.keys.seal(name, b"proof").hex()}
    else:
        signature = bridge.keys.sign(name, b"proof", algorithm="ES256")
        proof = {"name": name, "signature": bytes(signature).hex(), "version": signature.version}
    with open(proofs, "a", encoding="ascii") as stream:
        stream.write(json.dumps(proof) + "\n")


def observed_keys(url: str, proofs: str) -> State:
    """The keys in the store; what their versions have made opens and is valid."""
    state: State = {}
    with kmsbridge.connect(url) as bridge:
        for key in list(bridge.keys.list()):
            gone = key.deletes_at is not None
            if gone:
                bridge.keys.cancel_deletion(key.name)
            state[key.name] = (gone, [""] * len(list(bridge.keys.versions(key.name))))
        with contextlib.suppress(FileNotFoundError), open(proofs, encoding="ascii") as stream:
            for proof in map(json.loads, stream):
                if not proved(bridge, proof):
                    raise Lost(f"a version of key {proof['name']} is not what it was")
        for name, (gone, _) in state.items():
            if gone:
                bridge.keys.schedule_deletion(name)
    return state


def proved(bridge: kmsbridge.Bridge, proof: dict[str, str]) -> bool:
    """Whether what a version has made is still good."""
    if "sealed" in proof:
        return bridge.keys.unseal(proof["name"], bytes.fromhex(proof["sealed"])) == b"proof"
    signature = bytes.fromhex(proof["signature"])
    return bridge.keys.verify(proof["name"], b"proof", signature, algorithm="ES256", version=proof["version"])


def observed(url: str, mode: str, proofs: str) -> State:
    """What is in the store."""
    if mode == "keys":
        return observed_keys(url, proofs)
    state: State = {}
    with kmsbridge.connect(url) as bridge:
        gone = [info.name for info in bridge.secrets.deleted()]
        for name in gone:
            bridge.secrets.recover(name)
        for info in list(bridge.secrets.list()):
            versions = [v.version for v in bridge.secrets.versions(info.name)]
            values = [bridge.secrets.get(info.name, version).text for version in reversed(versions)]
            state[info.name] = (info.name in gone, values)
        for name in gone:
            bridge.secrets.delete(name)
    return state


def write(path: str, mode: str, state: State, pipe: int, seed: int) -> None:
    """The writer: works and tells, until it is killed."""
    connect = sqlite3.connect

    def traced(*args: object, **options: object) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **options)  # type: ignore[call-overload]
        writing = False

        def tell(statement: str) -> None:
            nonlocal writing
            if statement == "COMMIT" and writing:
                os.write(pipe, b"W")
            writing = statement == "BEGIN IMMEDIATE" or (writing and statement != "COMMIT")

        connection.set_trace_callback(tell)
        return connection

    sqlite3.connect = traced  # type: ignore[assignment]
    chance = random.Random(seed)  # noqa: S311 - it decides when to kill
    with kmsbridge.connect(f"local:{path}") as bridge:
        for _ in range(STEPS):
            if mode == "rekey":
                os.write(pipe, b"B")
                rekey(kmsbridge_local.configure(parse_url(f"local:{path}")))
            else:
                step = next_step(state, chance, mode)
                os.write(pipe, b"B")
                apply(bridge, step, mode, f"{path}.proofs")
                state = after(state, step)
            os.write(pipe, b"A")


def one_round(path: str, mode: str, state: State, seed: int) -> tuple[str, list[State]]:
    """Start a writer and kill it; what it told, and the states it may have left: acknowledged and begun."""
    chance = random.Random(seed)  # noqa: S311 - it decides when to kill
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reader)
            write(path, mode, state, writer, seed)
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    target = chance.choice(b"WWWB")
    skip = chance.randrange(1, STEPS // 2)
    told = bytearray()
    heard, commits = time.perf_counter(), [0.0]
    while byte := os.read(reader, 1):
        told += byte
        before, heard = heard, time.perf_counter()
        if byte == b"A":
            commits.append(heard - before)  # how long one takes on this disk at the moment
        if byte[0] == target:
            if not skip:
                wait = chance.random() * 1.2 * median(commits)
                if chance.random() < 0.5:
                    time.sleep(wait)
                else:  # a sleep lasts longer than a commit to memory, and would always come after it
                    while time.perf_counter() < heard + wait:
                        pass
                break
            skip -= 1
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    while more := os.read(reader, 4096):
        told += more
    os.close(reader)
    _, status = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(status) not in (0, -signal.SIGKILL):
        raise Lost(f"the writer failed by itself: {bytes(told)!r}")
    replay = random.Random(seed)  # noqa: S311 - it decides when to kill
    possible = [state]
    if mode != "rekey":
        for _ in range(told.count(b"A")):
            state = after(state, next_step(state, replay, mode))
        possible = [state]
        if told.count(b"B") > told.count(b"A"):
            possible.append(after(state, next_step(state, replay, mode)))
    return told.decode(), possible


def run(folder: str, kills: int, mode: str, seed: int) -> Counts:
    """Kill at least so many writers, a third inside a commit; raises `Lost` at the first that loses something."""
    path = os.path.join(folder, "killed.db")
    url, proofs = f"local:{path}", f"{path}.proofs"
    state = observed(url, mode, proofs)
    counts = Counts()
    if mode == "rekey" and not state:
        with kmsbridge.connect(url) as bridge:
            for name in NAMES:
                bridge.secrets.set(name, f"of {name}")
            bridge.secrets.delete(NAMES[0])
        state = observed(url, mode, proofs)
    for _ in range(4 * kills):
        if counts.kills >= kills and counts.in_commit >= kills // 3 and (counts.applied or mode == "rekey"):
            break
        seed += 1
        told, possible = one_round(path, mode, state, seed)
        found = observed(url, mode, proofs)
        if found not in possible:
            raise Lost(f"seed {seed}: after {told!r} the store is neither what was acknowledged nor what was begun")
        connection = sqlite3.connect(path)
        [verdict] = connection.execute("PRAGMA integrity_check").fetchone()
        connection.close()
        if verdict != "ok":
            raise Lost(f"seed {seed}: {verdict}")
        if told.count("A") < STEPS:  # else it was faster than the kill
            unfinished = told.rstrip("W").endswith("B")
            counts = Counts(
                counts.kills + 1,
                counts.in_call + unfinished,
                counts.in_commit + (unfinished and told.endswith("W")),
                counts.applied + (len(possible) > 1 and found == possible[1]),
            )
        state = found
        if sum(len(values) for _, values in state.values()) > 60 and mode != "rekey":
            for suffix in ("", "-wal", "-shm", ".key", ".key.new", ".proofs"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path + suffix)
            state = {}
    return counts


if __name__ == "__main__":
    mode_ = sys.argv[3] if len(sys.argv) > 3 else "secrets"
    result = run(sys.argv[1], int(sys.argv[2]), mode_, int(sys.argv[4]) if len(sys.argv) > 4 else 0)
    applied = f"; of these calls {result.applied} had been applied" if mode_ != "rekey" else ""
    sys.stdout.write(
        f"{result.kills} kills, {result.in_call} inside a call, {result.in_commit} between the first byte written and"
        f" the acknowledgement{applied}\n{json.dumps(result._asdict())}\n"
    )
