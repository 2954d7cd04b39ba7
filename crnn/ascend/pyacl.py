"""The calls of pyACL that the kit uses, typed; the one place where a return code becomes an
exception.

A pyACL call takes positional arguments, pointers and handles as Python's own int, and answers with
a code, with values and a code, or with a bare value where 0 (or None, or -1) is the only sign of
failure. Here a call gives its value or raises `AscendError`.
"""

from __future__ import annotations

import operator
import os
from typing import Any, Dict, FrozenSet, List, Sequence, Tuple, Type, Union

from crnn import cann
from crnn.cann import codes
from crnn.errors import KitError, UnavailableError

Argument = Union[int, str, Dict[str, Any]]

STREAMING_CALLS: Tuple[str, ...] = (
    "rt.create_stream",
    "rt.destroy_stream",
    "rt.synchronize_stream",
    "rt.destroy_event",
    "rt.record_event",
    "rt.stream_wait_event",
    "rt.synchronize_event",
    "rt.memcpy_async",
    "mdl.execute_async",
)
"""Without one of these a model can only run synchronously; events beside (`can_stream`)."""
LASTING_EVENT_CALL = "rt.create_event_ex_with_flag"
"""Makes events that are recorded again without a reset; documented from CANN 8.0 on."""
_EVENT_CALLS = ("rt.create_event", "rt.reset_event")

_ALL_INPUTS = -1
"""The one index that gears of dims are asked for by."""
# The oldest releases have one code for all that the runtime refuses.
_NO_CONTEXT = frozenset((cann.ACL_ERROR_RT_CONTEXT_NULL, 500003))
_ENVIRONMENT = frozenset((cann.ACL_ERROR_COMPILING_STUB_MODE, 148049))
_MODEL_FAULT = frozenset((cann.ACL_ERROR_RT_SOC_VERSION,))


class AscendError(KitError):
    """A pyACL call failed. ``call`` is its name, ``code`` the return code, 0 where the call has
    none to give.

    Codes 1xxxxx are the caller's or the model file's fault: exit code 1. Everything else is
    `AscendUnavailableError`.
    """

    def __init__(self, call: str, code: int, said: str = "", *, about: str = "") -> None:
        if code:
            entry = codes.code(code)
        else:
            entry = None
        self.call = call
        self.code = code
        self.said = said
        self.about = about
        if entry:
            self.meaning = entry.meaning
        else:
            if code:
                self.meaning = codes.reading(code) or codes.NO_MEANING
            else:
                self.meaning = "it gave nothing"
        if entry:
            self.remedy = entry.remedy
        else:
            self.remedy = ""
        if code:
            failed = f"acl.{call} failed with {code} ({self.meaning})"
        else:
            failed = f"acl.{call} failed: {self.meaning}"
        cause = ""
        if entry:
            cause = f". {entry.cause}"
        if about:
            text = f"{about}: {failed}{cause}"
        else:
            text = f"{failed}{cause}"
        lines: List[str] = []
        if said:
            lines = [f"  CANN says: {said}"]
        log = f"The log is in {plog_folder()}."
        super().__init__(text, lines=lines, hint=f"{self.remedy} {log}".strip())

    def of(self, about: str) -> AscendError:
        """Return the same error, told of a file or device."""
        return type(self)(self.call, self.code, self.said, about=about)

    def __reduce__(self) -> Tuple[Any, ...]:
        """Pickle by what it was made of; the errors of worker processes travel so."""
        return _rebuilt, (type(self), self.call, self.code, self.said, self.about)


class AscendUnavailableError(AscendError, UnavailableError):
    """A pyACL call failed for want of memory, permission or a device, or by a fault inside CANN or
    the chip.

    Exit code 4, codes 2xxxxx, 3xxxxx and 5xxxxx: it is the machine that must be mended, not the
    command or the model. Exceptions to the ranges: stub libraries (100039) and a wrong operator
    path (148049) are the environment's too, a model built for another chip (507008) is the model's.
    """


def _rebuilt(kind: Type[AscendError], call: str, code: int, said: str, about: str) -> AscendError:
    return kind(call, code, said, about=about)


def _plain_argument(value: Argument) -> Argument:
    if isinstance(value, (str, dict)):
        return value
    return operator.index(value)


def error_type(code: int) -> Type[AscendError]:
    """Return the exception class of a return code, by its range."""
    if code in _MODEL_FAULT:
        return AscendError
    if code in _ENVIRONMENT or not 100000 <= code < 200000:
        return AscendUnavailableError
    return AscendError


