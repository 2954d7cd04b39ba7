"""The process that speaks to Ray: the only one that does, so that the command itself outlives a
head that dies, which ends whoever is connected to it.

``python -m crnn.cluster.client`` takes a pickled `Order` from stdin and writes messages, a JSON
object a line, to stdout. It ends with the job, or when its stdin does, which is when the command
ends, however that comes about.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import shutil
import sys
import threading
import time
import traceback
from dataclasses import dataclass
from typing import Any, BinaryIO, Dict, List, Optional, Sequence

import ray
from ray import cloudpickle
from ray.exceptions import (
    RayActorError,
    RayError,
    RaySystemError,
    RayTaskError,
    RpcError,
    WorkerCrashedError,
)
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from crnn.cluster import probe
from crnn.cluster.order import AUTO, BEGIN, LOCAL, Order
from crnn.cluster.plan import Attempt, Plan, Shards, Task
from crnn.cluster.worker import Answer, Worker
from crnn.errors import InputError, KitError, UnavailableError, UsageError
from crnn.jobs.run_folder import around
from crnn.leftovers import Process
from crnn.machine import usable_cpus
from crnn.samples.bins import Range

NPU = "NPU"
"""What Ray calls an Ascend chip."""
READY = 180.0
"""Seconds in which a machine must answer, or one worker must have opened its model."""
ALIVE = 5.0
"""Seconds between two signs that the head answers."""
CLOSING = 8.0
"""Seconds that workers get to give back what they hold."""
STORE = 80 << 20
"""Bytes of shared memory of a Ray of our own: descriptors are small."""
_TICK = 0.5
_STILLBORN = 3
"""So many workers in a row may end before they have begun."""

LOST = (RayActorError, WorkerCrashedError, RaySystemError)


class Stopped(Exception):  # noqa: N818  not an error
    """The command has ended, or wants this to."""


class Messages:
    """Writes messages to the command; several threads may."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._said: Dict[str, None] = {}

    def put(self, name: str, **more: Any) -> None:
        """Write a message."""
        line = json.dumps({"is": name, **more}).encode("ascii") + b"\n"
        with self._lock:
            self._file.write(line)
            self._file.flush()

    def note(self, text: str) -> None:
        """Write what a user should be told, once."""
        if text not in self._said:
            self._said[text] = None
            self.put("note", text=text)


@dataclass
class _Hand:
    """A worker: Ray's handle, what it is doing, and who it is once it has opened its model."""

    actor: Any
    process: Optional[Process] = None
    host: str = ""
    task: Optional[Task] = None


