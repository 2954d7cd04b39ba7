"""Which functions the pyACL stand-in has, what each takes and gives, and how the real extension
parses arguments.

Facts of the public pyACL source: argument and result letters, the text of the TypeError, and the
CANN release from which a function is offered here. Of the releases those of ``bytes_to_ptr``,
``numpy_contiguous_to_ptr`` (in the pages of 5.0.4) and ``create_event_ex_with_flag`` (8.0) are
documented; other "new" calls are put at 8.0 and the middle ones at 6.0, later than they may have
come.

Letters: ``k K`` unsigned 64 bits, Python int only, taken modulo 2**64; ``i h b l L`` signed and
range-checked, ``__index__`` accepted (NumPy's integers too); ``I H B`` masked; ``f`` float; ``s``
str without NUL; ``O`` any object.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

Version = Tuple[int, int]

_NEW: Version = (8, 0)
_MIDDLE: Version = (6, 0)

# name, arguments ("*": looks at none), results ("-": None), and for some: "!" ends the TypeError's
# text, a release
_TABLE = """
acl.init                             |s       i
acl.finalize                         *        i
acl.finalize_reference               *        Ki   new
acl.app_log                          is       -
acl.get_version                      *        iiii
acl.get_soc_name                     *        s
acl.get_recent_err_msg               *        s
acl.create_data_buffer               kk       k
acl.destroy_data_buffer              k        i
acl.get_data_buffer_addr             k        k
acl.get_data_buffer_size             k        k
acl.get_data_buffer_size_v2          k        k
acl.update_data_buffer               kkk      i
acl.create_tensor_desc               iOi      k
acl.destroy_tensor_desc              k        -
acl.get_tensor_desc_type             k        i
acl.get_tensor_desc_format           k        i
acl.get_tensor_desc_size             k        k
acl.get_tensor_desc_element_count    k        k
acl.get_tensor_desc_num_dims         k        k
acl.get_tensor_desc_dim              kk       L
acl.get_tensor_desc_dim_v2           kk       Li
acl.set_tensor_const                 kkk      i
acl.data_type_size                   i        k
acl.rt.set_device                    i        i
acl.rt.reset_device                  i        i
acl.rt.reset_device_force            i        i    new
acl.rt.get_device                    *        ii
acl.rt.get_device_count              *        Ii
acl.rt.get_run_mode                  *        ii
acl.rt.create_context                i        ki
acl.rt.destroy_context               k        i
acl.rt.set_context                   k        i
acl.rt.get_context                   *        ki
acl.rt.create_stream                 *        ki
acl.rt.create_stream_with_config     ii       ki   middle
acl.rt.destroy_stream                k        i
acl.rt.synchronize_stream            k        i
acl.rt.synchronize_stream_with_timeout ki     i    middle
acl.rt.synchronize_device            *        i
acl.rt.stream_query                  k        Ii   ! middle
acl.rt.malloc                        ki       ki
acl.rt.free                          k        i
acl.rt.malloc_host                   k        ki
acl.rt.free_host                     k        i
acl.rt.memset                        kkik     i
acl.rt.memset_async                  kkikk    i
acl.rt.memcpy                        kkkki    i
acl.rt.memcpy_async                  kkkkik   i
acl.rt.get_mem_info                  i        kki
acl.rt.create_event                  *        ki
acl.rt.create_event_with_flag        I        ki
acl.rt.create_event_ex_with_flag     I        ki   new
acl.rt.destroy_event                 k        i
acl.rt.record_event                  kk       i
acl.rt.reset_event                   kk       i
acl.rt.synchronize_event             k        i
acl.rt.synchronize_event_with_timeout ki      i    ! middle
acl.rt.stream_wait_event             kk       i
acl.rt.query_event                   k        Ii
acl.rt.query_event_status            k        Ii   middle
acl.rt.event_elapsed_time            kk       fi
acl.rt.subscribe_report              Kk       i
acl.rt.unsubscribe_report            Kk       i
acl.rt.launch_callback               OOik     i
acl.rt.process_report                i        i
acl.rt.set_op_execute_time_out       I        i    middle
acl.mdl.load_from_file               s        Ii   !
acl.mdl.load_from_mem                kk       Ii   !
acl.mdl.load_from_file_with_mem      skkkk    Ii   !
acl.mdl.load_from_mem_with_mem       kkkkkk   Ii   !
acl.mdl.create_config_handle         *        k
acl.mdl.set_config_opt               kiO      i
acl.mdl.load_with_config             k        Ii
acl.mdl.destroy_config_handle        k        i
acl.mdl.unload                       I        i    !
acl.mdl.query_size                   s        kki  !
acl.mdl.create_desc                  *        k
acl.mdl.get_desc                     kI       i    !
acl.mdl.get_desc_from_file           ks       i    ! new
acl.mdl.destroy_desc                 k        i    !
acl.mdl.get_num_inputs               k        k    !
acl.mdl.get_num_outputs              k        k    !
acl.mdl.get_input_size_by_index      kk       k    !
acl.mdl.get_output_size_by_index     kk       k    !
acl.mdl.get_input_dims               kk       Oi   !
acl.mdl.get_input_dims_v2            kk       Oi   !
acl.mdl.get_output_dims              kk       Oi   !
acl.mdl.get_cur_output_dims          kk       Oi   !
acl.mdl.get_input_data_type          kk       i    !
acl.mdl.get_output_data_type         kk       i    !
acl.mdl.get_input_format             kk       i    !
acl.mdl.get_output_format            kk       i    !
acl.mdl.get_input_name_by_index      kk       s    !
acl.mdl.get_output_name_by_index     kk       s    !
acl.mdl.get_input_index_by_name      ks       ki   !
acl.mdl.get_output_index_by_name     ks       ki   !
acl.mdl.create_dataset               *        k
acl.mdl.destroy_dataset              k        i    !
acl.mdl.add_dataset_buffer           kk       ki   !
acl.mdl.get_dataset_num_buffers      k        k    !
acl.mdl.get_dataset_buffer           kk       k    !
acl.mdl.set_dataset_tensor_desc      kkk      ki
acl.mdl.get_dataset_tensor_desc      kk       k
acl.mdl.execute                      Ikk      i    !
acl.mdl.execute_async                Ikkk     i    !
acl.mdl.get_dynamic_batch            k        Oi   !
acl.mdl.set_dynamic_batch_size       IkkK     i    !
acl.mdl.get_dynamic_hw               kk       Oi   !
acl.mdl.set_dynamic_hw_size          IkkKK    i    !
acl.mdl.get_input_dynamic_gear_count kk       ki   !
acl.mdl.get_input_dynamic_dims       kkk      Oi   !
acl.mdl.set_input_dynamic_dims       IkkO     i    !
acl.mdl.get_aipp_type                Ik       iki  !
acl.util.numpy_to_ptr                O        k
acl.util.numpy_contiguous_to_ptr     O        kO   from5.0
acl.util.ptr_to_numpy                kOi      O
acl.util.bytes_to_ptr                O        k    after5.0
acl.util.ptr_to_bytes                kk       O    after5.0
acl.util.start_thread                OO       Ki   native
acl.util.stop_thread                 K        i
"""

_RELEASES: Mapping[str, Version] = {
    "new": _NEW,
    "middle": _MIDDLE,
    "after5.0": (5, 1),
    "from5.0": (5, 0),
}
_OWN_TEXTS: Mapping[str, str] = {
    "acl.rt.set_op_execute_time_out": "acl.rt.set_op_execute_timeout args parse failed!"
}

# What comes back beside the code when a call fails, where it is not 0, 0.0 and None by the result
# letters.
_FAILURE_VALUES: Mapping[str, Tuple[Any, ...]] = {
    "acl.rt.stream_query": (0xFFFF,),
    "acl.mdl.get_input_data_type": (-1,),
    "acl.mdl.get_output_data_type": (-1,),
    "acl.mdl.get_input_format": (-1,),
    "acl.mdl.get_output_format": (-1,),
    "acl.get_tensor_desc_type": (-1,),
    "acl.get_tensor_desc_format": (-1,),
    "acl.get_tensor_desc_dim": (-1,),
}
# These give one "i" that is a value, not a code.
_BARE_VALUES = frozenset(name for name, value in _FAILURE_VALUES.items() if value == (-1,))


@dataclass(frozen=True)
class Signature:
    """One function: its full name, argument letters (None:

    looks at none), result letters, and from which CANN.
    """

    name: str
    arguments: Optional[str]
    results: str
    parse_error: Optional[str]
    since: Version

    @property
    def gives_code(self) -> bool:
        """Whether the last (or only) result is a return code."""
        if self.name in _BARE_VALUES or not self.results.endswith("i"):
            return False
        return self.results == "i" or len(self.results) > 1

    def parse(self, values: Sequence[Any]) -> List[Any]:
        """Return the arguments as C gets them, or raise the TypeError that the extension raises.

        Args:
            values: The arguments as Python gave them.

        Returns:
            The arguments, numbers as C's types hold them.

        Raises:
            TypeError: Their number or a kind is wrong, with the extension's own text.
        """
        if self.arguments is None:
            return []
        required, _, optional = self.arguments.partition("|")
        letters = required + optional
        if not len(required) <= len(values) <= len(letters):
            raise TypeError(self.parse_error or _native_arity(self.name, len(letters), len(values)))
        try:
            return [_PARSERS[letter](value) for letter, value in zip(letters, values)]
        except (TypeError, ValueError, OverflowError) as error:
            raise TypeError(self.parse_error or str(error)) from None

    def failure(self, code: int, arguments: Sequence[Any]) -> Any:
        """Return what a Python caller gets when the C call fails with ``code``.

        Args:
            code: The return code.
            arguments: The arguments as `parse` returned them.

        Returns:
            The code alone, or behind the values that stand for nothing.
        """
        if self.name in ("acl.mdl.add_dataset_buffer", "acl.mdl.set_dataset_tensor_desc"):
            return arguments[0], code
        if self.name == "acl.mdl.get_input_dynamic_dims":
            return None, code
        letters = self.results
        if self.gives_code:
            letters = self.results[:-1]
        values = _FAILURE_VALUES.get(self.name) or tuple(_EMPTY[letter]() for letter in letters)
        if self.gives_code and values:
            return (*values, code)
        if self.gives_code:
            return code
        if values:
            return values[0]
        return None


def _wrapping(bits: int, exact: bool) -> Callable[[Any], int]:
    def parse(value: Any) -> int:
        if exact and not isinstance(value, int):
            raise TypeError("an integer is required")
        return int(operator.index(value)) % (1 << bits)

    return parse


def _checked(low: int, high: int) -> Callable[[Any], int]:
    def parse(value: Any) -> int:
        number = int(operator.index(value))
        if not low <= number <= high:
            raise OverflowError("out of range")
        return number

    return parse


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("str expected")
    if "\0" in value:
        raise ValueError("embedded null character")
    return value


def _number(value: Any) -> float:
    if isinstance(value, (str, bytes)):
        raise TypeError("must be real number")
    return float(value)


_PARSERS: Mapping[str, Callable[[Any], Any]] = {
    "k": _wrapping(64, exact=True),
    "K": _wrapping(64, exact=True),
    "I": _wrapping(32, exact=False),
    "H": _wrapping(16, exact=False),
    "B": _wrapping(8, exact=False),
    "L": _checked(-(1 << 63), (1 << 63) - 1),
    "l": _checked(-(1 << 63), (1 << 63) - 1),
    "i": _checked(-(1 << 31), (1 << 31) - 1),
    "h": _checked(-(1 << 15), (1 << 15) - 1),
    "b": _checked(0, 255),
    "f": _number,
    "s": _text,
    "O": lambda value: value,
}
_EMPTY: Mapping[str, Callable[[], Any]] = {
    "k": int,
    "K": int,
    "I": int,
    "H": int,
    "L": int,
    "i": int,
    "f": float,
    "s": lambda: None,
    "O": dict,
    "-": lambda: None,
}


def _native_arity(name: str, wanted: int, got: int) -> str:
    short = name.rpartition(".")[2]
    return f"function {short} takes exactly {wanted} arguments ({got} given)"


def _read(line: str) -> Signature:
    name, arguments, results, *marks = line.split()
    text: Optional[str] = f"{name} args parse failed"
    if "!" in marks:
        text = f"{text}!"
    text = _OWN_TEXTS.get(name, text)
    letters: Optional[str] = arguments
    if arguments == "*":
        letters = None
    if arguments == "*" or "native" in marks:
        text = None
    since = next((_RELEASES[mark] for mark in marks if mark in _RELEASES), (0, 0))
    return Signature(name, letters, results, text, since)


SIGNATURES: Dict[str, Signature] = {
    row.name: row for row in map(_read, _TABLE.strip().splitlines())
}
"""Every function of the stand-in by its full name."""


def offered(version: Version) -> Dict[str, Signature]:
    """Return the functions that this CANN release has.

    Args:
        version: CANN's release, such as (6, 0).

    Returns:
        The signatures by full name.
    """
    return {name: row for name, row in SIGNATURES.items() if row.since <= version}