def plog_folder() -> str:
    """Return where CANN writes this user's log."""
    root = os.environ.get("ASCEND_PROCESS_LOG_PATH")
    if root:
        return f"{root}/debug/plog"
    return cann.PLOG_FOLDERS[0]


def load_acl() -> Acl:
    """Import pyACL.

    Returns:
        The binding.

    Raises:
        UnavailableError: CANN is missing or not sourced.
    """
    try:
        import acl
    except ImportError as error:
        raise UnavailableError(
            f"an OM needs CANN's pyACL, and 'import acl' fails here: {error}",
            hint=(
                "Source CANN's environment first: source"
                " /usr/local/Ascend/ascend-toolkit/set_env.sh (from 8.5:"
                " /usr/local/Ascend/cann/set_env.sh), or try crnn doctor. Without a chip: python -m"
                " crnn.simulator -- COMMAND"
            ),
        ) from error
    return Acl(acl)


class Acl:
    """pyACL's functions by their names, ``rt_`` and ``mdl_`` standing for its modules. Sizes are
    bytes.

    Handles, pointers and ids are int, never 0 when a call succeeded. All methods raise
    `AscendError`, and nothing else, when CANN refuses.
    """

    def __init__(self, module: Any) -> None:
        self._functions: Dict[str, Any] = {}
        self._module = module
        self.simulated = bool(getattr(module, "simulated", False))

    def has(self, *names: str) -> bool:
        """Say whether this CANN offers all these calls."""
        return all(self._function(name) is not None for name in names)

    def can_stream(self) -> bool:
        """Say whether this CANN offers streams, and one of the two kinds of events."""
        events = self.has(LASTING_EVENT_CALL) or self.has(*_EVENT_CALLS)
        return events and self.has(*STREAMING_CALLS)

    # --- the process and its devices

    def init(self, config: str = "") -> bool:
        """Initialise ACL; False where it was initialised before, by someone else in this
        process.
        """
        accept = frozenset((0, cann.ACL_ERROR_REPEAT_INITIALIZE))
        if config:
            code = self._code("init", config, accept=accept)
        else:
            code = self._code("init", accept=accept)
        return code == 0

    def finalize(self) -> None:
        """Undo one `init`, which newer CANN counts; that someone else has finalized ACL already is
        no error.
        """
        accept = frozenset((0, cann.ACL_ERROR_REPEAT_FINALIZE))
        if self.has("finalize_reference"):
            _, code = self._call("finalize_reference")
            if code not in accept:
                self._check("finalize_reference", code)
        else:
            self._code("finalize", accept=accept)

    def get_soc_name(self) -> str:
        """Return the chip's name, empty where CANN does not tell; needs a device set."""
        if self.has("get_soc_name"):
            return self._plain("get_soc_name") or ""
        return ""

    def set_device(self, device: int) -> None:
        self._code("rt.set_device", device)

    def reset_device(self, device: int) -> None:
        self._code("rt.reset_device", device)

    def get_version(self) -> str:
        """Return the version of ACL's interface."""
        *numbers, code = self._call("get_version")
        self._check("get_version", code)
        return ".".join(map(str, numbers))

    def get_device_count(self) -> int:
        return int(self._value("rt.get_device_count"))

    def get_run_mode(self) -> int:
        return int(self._value("rt.get_run_mode"))

    def create_context(self, device: int) -> int:
        return self._nonzero("rt.create_context", self._value("rt.create_context", device))

    def set_context(self, context: int) -> None:
        self._code("rt.set_context", context)

    def get_context(self) -> int:
        """Return the thread's current context, 0 where it has none."""
        context, code = self._call("rt.get_context")
        if code in _NO_CONTEXT:
            self._said()  # or the next error would quote this one
            return 0
        self._check("rt.get_context", code)
        return int(context)

    def destroy_context(self, context: int) -> None:
        self._code("rt.destroy_context", context)

    def get_mem_info(self, kind: int) -> Tuple[int, int]:
        """Return the free and the total bytes of a kind of device memory (ACL_DDR_MEM …); needs a
        device set.
        """
        free, total, code = self._call("rt.get_mem_info", kind)
        self._check("rt.get_mem_info", code)
        return int(free), int(total)

    # --- streams and events

    def create_stream(self) -> int:
        return self._nonzero("rt.create_stream", self._value("rt.create_stream"))

    def synchronize_stream(self, stream: int) -> None:
        self._code("rt.synchronize_stream", stream)

    def destroy_stream(self, stream: int) -> None:
        self._code("rt.destroy_stream", stream)

    def create_event(self) -> int:
        return self._nonzero("rt.create_event", self._value("rt.create_event"))

    def create_event_ex_with_flag(self, flags: int) -> int:
        """Return an event for what the flags say (ACL_EVENT_SYNC …), which is never reset."""
        return self._nonzero(
            "rt.create_event_ex_with_flag", self._value("rt.create_event_ex_with_flag", flags)
        )

    def record_event(self, event: int, stream: int) -> None:
        self._code("rt.record_event", event, stream)

    def reset_event(self, event: int, stream: int) -> None:
        self._code("rt.reset_event", event, stream)

    def synchronize_event(self, event: int) -> None:
        self._code("rt.synchronize_event", event)

    def stream_wait_event(self, stream: int, event: int) -> None:
        self._code("rt.stream_wait_event", stream, event)

    def destroy_event(self, event: int) -> None:
        self._code("rt.destroy_event", event)

    # --- memory

    def malloc(self, size: int) -> int:
        """Return device memory, uninitialised."""
        return self._nonzero(
            "rt.malloc", self._value("rt.malloc", size, cann.ACL_MEM_MALLOC_HUGE_FIRST)
        )

    def free(self, pointer: int) -> None:
        self._code("rt.free", pointer)

    def malloc_host(self, size: int) -> int:
        """Return pinned host memory, uninitialised."""
        return self._nonzero("rt.malloc_host", self._value("rt.malloc_host", size))

    def free_host(self, pointer: int) -> None:
        self._code("rt.free_host", pointer)

    def memcpy(self, target: int, room: int, source: int, size: int, kind: int) -> None:
        self._code("rt.memcpy", target, room, source, size, kind)

    def memcpy_async(
        self, target: int, room: int, source: int, size: int, kind: int, stream: int
    ) -> None:
        self._code("rt.memcpy_async", target, room, source, size, kind, stream)

    # --- models

    def load_from_file(self, path: str) -> int:
        return int(self._value("mdl.load_from_file", path))

    def query_size(self, path: str) -> Tuple[int, int]:
        """Return the bytes of work memory and of weights that a model will take."""
        work, weights, code = self._call("mdl.query_size", path)
        self._check("mdl.query_size", code)
        return int(work), int(weights)

    def unload(self, model: int) -> None:
        self._code("mdl.unload", model)

    def create_desc(self) -> int:
        return self._nonzero("mdl.create_desc", self._plain("mdl.create_desc"))

    def get_desc(self, desc: int, model: int) -> None:
        self._code("mdl.get_desc", desc, model)

    def destroy_desc(self, desc: int) -> None:
        self._code("mdl.destroy_desc", desc)

    def get_num_inputs(self, desc: int) -> int:
        return self._nonzero("mdl.get_num_inputs", self._plain("mdl.get_num_inputs", desc))

    def get_num_outputs(self, desc: int) -> int:
        return self._nonzero("mdl.get_num_outputs", self._plain("mdl.get_num_outputs", desc))

    def get_input_size_by_index(self, desc: int, index: int) -> int:
        """Return the bytes that an input takes at the largest gear; for a model of fixed shapes or
        gears only.
        """
        return self._nonzero(
            "mdl.get_input_size_by_index", self._plain("mdl.get_input_size_by_index", desc, index)
        )

    def get_output_size_by_index(self, desc: int, index: int) -> int:
        """Return the bytes that an output takes at the largest gear; for a model of fixed shapes or
        gears only.
        """
        return self._nonzero(
            "mdl.get_output_size_by_index", self._plain("mdl.get_output_size_by_index", desc, index)
        )

    def get_input_dims(self, desc: int, index: int) -> List[int]:
        """Return an input's sizes, -1 for the batch of a model with gears."""
        return self._dims(self._value("mdl.get_input_dims", desc, index))

    def get_output_dims(self, desc: int, index: int) -> List[int]:
        """Return an output's sizes at the largest gear."""
        return self._dims(self._value("mdl.get_output_dims", desc, index))

    def get_cur_output_dims(self, desc: int, index: int) -> List[int]:
        """Return an output's sizes at the gear that is set."""
        return self._dims(self._value("mdl.get_cur_output_dims", desc, index))

    def get_input_data_type(self, desc: int, index: int) -> int:
        return self._data_type(
            "mdl.get_input_data_type", self._plain("mdl.get_input_data_type", desc, index)
        )

    def get_output_data_type(self, desc: int, index: int) -> int:
        return self._data_type(
            "mdl.get_output_data_type", self._plain("mdl.get_output_data_type", desc, index)
        )

    def get_input_name_by_index(self, desc: int, index: int) -> str:
        return self._name(
            "mdl.get_input_name_by_index", self._plain("mdl.get_input_name_by_index", desc, index)
        )

    def get_output_name_by_index(self, desc: int, index: int) -> str:
        return self._name(
            "mdl.get_output_name_by_index", self._plain("mdl.get_output_name_by_index", desc, index)
        )

    def get_dynamic_batch(self, desc: int) -> List[int]:
        """Return the batch gears, empty for a static model."""
        gears = self._value("mdl.get_dynamic_batch", desc)
        return [int(size) for size in gears["batch"][: gears["batchCount"]]]

    def set_dynamic_batch_size(self, model: int, dataset: int, index: int, batch: int) -> None:
        self._code("mdl.set_dynamic_batch_size", model, dataset, index, batch)

    def get_input_dynamic_dims(self, desc: int) -> List[List[int]]:
        """Return the gears of --dynamic_dims, each the dims of all inputs one after the other;
        empty for a model without.
        """
        count = int(self._value("mdl.get_input_dynamic_gear_count", desc, _ALL_INPUTS))
        if not count:
            return []
        # After a failure the list's items must not be touched: the code is looked at first.
        gears, code = self._call("mdl.get_input_dynamic_dims", desc, _ALL_INPUTS, count)
        self._check("mdl.get_input_dynamic_dims", code)
        return [[int(size) for size in gear["dims"][: gear["dimCount"]]] for gear in gears]

    def set_input_dynamic_dims(
        self, model: int, dataset: int, index: int, dims: Sequence[int]
    ) -> None:
        """Set a gear of --dynamic_dims by the dims of all inputs, one after the other."""
        sizes: Dict[str, Any] = {"name": "", "dimCount": len(dims), "dims": list(dims)}
        self._code("mdl.set_input_dynamic_dims", model, dataset, index, sizes)

    def create_data_buffer(self, pointer: int, size: int) -> int:
        return self._nonzero("create_data_buffer", self._plain("create_data_buffer", pointer, size))

    def destroy_data_buffer(self, buffer: int) -> None:
        self._code("destroy_data_buffer", buffer)

    def create_dataset(self) -> int:
        return self._nonzero("mdl.create_dataset", self._plain("mdl.create_dataset"))

    def add_dataset_buffer(self, dataset: int, buffer: int) -> None:
        self._value("mdl.add_dataset_buffer", dataset, buffer)

    def destroy_dataset(self, dataset: int) -> None:
        self._code("mdl.destroy_dataset", dataset)

    def execute(self, model: int, inputs: int, outputs: int) -> None:
        self._code("mdl.execute", model, inputs, outputs)

    def execute_async(self, model: int, inputs: int, outputs: int, stream: int) -> None:
        self._code("mdl.execute_async", model, inputs, outputs, stream)

    # --- how a call is made and judged

    def _function(self, name: str) -> Any:
        if name not in self._functions:
            target = self._module
            for part in name.split("."):
                target = getattr(target, part, None)
            self._functions[name] = target
        return self._functions[name]

    def _call(self, name: str, *arguments: Argument) -> Any:
        function = self._function(name)
        if function is None:
            raise UnavailableError(
                f"this CANN's pyACL has no acl.{name}",
                hint="Install CANN 5.0 or later, the one that fits the driver.",
            )
        # The extension takes Python's own int and nothing that merely acts as one, NumPy's least of
        # all.
        return function(*map(_plain_argument, arguments))

    def _code(
        self, name: str, *arguments: Argument, accept: FrozenSet[int] = frozenset((0,))
    ) -> int:
        code = int(self._call(name, *arguments))
        if code not in accept:
            self._check(name, code)
        return code

    def _value(self, name: str, *arguments: Argument) -> Any:
        value, code = self._call(name, *arguments)
        self._check(name, code)
        return value

    def _plain(self, name: str, *arguments: Argument) -> Any:
        return self._call(name, *arguments)

    def _nonzero(self, name: str, value: Any) -> int:
        self._need(name, bool(value))
        return int(value)

    def _data_type(self, name: str, value: Any) -> int:
        self._need(name, value != cann.UNDEFINED_DTYPE.number)
        return int(value)

    def _name(self, name: str, value: Any) -> str:
        self._need(name, value is not None)
        return str(value)

    def _dims(self, value: Dict[str, Any]) -> List[int]:
        return [int(size) for size in value["dims"]]

    def _need(self, name: str, given: bool) -> None:
        # Nothing says why: no code comes with a bare value.
        if not given:
            raise AscendUnavailableError(name, 0, self._said())

    def _check(self, name: str, code: int) -> None:
        if code != 0:
            raise error_type(code)(name, code, self._said())

    def _said(self) -> str:
        recent = self._function("get_recent_err_msg")
        if recent:
            return " ".join(str(recent() or "").split())
        return ""