class Client:
    """Gives tasks to workers until all shards have their records.

    Args:
        order: What is ordered.
        messages: What the command is told.
        stopped: Set when the command has ended.
    """

    def __init__(self, order: Order, messages: Messages, stopped: threading.Event) -> None:
        self._order = order
        self._messages = messages
        self._stopped = stopped
        self._run = order.kept()
        self._waiting: Dict[Any, _Hand] = {}
        """What each answer that is waited for comes from."""
        self._idle: List[_Hand] = []
        self._given_up: Dict[str, str] = {}
        self._stillborn = 0
        self._since = time.monotonic()
        self._plan = Plan(self._run.shards, 1, self._kept)
        self._job = ray.put(order.job)

    def _kept(self, shard: Any) -> int:
        # Once a worker has begun a run, its records are known by the run's configuration.
        self._run = self._order.kept()
        return self._run.kept_of(shard)

    def work(self) -> None:
        """Do the job.

        Raises:
            KitError: It cannot be done.
            Stopped: The command has ended.
        """
        count = self._workers()
        self._plan.workers = count
        self._plan.begin([shard.number for shard in self._run.unfinished()])
        try:
            for _ in range(count):
                self._hire()
            going_on = True
            while going_on:
                self._require_going_on()
                self._hand_out()
                came = self._wait()
                if came or not self._waiting:
                    going_on = bool(self._run.unfinished())
        finally:
            self._dismiss()

    def _workers(self) -> int:
        """Return how many workers the cluster has room for."""
        order = self._order
        found = ray.cluster_resources()
        if order.chips:
            count = int(found.get(NPU, 0))
            if not count:
                raise UnavailableError(
                    f"the cluster has no chip: none of its machines has the resource {NPU}",
                    hint="Start Ray with it where its Python finds no acl: ray start"
                    " --resources='{\"NPU\": 4}' … (docs/scale.md)",
                )
            return count
        count = int(found.get("CPU", 0)) // (order.threads or 1)
        if order.cpus is not None:
            count = min(order.cpus, count)
        if not count:
            raise UnavailableError(
                f"the cluster has {found.get('CPU', 0):g} processors; a worker needs"
                f" {order.threads or 1}"
            )
        return count

    def _hire(self) -> None:
        """Start one more worker, where the cluster has room."""
        order = self._order
        options: Dict[str, Any] = {"max_restarts": 0, "max_task_retries": 0}
        threads = order.threads
        if order.chips:
            options.update(num_cpus=0, resources={NPU: 1})
        else:
            threads = threads or 1
            options.update(num_cpus=threads)
        actor = ray.remote(Hired).options(**options).remote(self._job, order.place, threads)
        self._waiting[actor.open.remote(order.chips)] = _Hand(actor)

    def _hand_out(self) -> None:
        """Give each worker that has nothing to do something."""
        passed = {place: (why.reason, why.detail) for place, why in self._plan.passed.items()}
        while self._idle:
            task = self._plan.take()
            if task is None:
                return
            hand = self._idle.pop()
            hand.task = task
            if isinstance(task, Attempt):
                words = list(around(task.begin, task.end, passed))
                answer = hand.actor.attempt.remote(words)
            else:
                answer = hand.actor.read.remote(list(task.numbers), passed, self._given_up)
            self._waiting[answer] = hand

    def _wait(self) -> bool:
        """Wait a little for answers, take those that have come, and say whether there were any."""
        if self._stopped.is_set():
            raise Stopped
        if not self._waiting:
            time.sleep(_TICK)
            return False
        came, _ = ray.wait(list(self._waiting), num_returns=1, timeout=_TICK)
        for answer in came:
            hand = self._waiting.pop(answer)
            try:
                said: Answer = ray.get(answer)
            except RayTaskError as error:
                # Our own bug: it keeps its traceback.
                raise RuntimeError(str(error)) from error
            except LOST as error:
                self._lost(hand, str(error))
                continue
            self._take(hand, said)
        return bool(came)

    def _take(self, hand: _Hand, said: Answer) -> None:
        """Take what a worker has answered."""
        for text in said.get("notes", ()):
            self._messages.note(text)
        task, hand.task = hand.task, None
        if "error" in said:
            self._failed(hand, task, said)
            return
        if task is None:
            hand.process = Process(*said["process"])
            hand.host = said["host"]
        elif isinstance(task, Attempt):
            self._plan.survived(task)
        elif said["left"]:
            # Somebody else works on them: look again after a while.
            self._plan.later(said["left"])
            time.sleep(_TICK)
        self._stillborn = 0
        self._idle.append(hand)

    def _failed(self, hand: _Hand, task: Optional[Task], said: Answer) -> None:
        """Go on without a worker whose chip has failed; end the job for any other error.

        Raises:
            KitError: What the worker met.
        """
        message, hint = said["message"], said["hint"]
        if said["error"] == UsageError.__name__:
            raise UsageError(message, hint=hint)
        if said["error"] != UnavailableError.__name__:
            raise InputError(message, hint=hint)
        ray.kill(hand.actor)
        name = f"npu:{said['device']} of {hand.host or said.get('host', 'a machine')}"
        if not self._order.chips or not (self._waiting or self._idle):
            raise UnavailableError(message, hint=hint)
        self._given_up[name] = message
        self._messages.note(f"{name} was given up, and others go on: {message.splitlines()[0]}")
        if task is not None:
            self._plan.put_back(task)

    def _lost(self, hand: _Hand, why: str) -> None:
        """Let others do what a worker that has ended was doing, and start another one."""
        task = hand.task
        if hand.process is None:
            self._stillborn += 1
            if self._stillborn >= _STILLBORN:
                raise UnavailableError(
                    f"workers end before they have begun: {why.strip().splitlines()[0]}"
                )
        else:
            self._run.void([hand.process])
        if isinstance(task, Attempt):
            self._plan.lost(task, [])
        elif task is not None:
            unfinished = {shard.number for shard in self._run.unfinished()}
            left = [number for number in task.numbers if number in unfinished]
            self._plan.lost(Shards(task.numbers), left)
        where = ""
        if hand.host:
            where = f" on {hand.host}"
        self._messages.put("lost", text=f"a worker{where} has ended; another one goes on")
        self._since = time.monotonic()
        self._hire()

    def _require_going_on(self) -> None:
        """Refuse to wait for workers that the cluster has no room for."""
        busy = self._idle or any(hand.process for hand in self._waiting.values())
        if busy:
            self._since = time.monotonic()
        elif time.monotonic() - self._since > READY:
            has = ", ".join(
                f"{name} {ray.cluster_resources().get(name, 0):g}" for name in ("CPU", NPU)
            )
            raise UnavailableError(
                f"the cluster has given no worker in {READY:.0f} s; it has {has}",
                hint="Does another job hold them? See: ray status",
            )

    def _dismiss(self) -> None:
        """End the workers, and void what they have claimed."""
        hands = [*self._idle, *self._waiting.values()]
        if not self._stopped.is_set():
            closed = [hand.actor.close.remote() for hand in self._idle]
            if closed:
                ray.wait(closed, num_returns=len(closed), timeout=CLOSING)
        for hand in hands:
            ray.kill(hand.actor)
        dead = [hand.process for hand in hands if hand.process is not None]
        self._run.void(dead)


class Hired:
    """A worker in Ray's hands: the one class of it."""

    def __init__(self, job: Any, place: str, threads: Optional[int]) -> None:
        self._worker = Worker(job, place, threads)

    def open(self, chips: bool) -> Answer:
        """See `Worker.open`."""
        if not chips:
            return self._worker.open(None, 0)
        context = ray.get_runtime_context()
        granted = context.get_accelerator_ids().get(NPU, [])
        here = context.get_node_id()
        count = 0.0
        for node in ray.nodes():
            if node["NodeID"] == here:
                count = node["Resources"].get(NPU, 0)
        return self._worker.open(granted, int(count))

    def read(self, numbers: Sequence[int], passed: Any, given_up: Any) -> Answer:
        """See `Worker.read`."""
        return self._worker.read(numbers, passed, given_up)

    def attempt(self, words: Sequence[Range]) -> Answer:
        """See `Worker.attempt`."""
        return self._worker.attempt(words)

    def close(self) -> None:
        """See `Worker.close`."""
        self._worker.close()


def connect(order: Order) -> None:
    """Begin a Ray on this machine, or join one that runs.

    Args:
        order: What is ordered.

    Raises:
        InputError: Its version of Ray or Python is another one.
        UnavailableError: There is no cluster at the address.
    """
    options: Dict[str, Any] = {"log_to_driver": False, "include_dashboard": None}
    if order.address == LOCAL:
        options = {
            "address": LOCAL,
            "num_cpus": usable_cpus(),
            "include_dashboard": False,
            "log_to_driver": False,
            "object_store_memory": STORE,
            "_temp_dir": order.temporary,
            "_node_ip_address": "127.0.0.1",
        }
        if order.chips:
            from crnn.ascend.probe import probe as ask

            options["resources"] = {NPU: len(ask().devices)}
    else:
        options["address"] = order.address
    try:
        ray.init(logging_level=logging.ERROR, **options)
    except (ConnectionError, RayError, RuntimeError) as error:
        said = versions_differ(str(error))
        if said is not None:
            raise InputError(said, hint=SAME) from error
        where = order.address
        if where == AUTO:
            where = "this machine"
        hint = BEGIN
        if "uthenticat" in str(error):
            hint = "Its token has to be here too: RAY_AUTH_MODE=token, ~/.ray/auth_token"
        raise UnavailableError(
            f"no Ray cluster can be used at {where}: {last_line(error)}", hint=hint
        ) from error


SAME = "Install the same versions on all machines."


def versions_differ(text: str) -> Optional[str]:
    """Make a sentence of what Ray says where its version, or Python's, is not the cluster's.

    Args:
        text: Ray's message.

    Returns:
        The sentence; None for another message.
    """
    if "ersion mismatch" not in text:
        return None
    return " ".join(text.split())


def look_around(order: Order) -> None:
    """Ask each machine of the cluster who it is, and refuse one that is not like this one.

    Args:
        order: What is ordered.

    Raises:
        InputError: A machine has other versions, or does not see the job's folder.
        UnavailableError: A machine does not answer.
    """
    cloudpickle.register_pickle_by_value(probe)
    look = ray.remote(probe.look)
    asked = {}
    for node in ray.nodes():
        if not node["Alive"]:
            continue
        there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        options = look.options(num_cpus=0, scheduling_strategy=there, max_retries=0)
        asked[options.remote(order.probe, order.place)] = node
    answers, missing = ray.wait(list(asked), num_returns=len(asked), timeout=READY)
    if missing:
        host = asked[missing[0]]["NodeManagerHostname"]
        raise UnavailableError(f"{host} of the cluster did not answer in {READY:.0f} s")
    here = probe.versions()
    for answer in answers:
        try:
            machine = probe.Machine(*ray.get(answer))
        except RayError as error:
            if not is_there(asked[answer]["NodeID"]):
                continue  # it has left meanwhile
            host = asked[answer]["NodeManagerHostname"]
            raise UnavailableError(f"{host} of the cluster: {last_line(error)}") from error
        require_alike(machine, here, order)


def is_there(machine: str) -> bool:
    """Say whether a machine belongs to the cluster now.

    Args:
        machine: Its id, as Ray has it.

    Returns:
        Whether it is alive.
    """
    return any(node["Alive"] for node in ray.nodes() if node["NodeID"] == machine)


def require_alike(machine: probe.Machine, here: Dict[str, str], order: Order) -> None:
    """Refuse a machine that has other versions or another file system.

    Args:
        machine: The machine.
        here: The versions of this one.
        order: What is ordered.

    Raises:
        InputError: It differs.
    """
    for name, version in here.items():
        there = machine.versions.get(name, probe.NONE)
        if there != version:
            raise InputError(
                f"{machine.host} has {name} {there}, and this machine has {version}", hint=SAME
            )
    if machine.token != order.token:
        raise InputError(
            f"{machine.host} does not see the folder {order.job.folder}: a file that was written"
            " into it here is not there",
            hint="Name a folder of a file system that all machines share.",
        )
    if not machine.place:
        raise InputError(
            f"{machine.host} has no folder {order.place}, where the command was started",
            hint="Start it in a folder that all machines see: paths begin there.",
        )


def last_line(error: BaseException) -> str:
    """Return the line of an error that says what is wrong: behind a traceback the last one.

    Args:
        error: The error.

    Returns:
        The line, at most 300 characters of it.
    """
    said: str = str(error).strip() or type(error).__name__
    return said.splitlines()[-1][:300]


def serve(order: Order, messages: Messages, stopped: threading.Event) -> None:
    """Do an order, and say what comes of it.

    Args:
        order: What is ordered.
        messages: What the command is told.
        stopped: Set when the command has ended.
    """
    try:
        connect(order)
        os.chdir(order.place)
        threading.Thread(target=_show_life, args=(messages,), daemon=True).start()
        look_around(order)
        Client(order, messages, stopped).work()
    except Stopped:
        pass
    except Exception as error:  # noqa: BLE001  told to the command
        messages.put(**what_failed(error))
    else:
        messages.put("done")
    ray.shutdown()
    if order.address == LOCAL:
        # The command may have been killed, and nobody else knows of it.
        shutil.rmtree(order.temporary, ignore_errors=True)


def what_failed(error: Exception) -> Dict[str, Any]:
    """Return the message of an error, as `Messages.put` takes it.

    Args:
        error: What has ended the work.

    Returns:
        A user's error, or a bug, which the command raises with this traceback.
    """
    if isinstance(error, KitError):
        kind, message, hint = type(error), error.message, error.hint
        return {"name": "error", "kind": kind.__name__, "message": message, "hint": hint}
    cause: Optional[BaseException] = error
    while cause is not None:
        # Ray 2.10 calls again, and then fails for want of another package.
        if isinstance(cause, RpcError):
            lost = UnavailableError(f"the head of the Ray cluster is lost: {last_line(cause)}")
            return what_failed(lost)
        cause = cause.__cause__ or cause.__context__
    told = traceback.format_exception(type(error), error, error.__traceback__)
    return {"name": "bug", "message": "".join(told)}


def _show_life(messages: Messages) -> None:
    """Say from time to time that the head answers."""
    while True:
        try:
            ray.nodes()
        except Exception:  # noqa: BLE001  whatever it is, the head has not answered
            time.sleep(ALIVE)
            continue
        messages.put("alive")
        time.sleep(ALIVE)


def _watch_stdin(stopped: threading.Event) -> None:
    """End with the command."""
    while os.read(0, 1):
        pass
    stopped.set()
    # Whoever waits for a head that does not answer does not look.
    time.sleep(CLOSING)
    os._exit(1)


def main() -> None:
    """Take an order from stdin."""
    messages = Messages(os.fdopen(os.dup(1), "wb"))
    # What Ray prints is not for the command.
    os.dup2(2, 1)
    length = int.from_bytes(_exactly(8), "big")
    order = pickle.loads(_exactly(length))  # noqa: S301  of the command that started this
    stopped = threading.Event()
    threading.Thread(target=_watch_stdin, args=(stopped,), daemon=True).start()
    serve(order, messages, stopped)
    sys.stderr.flush()
    os._exit(0)


def _exactly(count: int) -> bytes:
    found = b""
    while len(found) < count:
        some = os.read(0, count - len(found))
        if not some:
            os._exit(1)
        found += some
    return found


if __name__ == "__main__":
    # By its own name, since what travels to the workers is found there by it.
    from crnn.cluster.client import main as named

    named()
