"""What each of CANN's return and error codes means, its usual cause, and what to do next. Data
only.

Names and meanings are facts of the public headers and documentation of CANN 5 to 9; causes and
remedies are the kit's own words. A code that is listed without a meaning says so.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Mapping, Optional, Tuple, Union

from crnn.cann import (
    ATC_FRAMEWORK_ONNX,
    ATC_MAX_GEARS,
    ATC_MIN_GEARS,
    DEVICE_GROUP,
    DRIVER_VERSION_FILE,
    DYNAMIC_INPUT_MIN_BYTES,
    DYNAMIC_INPUT_NAME,
)

NO_MEANING = "no documented meaning"


@dataclass(frozen=True)
class Code:
    """A code that CANN gives out:

    its documented name (empty if it has none), meaning, usual cause, what to do.
    """

    code: str
    name: str
    meaning: str
    cause: str
    remedy: str


_LOG = (
    "Repeat the command with ASCEND_SLOG_PRINT_TO_STDOUT=1 ASCEND_GLOBAL_LOG_LEVEL=1, or read the"
    " newest file: ls -t ~/ascend/log/debug/plog | head -1"
)
_REPORT = (
    f"{_LOG}. If the chip is healthy (npu-smi info) and this comes again, take the log to the"
    " vendor."
)
_DEVICE_LOG = f"Look for the first ERROR line in the device's part of the log. {_LOG}"
_KIT_FAULT = f"With the kit's own commands this is a bug of the kit: report it with the log. {_LOG}"
_INSPECT = "See what the file is: crnn inspect MODEL.om"
_DOCTOR = "See what the machine lacks: crnn doctor"
_MEMORY = (
    "See who holds the memory: npu-smi info. End the other processes, or use a smaller --batchsize,"
    " fewer gears or another --device."
)
_HEALTH = (
    "Check the chip: npu-smi info (Health must be OK). If it is not, restart the machine and try"
    " again."
)
_BUFFERS = (
    "Allocate what get_input_size_by_index and get_output_size_by_index say, the largest gear"
    " included."
)
_GEARS = (
    "List the gears: crnn inspect MODEL.om, and give one of them, or compile again with --batch"
    " 1,4,8,16."
)
_AIPP = (
    "See whether the model has AIPP: crnn inspect MODEL.om. Compile again with --aipp if it should."
)
_ACL_JSON = "Start without a configuration file, or mend it (plain JSON, as acl.init documents it)."
_CALLBACK = (
    "Call subscribe_report once for the stream, with the thread that loops in process_report."
)
_CAST_LIMIT = f"The kit does not use this call; it comes from other code in the process. {_LOG}"
_PROFILING = f"Switch profiling off (no profiler in acl.json, no msprof around the command). {_LOG}"
_COMPILE_AGAIN = "Compile the model again with this machine's CANN: ./atc_crnn.sh model.onnx name"

_Row = Tuple[Union[int, str], str, str, str, str]

_ACL_ROWS: Tuple[_Row, ...] = (
    (0, "ACL_SUCCESS", "success", "Nothing failed.", "Nothing to do."),
    (
        100000,
        "ACL_ERROR_INVALID_PARAM",
        "invalid parameter",
        "A null or released handle, a size of 0, an index past the end, or a batch of 0.",
        _KIT_FAULT,
    ),
    (
        100001,
        "ACL_ERROR_UNINITIALIZE",
        "ACL is not initialised",
        "A call before acl.init, or after acl.finalize.",
        "Call acl.init first, once per process; after a fork start the process anew (spawn).",
    ),
    (
        100002,
        "ACL_ERROR_REPEAT_INITIALIZE",
        "ACL is initialised already",
        "Another part of this process has called acl.init; newer releases count the calls instead.",
        "It can be ignored; whoever initialised first finalises.",
    ),
    (
        100003,
        "ACL_ERROR_INVALID_FILE",
        "invalid file",
        "A path given to ACL (acl.json, a model) does not exist or cannot be read.",
        f"Check the path and its permissions: ls -l FILE. {_INSPECT}",
    ),
    (
        100004,
        "ACL_ERROR_WRITE_FILE",
        "writing a file failed",
        "The disk is full, or the folder for dumps or logs is not writable.",
        "Check the room and the rights: df -h . ~/ascend; ls -ld ~/ascend",
    ),
    (
        100005,
        "ACL_ERROR_INVALID_FILE_SIZE",
        "file size invalid",
        "A file given to ACL (usually acl.json) is empty or too large.",
        _ACL_JSON,
    ),
    (
        100006,
        "ACL_ERROR_PARSE_FILE",
        "a file cannot be parsed",
        "acl.json is not valid JSON.",
        f"{_ACL_JSON} Check it: python3 -m json.tool acl.json",
    ),
    (
        100007,
        "ACL_ERROR_FILE_MISSING_ATTR",
        "an attribute is missing in a file",
        "acl.json lacks a key that its section needs.",
        _ACL_JSON,
    ),
    (
        100008,
        "ACL_ERROR_FILE_ATTR_INVALID",
        "an attribute in a file is invalid",
        "A value in acl.json is outside its range.",
        _ACL_JSON,
    ),
    (
        100009,
        "ACL_ERROR_INVALID_DUMP_CONFIG",
        "invalid dump configuration",
        "The dump section of acl.json is wrong.",
        f"{_ACL_JSON} Remove its dump section first.",
    ),
    (
        100010,
        "ACL_ERROR_INVALID_PROFILING_CONFIG",
        "invalid profiling configuration",
        "The profiler section of acl.json is wrong.",
        f"{_ACL_JSON} Remove its profiler section first.",
    ),
    (
        100011,
        "ACL_ERROR_INVALID_MODEL_ID",
        "invalid model id",
        "The model was never loaded, or has been unloaded.",
        _KIT_FAULT,
    ),
    (
        100012,
        "ACL_ERROR_DESERIALIZE_MODEL",
        "the model cannot be deserialised",
        "The file is damaged, or written by a CANN newer than the runtime.",
        f"{_INSPECT}, then {_COMPILE_AGAIN[0].lower()}{_COMPILE_AGAIN[1:]}",
    ),
    (
        100013,
        "ACL_ERROR_PARSE_MODEL",
        "the model cannot be parsed",
        "The file is damaged or not an OM.",
        f"{_INSPECT}, and copy or compile it again.",
    ),
    (
        100014,
        "ACL_ERROR_READ_MODEL_FAILURE",
        "the model cannot be read",
        "The file does not exist or the user may not read it.",
        "Check the path and its permissions: ls -l MODEL.om",
    ),
    (
        100015,
        "ACL_ERROR_MODEL_SIZE_INVALID",
        "invalid model size",
        "The file is cut short, or a Git LFS pointer.",
        f"{_INSPECT}, and copy it again (git lfs pull for a pointer).",
    ),
    (
        100016,
        "ACL_ERROR_MODEL_MISSING_ATTR",
        "an attribute is missing in the model",
        "The OM was written by another generation of CANN.",
        _COMPILE_AGAIN,
    ),
    (
        100017,
        "ACL_ERROR_MODEL_INPUT_NOT_MATCH",
        "the input does not match the model",
        "Number or sizes of the input buffers differ from the model's.",
        f"{_INSPECT} and compare its inputs with the spec; {_BUFFERS[0].lower()}{_BUFFERS[1:]}",
    ),
    (
        100018,
        "ACL_ERROR_MODEL_OUTPUT_NOT_MATCH",
        "the output does not match the model",
        "Number or sizes of the output buffers differ from the model's.",
        f"{_INSPECT} and compare its outputs; {_BUFFERS[0].lower()}{_BUFFERS[1:]}",
    ),
    (
        100019,
        "ACL_ERROR_MODEL_NOT_DYNAMIC",
        "the model is not dynamic",
        "A gear was set on a model compiled for one static batch.",
        _GEARS,
    ),
    (
        100020,
        "ACL_ERROR_OP_TYPE_NOT_MATCH",
        "operator type does not match",
        "A single-operator call names an operator that is not loaded.",
        _CAST_LIMIT,
    ),
    (
        100021,
        "ACL_ERROR_OP_INPUT_NOT_MATCH",
        "operator input does not match",
        "A single-operator call's inputs fit no loaded operator.",
        _CAST_LIMIT,
    ),
    (
        100022,
        "ACL_ERROR_OP_OUTPUT_NOT_MATCH",
        "operator output does not match",
        "A single-operator call's outputs fit no loaded operator.",
        _CAST_LIMIT,
    ),
    (
        100023,
        "ACL_ERROR_OP_ATTR_NOT_MATCH",
        "operator attribute does not match",
        "A single-operator call's attributes fit no loaded operator.",
        _CAST_LIMIT,
    ),
    (
        100024,
        "ACL_ERROR_OP_NOT_FOUND",
        "operator not found",
        "The operator package is missing or ASCEND_OPP_PATH does not point to it.",
        f"echo $ASCEND_OPP_PATH, and source CANN's set_env.sh again. {_DOCTOR}",
    ),
    (
        100025,
        "ACL_ERROR_OP_LOAD_FAILED",
        "an operator cannot be loaded",
        "The operator package is damaged or does not fit the runtime.",
        f"Install toolkit and operator package of one release. {_DOCTOR}",
    ),
    (
        100026,
        "ACL_ERROR_UNSUPPORTED_DATA_TYPE",
        "data type not supported",
        "The chip or the operator does not know this element type (bfloat16 on a 310, for one).",
        f"{_INSPECT} and compile with float32, float16 or uint8 inputs.",
    ),
    (
        100027,
        "ACL_ERROR_FORMAT_NOT_MATCH",
        "format does not match",
        "The tensor's layout differs from what the operator wants.",
        f"{_INSPECT}; compile with --input_format=NCHW.",
    ),
    (
        100033,
        "ACL_ERROR_REPEAT_SUBSCRIBE",
        "subscribed already",
        "subscribe_report was called twice for one stream.",
        _CALLBACK,
    ),
    (
        100034,
        "ACL_ERROR_STREAM_NOT_SUBSCRIBE",
        "the stream is not subscribed",
        "A callback was launched on a stream that no thread listens to.",
        _CALLBACK,
    ),
    (
        100035,
        "ACL_ERROR_THREAD_NOT_SUBSCRIBE",
        "the thread is not subscribed",
        "process_report runs in a thread that no stream was subscribed to.",
        _CALLBACK,
    ),
    (
        100036,
        "ACL_ERROR_WAIT_CALLBACK_TIMEOUT",
        "no callback arrived in time",
        "process_report waited its time and nothing came.",
        "This is normal in a loop: call process_report again.",
    ),
    (
        100037,
        "ACL_ERROR_REPEAT_FINALIZE",
        "ACL is finalised already",
        "acl.finalize was called twice.",
        (
            "Let only the part that called acl.init call acl.finalize, once, before the interpreter"
            " ends."
        ),
    ),
    (
        100038,
        "ACL_ERROR_NOT_STATIC_AIPP",
        "the model's AIPP is not static",
        "get_first_aipp_info was asked of a model with dynamic AIPP.",
        _AIPP,
    ),
    (
        100039,
        "ACL_ERROR_COMPILING_STUB_MODE",
        "running against stub libraries",
        (
            "LD_LIBRARY_PATH holds a devlib folder: its libraries serve to build and compile, not"
            " to run."
        ),
        "echo $LD_LIBRARY_PATH, take every devlib out of it, and source CANN's set_env.sh again.",
    ),
    (
        107000,
        "ACL_ERROR_RT_PARAM_INVALID",
        "invalid parameter (runtime)",
        "A null pointer, a size of 0, or a copy longer than its destination.",
        _KIT_FAULT,
    ),
    (
        107001,
        "ACL_ERROR_RT_INVALID_DEVICEID",
        "invalid device id",
        (
            "There are fewer devices than the number given, or ASCEND_RT_VISIBLE_DEVICES hides it"
            " (ids start again at 0)."
        ),
        (
            "Count them: npu-smi info; echo $ASCEND_RT_VISIBLE_DEVICES. Then give --device a number"
            " from 0 up."
        ),
    ),
    (
        107002,
        "ACL_ERROR_RT_CONTEXT_NULL",
        "no current context",
        "This thread has called neither set_device nor set_context.",
        "Call acl.rt.set_context(context) at the start of every thread that uses ACL.",
    ),
    (
        107003,
        "ACL_ERROR_RT_STREAM_CONTEXT",
        "the stream is not in the current context",
        "The stream was made under another context than the current one.",
        "Call acl.rt.set_context with the context that made the stream.",
    ),
    (
        107004,
        "ACL_ERROR_RT_MODEL_CONTEXT",
        "the model is not in the current context",
        "The model was loaded under another context than the current one.",
        "Load, run and unload a model under one context; call acl.rt.set_context before each.",
    ),
    (
        107008,
        "ACL_ERROR_RT_ADDR_UNALIGNED",
        "address not aligned",
        "Device memory was cut up by hand, off the 64-byte boundary.",
        "Use acl.rt.malloc's own pointers, or start every block on a multiple of 64.",
    ),
    (
        107011,
        "ACL_ERROR_RT_STREAM_SUBSCRIBE",
        "subscribing the stream failed",
        "The stream is subscribed already, or destroyed.",
        _CALLBACK,
    ),
    (
        107012,
        "ACL_ERROR_RT_THREAD_SUBSCRIBE",
        "subscribing the thread failed",
        "Too many threads listen (32 at most), or the thread has ended.",
        _CALLBACK,
    ),
    (
        107015,
        "ACL_ERROR_RT_STREAM_NO_CB_REG",
        "no callback is registered to the stream",
        "launch_callback was called before subscribe_report.",
        _CALLBACK,
    ),
    (
        107016,
        "ACL_ERROR_RT_INVALID_MEMORY_TYPE",
        "invalid memory type",
        "memcpy_async met ordinary host memory, or host and device pointers were mixed up.",
        "Copy asynchronously only from memory of acl.rt.malloc_host, and give the kind that fits.",
    ),
    (
        107017,
        "ACL_ERROR_RT_INVALID_HANDLE",
        "invalid handle",
        "A stream, event or other handle was destroyed before its last use.",
        _KIT_FAULT,
    ),
    (
        107019,
        "ACL_ERROR_RT_WAIT_TIMEOUT",
        "a wait timed out",
        "The device did not finish in the time given.",
        f"{_HEALTH} Otherwise give more time. {_LOG}",
    ),
    (
        107020,
        "ACL_ERROR_RT_TASK_TIMEOUT",
        "a task timed out",
        "An operator ran longer than the limit, or the chip hangs.",
        f"{_HEALTH} {_DEVICE_LOG}",
    ),
    (
        145000,
        "ACL_ERROR_GE_PARAM_INVALID",
        "invalid parameter (GE)",
        (
            "Most often a model buffer that is too small, or an OM built for another chip (then the"
            " message says E10001)."
        ),
        f"{_INSPECT} and compare its SoC with npu-smi info; {_BUFFERS[0].lower()}{_BUFFERS[1:]}",
    ),
    (
        145001,
        "ACL_ERROR_GE_EXEC_NOT_INIT",
        "the executor is not initialised",
        "A model call before acl.init, or after acl.finalize.",
        "Call acl.init and acl.rt.set_device first.",
    ),
    (
        145002,
        "ACL_ERROR_GE_EXEC_MODEL_PATH_INVALID",
        "invalid model path",
        "The OM does not exist, cannot be read, or its path holds characters that CANN refuses.",
        "Check it: ls -l MODEL.om. Move it to a path of letters, digits and _ - . only.",
    ),
    (
        145003,
        "ACL_ERROR_GE_EXEC_MODEL_ID_INVALID",
        "invalid model id (GE)",
        "The model was never loaded, or has been unloaded, or belongs to another process.",
        _KIT_FAULT,
    ),
    (
        145006,
        "ACL_ERROR_GE_EXEC_MODEL_DATA_SIZE_INVALID",
        "invalid size of the model's data",
        "The OM is cut short or a Git LFS pointer: its length does not fit its header.",
        f"{_INSPECT}, and copy it again (git lfs pull for a pointer).",
    ),
    (
        145007,
        "ACL_ERROR_GE_EXEC_MODEL_ADDR_INVALID",
        "invalid address of the model's data",
        "load_from_mem was given a pointer to nothing, or memory that was freed meanwhile.",
        _KIT_FAULT,
    ),
    (
        145008,
        "ACL_ERROR_GE_EXEC_MODEL_QUEUE_ID_INVALID",
        "invalid queue id",
        "A queue model was loaded with a queue that does not exist.",
        _CAST_LIMIT,
    ),
    (
        145009,
        "ACL_ERROR_GE_EXEC_LOAD_MODEL_REPEATED",
        "the model is loaded already",
        "The same model id was loaded twice.",
        "Unload it first, or load the file again under an id of its own.",
    ),
    (
        145011,
        "ACL_ERROR_GE_DYNAMIC_INPUT_ADDR_INVALID",
        "invalid address of the gear input",
        f"The dataset has no buffer for {DYNAMIC_INPUT_NAME} when the gear is set.",
        f"Add a device buffer for {DYNAMIC_INPUT_NAME} to the input dataset first.",
    ),
    (
        145012,
        "ACL_ERROR_GE_DYNAMIC_INPUT_LENGTH_INVALID",
        "the gear input's buffer is too short",
        f"The buffer for {DYNAMIC_INPUT_NAME} is smaller than GE writes.",
        (
            "Give it the size that get_input_size_by_index says, at least"
            f" {DYNAMIC_INPUT_MIN_BYTES} bytes."
        ),
    ),
    (
        145013,
        "ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID",
        "the batch is not one of the gears",
        "set_dynamic_batch_size was given a number that the OM was not compiled for.",
        _GEARS,
    ),
    (
        145014,
        "ACL_ERROR_GE_AIPP_BATCH_EMPTY",
        "AIPP's batch parameters are empty",
        "Dynamic AIPP was run before its parameters were set.",
        _AIPP,
    ),
    (
        145015,
        "ACL_ERROR_GE_AIPP_NOT_EXIST",
        "the model has no AIPP",
        (
            "AIPP was asked for on an input without it; get_first_aipp_info answers so for every"
            " ordinary model."
        ),
        _AIPP,
    ),
    (
        145016,
        "ACL_ERROR_GE_AIPP_MODE_INVALID",
        "invalid AIPP mode",
        "A dynamic AIPP call on a static one, or the reverse.",
        _AIPP,
    ),
    (
        145017,
        "ACL_ERROR_GE_OP_TASK_TYPE_INVALID",
        "invalid task type of an operator",
        "The OM holds a kind of task that this runtime or chip does not know.",
        f"{_INSPECT} for its SoC and version. {_COMPILE_AGAIN}",
    ),
    (
        145018,
        "ACL_ERROR_GE_OP_KERNEL_TYPE_INVALID",
        "invalid kernel type of an operator",
        "The OM holds a kind of kernel that this runtime or chip does not know.",
        f"{_INSPECT} for its SoC and version. {_COMPILE_AGAIN}",
    ),
    (
        145019,
        "ACL_ERROR_GE_PLGMGR_PATH_INVALID",
        "invalid plug-in path",
        "A library of CANN is not where the environment says.",
        f"echo $LD_LIBRARY_PATH, and source CANN's set_env.sh again. {_DOCTOR}",
    ),
    (
        145020,
        "ACL_ERROR_GE_FORMAT_INVALID",
        "invalid format",
        "A tensor's layout is none that GE knows.",
        f"{_INSPECT}. {_COMPILE_AGAIN}",
    ),
    (
        145021,
        "ACL_ERROR_GE_SHAPE_INVALID",
        "invalid shape",
        "A tensor's shape does not fit the model.",
        f"{_INSPECT} and compare its input shape with the spec.",
    ),
    (
        145022,
        "ACL_ERROR_GE_DATATYPE_INVALID",
        "invalid data type",
        "A tensor's element type does not fit the model.",
        f"{_INSPECT} and compare its input type with the spec (uint8 with AIPP).",
    ),
    (
        148046,
        "ACL_ERROR_PROF_REPEAT_SUBSCRIBE",
        "profiling is subscribed already",
        "One model was subscribed to profiling twice.",
        _PROFILING,
    ),
    (
        148047,
        "ACL_ERROR_PROF_API_CONFLICT",
        "profiling calls conflict",
        "Two ways of profiling are in use at once.",
        _PROFILING,
    ),
    (
        148048,
        "ACL_ERROR_INVALID_MAX_OPQUEUE_NUM_CONFIG",
        "invalid operator queue number",
        "max_opqueue_num in acl.json is outside its range.",
        _ACL_JSON,
    ),
    (
        148049,
        "ACL_ERROR_INVALID_OPP_PATH",
        "invalid operator package path",
        "ASCEND_OPP_PATH is not set or points to nothing.",
        f"ls -d $ASCEND_OPP_PATH, and source CANN's set_env.sh again. {_DOCTOR}",
    ),
    (
        148050,
        "ACL_ERROR_OP_UNSUPPORTED_DYNAMIC",
        "the operator does not support dynamic shapes",
        "A single-operator call asked for a shape that the operator was not built for.",
        "Compile for a static batch or for gears: ./atc_crnn.sh model.onnx name --batch 1,4,8,16",
    ),
    (
        148051,
        "ACL_ERROR_RELATIVE_RESOURCE_NOT_CLEARED",
        "something that hangs on it is not released yet",
        (
            "A parent was released before its child (a dataset before its buffers, a context before"
            " its streams)."
        ),
        _KIT_FAULT,
    ),
    (
        148052,
        "ACL_ERROR_UNSUPPORTED_JPEG",
        "this kind of JPEG is not supported",
        "The chip's decoder was given a progressive or arithmetic-coded JPEG.",
        "Decode images on the host, as the kit does.",
    ),
    (
        148053,
        "ACL_ERROR_INVALID_BUNDLE_MODEL_ID",
        "invalid bundle model id",
        "A bundle call was given the id of an ordinary model, or of one that was unloaded.",
        _CAST_LIMIT,
    ),
    (
        200000,
        "ACL_ERROR_BAD_ALLOC",
        "host memory cannot be allocated",
        "The host is out of memory.",
        "See what is left: free -m; ulimit -v. Use a smaller --batchsize.",
    ),
    (
        200001,
        "ACL_ERROR_API_NOT_SUPPORT",
        "this call is not supported (here)",
        (
            "The call does not exist for this chip or form, or may not be made at this place"
            " (inside a callback)."
        ),
        f"{_DOCTOR}. {_LOG}",
    ),
    (
        200002,
        "ACL_ERROR_INVALID_DEVICE",
        "invalid device",
        "The device does not exist, or the current one is not the one that owns the resource.",
        "Count them: npu-smi info; echo $ASCEND_RT_VISIBLE_DEVICES",
    ),
    (
        200003,
        "ACL_ERROR_MEMORY_ADDRESS_UNALIGNED",
        "memory address not aligned",
        "Device memory was cut up by hand, off its boundary.",
        "Use acl.rt.malloc's own pointers, or start every block on a multiple of 64.",
    ),
    (
        200004,
        "ACL_ERROR_RESOURCE_NOT_MATCH",
        "resources do not match",
        "Stream, context and model come from different devices or contexts.",
        (
            "Make and use them under one context; call acl.rt.set_context at the start of every"
            " thread."
        ),
    ),
    (
        200005,
        "ACL_ERROR_INVALID_RESOURCE_HANDLE",
        "invalid resource handle",
        "A handle was released before its last use.",
        _KIT_FAULT,
    ),
    (
        200006,
        "ACL_ERROR_FEATURE_UNSUPPORTED",
        "feature not supported",
        "This chip, driver or CANN lacks what was asked for.",
        f"{_DOCTOR} and compare CANN's version with the driver's.",
    ),
    (
        200007,
        "ACL_ERROR_PROF_MODULES_UNSUPPORTED",
        "profiling of these modules is not supported",
        "The profiler was asked for modules that this chip does not have.",
        _PROFILING,
    ),
    (
        207000,
        "ACL_ERROR_RT_FEATURE_NOT_SUPPORT",
        "feature not supported (runtime)",
        "This chip or driver lacks what was asked for.",
        f"{_DOCTOR} and compare CANN's version with the driver's.",
    ),
    (
        207001,
        "ACL_ERROR_RT_MEMORY_ALLOCATION",
        "out of memory",
        (
            "The device has no room for the model or its buffers, often because another process"
            " holds it."
        ),
        _MEMORY,
    ),
    (
        207002,
        "ACL_ERROR_RT_MEMORY_FREE",
        "memory cannot be freed",
        "A pointer was freed twice, or never came from acl.rt.malloc.",
        _KIT_FAULT,
    ),
    (
        207003,
        "ACL_ERROR_RT_AICORE_OVER_FLOW",
        "overflow in the AI Core",
        "A number left the range of float16.",
        (
            "Compile again with higher precision: --precision allow_mix_precision or"
            " must_keep_origin_dtype."
        ),
    ),
    (
        207004,
        "ACL_ERROR_RT_NO_DEVICE",
        "no device",
        "The driver is not loaded, or a container does not map the chips.",
        f"ls -l /dev/davinci*; npu-smi info. {_DOCTOR}",
    ),
    (
        207005,
        "ACL_ERROR_RT_RESOURCE_ALLOC_FAIL",
        "a resource cannot be allocated",
        "Too many streams, events or models are alive on the device.",
        "End other processes on the chip (npu-smi info), or use another --device.",
    ),
    (
        207006,
        "ACL_ERROR_RT_NO_PERMISSION",
        "no permission",
        f"The user is not in the group {DEVICE_GROUP}, or another container holds the chip.",
        f"id -nG; sudo usermod -aG {DEVICE_GROUP} $USER and log in again; ls -l /dev/davinci*",
    ),
    (
        207007,
        "ACL_ERROR_RT_NO_EVENT_RESOURCE",
        "no event is left",
        "All events of the device are in use (about 1023 on a 310P).",
        "Use fewer runners per process, or another --device.",
    ),
    (
        207008,
        "ACL_ERROR_RT_NO_STREAM_RESOURCE",
        "no stream is left",
        "All streams of the device are in use.",
        "End other processes on the chip (npu-smi info), or use another --device.",
    ),
    (
        207010,
        "ACL_ERROR_RT_NO_MODEL_RESOURCE",
        "no model slot is left",
        "Too many models are loaded on the device.",
        "Use fewer OMs of a static set, or end other processes on the chip (npu-smi info).",
    ),
    (
        207012,
        "ACL_ERROR_RT_OVER_LIMIT",
        "over a limit",
        "More of a resource was asked for than the device has.",
        f"Use fewer runners, slots or models. {_LOG}",
    ),
    (
        207015,
        "ACL_ERROR_RT_REPEATED_INIT",
        "initialised already (runtime)",
        "A part of the runtime was initialised twice.",
        "It can be ignored if the next calls succeed; otherwise initialise in one place only.",
    ),
    (
        207018,
        "ACL_ERROR_RT_DEVICE_OOM",
        "the device is out of memory",
        "A running task found no memory left on the device.",
        _MEMORY,
    ),
    (
        245000,
        "ACL_ERROR_GE_MEMORY_ALLOCATION",
        "memory cannot be allocated (GE)",
        "Host or device have no room for the model.",
        _MEMORY,
    ),
    (
        245001,
        "ACL_ERROR_GE_MEMORY_OPERATE_FAILED",
        "a memory operation failed (GE)",
        "Setting or copying memory failed: a wrong address, or no memory left.",
        f"{_MEMORY} {_LOG}",
    ),
    (
        245002,
        "ACL_ERROR_GE_DEVICE_MEMORY_OPERATE_FAILED",
        "a device memory operation failed (GE)",
        "The device has no memory left for the model.",
        _MEMORY,
    ),
    (
        300000,
        "ACL_ERROR_STORAGE_OVER_LIMIT",
        "storage over its limit",
        "The disk, or the quota for profiling or dump data, is full.",
        "df -h . ~/ascend, and remove old dumps and logs.",
    ),
    (
        500000,
        "ACL_ERROR_INTERNAL_ERROR",
        "internal error of ACL",
        "A fault inside CANN; the log has the reason.",
        _REPORT,
    ),
    (
        500001,
        "ACL_ERROR_FAILURE",
        "general failure of ACL",
        "A fault inside CANN; the log has the reason.",
        _REPORT,
    ),
    (
        500002,
        "ACL_ERROR_GE_FAILURE",
        "failure in GE",
        "A fault in the graph engine; the log has the reason.",
        _REPORT,
    ),
    (
        500003,
        "ACL_ERROR_RT_FAILURE",
        "failure in the runtime",
        "A fault in the runtime; the log has the reason.",
        _REPORT,
    ),
    (
        500004,
        "ACL_ERROR_DRV_FAILURE",
        "failure in the driver",
        "The driver answered with an error, or does not fit this CANN.",
        f"{_HEALTH} cat {DRIVER_VERSION_FILE}. {_DOCTOR}",
    ),
    (
        500005,
        "ACL_ERROR_PROFILING_FAILURE",
        "failure in profiling",
        "The profiler could not start or write.",
        _PROFILING,
    ),
    (
        507000,
        "ACL_ERROR_RT_INTERNAL_ERROR",
        "internal error of the runtime",
        "A fault in the runtime or driver; the log has the reason.",
        _REPORT,
    ),
    (
        507001,
        "ACL_ERROR_RT_TS_ERROR",
        "internal error of the task scheduler",
        "The chip's scheduler failed.",
        f"{_HEALTH} {_REPORT}",
    ),
    (
        507002,
        "ACL_ERROR_RT_STREAM_TASK_FULL",
        "the stream's task queue is full",
        "More work was queued than the stream holds.",
        "Synchronise the stream more often; the kit's ring of slots does so by itself.",
    ),
    (
        507008,
        "ACL_ERROR_RT_SOC_VERSION",
        "wrong chip",
        "The OM or the kernels were built for another chip than this one.",
        f"{_INSPECT} and compare its SoC with npu-smi info; compile again with --soc.",
    ),
    (
        507010,
        "ACL_ERROR_RT_LOST_HEARTBEAT",
        "the scheduler's heartbeat is lost",
        "The chip hangs or was reset.",
        f"{_HEALTH} {_DEVICE_LOG}",
    ),
    (
        507011,
        "ACL_ERROR_RT_MODEL_EXECUTE",
        "the model's execution failed",
        "An operator failed on the device; this code does not say which.",
        _DEVICE_LOG,
    ),
    (
        507012,
        "ACL_ERROR_RT_REPORT_TIMEOUT",
        "the report timed out",
        "The device did not answer in time.",
        f"{_HEALTH} {_DEVICE_LOG}",
    ),
    (
        507013,
        "ACL_ERROR_RT_SYS_DMA",
        "DMA error",
        "A copy between host and device failed: freed memory, or the bus.",
        f"{_HEALTH} {_DEVICE_LOG}",
    ),
    (
        507014,
        "ACL_ERROR_RT_AICORE_TIMEOUT",
        "an AI Core operator timed out",
        "An operator hangs or is far too large.",
        f"{_HEALTH} {_DEVICE_LOG} Try a smaller batch.",
    ),
    (
        507015,
        "ACL_ERROR_RT_AICORE_EXCEPTION",
        "exception in the AI Core",
        (
            "An operator read or wrote outside its memory, often a buffer that is too short for the"
            " gear."
        ),
        f"{_BUFFERS} {_DEVICE_LOG}",
    ),
    (
        507016,
        "ACL_ERROR_RT_AICORE_TRAP_EXCEPTION",
        "trap in the AI Core",
        "An operator stopped itself on a check.",
        _DEVICE_LOG,
    ),
    (
        507017,
        "ACL_ERROR_RT_AICPU_TIMEOUT",
        "an AI CPU operator timed out",
        "An operator on the chip's CPU hangs.",
        f"{_HEALTH} {_DEVICE_LOG}",
    ),
    (
        507018,
        "ACL_ERROR_RT_AICPU_EXCEPTION",
        "exception in the AI CPU",
        "An operator on the chip's CPU failed, or the AI CPU package is missing on the device.",
        f"echo $ASCEND_AICPU_PATH. {_DEVICE_LOG}",
    ),
    (
        507033,
        "ACL_ERROR_RT_DEV_SETUP_ERROR",
        "the device cannot be set up",
        (
            "Driver not loaded or of another release, no permission, or a container without the"
            " device nodes."
        ),
        f"npu-smi info; ls -l /dev/davinci*; id -nG. {_DOCTOR}",
    ),
    (
        507034,
        "ACL_ERROR_RT_VECTOR_CORE_TIMEOUT",
        "a vector core operator timed out",
        "An operator hangs or is far too large.",
        f"{_HEALTH} {_DEVICE_LOG}",
    ),
    (
        507035,
        "ACL_ERROR_RT_VECTOR_CORE_EXCEPTION",
        "exception in the vector core",
        "An operator read or wrote outside its memory.",
        f"{_BUFFERS} {_DEVICE_LOG}",
    ),
    (
        507036,
        "ACL_ERROR_RT_VECTOR_CORE_TRAP_EXCEPTION",
        "trap in the vector core",
        "An operator stopped itself on a check.",
        _DEVICE_LOG,
    ),
    (
        507042,
        "ACL_ERROR_RT_AICORE_TRAP_READ_OVERFLOW",
        "AI Core read outside its memory",
        "An operator read past the end of a buffer.",
        f"{_BUFFERS} {_DEVICE_LOG}",
    ),
    (
        507043,
        "ACL_ERROR_RT_AICORE_TRAP_WRITE_OVERFLOW",
        "AI Core wrote outside its memory",
        "An operator wrote past the end of a buffer.",
        f"{_BUFFERS} {_DEVICE_LOG}",
    ),
    (
        507044,
        "ACL_ERROR_RT_VECTOR_CORE_TRAP_READ_OVERFLOW",
        "vector core read outside its memory",
        "An operator read past the end of a buffer.",
        f"{_BUFFERS} {_DEVICE_LOG}",
    ),
    (
        507045,
        "ACL_ERROR_RT_VECTOR_CORE_TRAP_WRITE_OVERFLOW",
        "vector core wrote outside its memory",
        "An operator wrote past the end of a buffer.",
        f"{_BUFFERS} {_DEVICE_LOG}",
    ),
    (
        507046,
        "ACL_ERROR_RT_STREAM_SYNC_TIMEOUT",
        "synchronising a stream timed out",
        "The stream's work did not end in the time given.",
        f"{_HEALTH} {_DEVICE_LOG}",
    ),
    (
        507047,
        "ACL_ERROR_RT_EVENT_SYNC_TIMEOUT",
        "synchronising an event timed out",
        "The event did not come in the time given.",
        f"{_HEALTH} {_DEVICE_LOG}",
    ),
    (
        507051,
        "ACL_ERROR_RT_SEND_MSG",
        "a message to the device cannot be sent",
        "The channel between host and device (HDC) failed.",
        f"ls -l /dev/hisi_hdc. {_HEALTH}",
    ),
    (
        507052,
        "ACL_ERROR_RT_COPY_DATA",
        "data cannot be copied",
        "The copy between host and device failed.",
        f"{_HEALTH} {_DEVICE_LOG}",
    ),
    (
        507053,
        "ACL_ERROR_RT_DEVICE_MEM_ERROR",
        "device memory error",
        "The device's memory is faulty.",
        f"{_HEALTH} If it comes again, the hardware needs service.",
    ),
    (
        507054,
        "ACL_ERROR_RT_HBM_MULTI_BIT_ECC_ERROR",
        "multi-bit ECC error in the device's HBM",
        "The device's memory is faulty.",
        f"{_HEALTH} If it comes again, the hardware needs service.",
    ),
    (
        507899,
        "ACL_ERROR_RT_DRV_INTERNAL_ERROR",
        "internal error of the driver",
        "The driver failed, or does not fit this CANN.",
        f"cat {DRIVER_VERSION_FILE}; npu-smi info; dmesg | tail. {_DOCTOR}",
    ),
    (
        507900,
        "ACL_ERROR_RT_AICPU_INTERNAL_ERROR",
        "internal error of the AI CPU",
        "The service on the chip's CPU failed.",
        f"{_HEALTH} {_REPORT}",
    ),
    (
        507901,
        "ACL_ERROR_RT_SOCKET_CLOSE",
        "HDC disconnected",
        "The channel to the device broke: the device was reset, or its service ended.",
        f"{_HEALTH} {_DEVICE_LOG}",
    ),
    (
        545000,
        "ACL_ERROR_GE_INTERNAL_ERROR",
        "internal error of GE",
        "A fault in the graph engine; the log has the reason.",
        _REPORT,
    ),
    (
        545001,
        "ACL_ERROR_GE_LOAD_MODEL",
        "loading the model failed",
        "The OM was built for another chip or by a newer CANN, or the device has no room.",
        f"{_INSPECT} for its SoC and version; npu-smi info for the memory. {_LOG}",
    ),
    (
        545002,
        "ACL_ERROR_GE_EXEC_LOAD_MODEL_PARTITION_FAILED",
        "the model definition in the OM cannot be loaded",
        "The OM is damaged or of another generation.",
        f"{_INSPECT}. {_COMPILE_AGAIN}",
    ),
    (
        545003,
        "ACL_ERROR_GE_EXEC_LOAD_WEIGHT_PARTITION_FAILED",
        "the weights in the OM cannot be loaded",
        "The OM is damaged, or compiled with external weights that do not lie beside it.",
        (
            f"{_INSPECT}; with --external_weight the folder weight/ must lie beside the OM."
            f" {_COMPILE_AGAIN}"
        ),
    ),
    (
        545004,
        "ACL_ERROR_GE_EXEC_LOAD_TASK_PARTITION_FAILED",
        "the tasks in the OM cannot be loaded",
        "The OM is damaged or of another generation.",
        f"{_INSPECT}. {_COMPILE_AGAIN}",
    ),
    (
        545005,
        "ACL_ERROR_GE_EXEC_LOAD_KERNEL_PARTITION_FAILED",
        "the kernels in the OM cannot be loaded",
        "The OM is damaged or of another generation.",
        f"{_INSPECT}. {_COMPILE_AGAIN}",
    ),
    (
        545006,
        "ACL_ERROR_GE_EXEC_RELEASE_MODEL_DATA",
        "the model's memory cannot be released",
        "Work with the model was still running when it was released.",
        f"Synchronise the streams before unloading. {_LOG}",
    ),
    (
        545007,
        "ACL_ERROR_GE_COMMAND_HANDLE",
        "a command failed (GE)",
        "A fault in the graph engine; the log has the reason.",
        _REPORT,
    ),
    (
        545008,
        "ACL_ERROR_GE_GET_TENSOR_INFO",
        "a tensor's information cannot be had",
        "The model does not hold what was asked for.",
        f"{_INSPECT}. {_LOG}",
    ),
    (
        545009,
        "ACL_ERROR_GE_UNLOAD_MODEL",
        "unloading the model failed",
        "Work with the model was still running, or another context is current.",
        f"Synchronise the streams and set the model's own context before unloading. {_LOG}",
    ),
    (
        545601,
        "ACL_ERROR_GE_MODEL_EXECUTE_TIMEOUT",
        "the model's execution timed out",
        "The model did not finish in the time given.",
        f"{_HEALTH} {_DEVICE_LOG}",
    ),
)

_ATC_HELP = "See the flags that the kit gives: crnn compile MODEL.onnx NAME --dry-run"
_ATC_LOG = "Compile again with --log debug and --debug, and read the lines above the first ERROR."
_NAMES = "List the model's inputs: crnn inspect MODEL.onnx"
_GEAR_FLAG = (
    f"Give {ATC_MIN_GEARS} to {ATC_MAX_GEARS} different gears: crnn compile MODEL.onnx NAME --batch"
    " 1,4,8,16"
)
_SHAPE_FLAG = 'Write it as name:-1,1,32,100 in quotes (several inputs joined with ";").'

_TEXT_ROWS: Tuple[_Row, ...] = (
    (
        "E10001",
        "",
        "a parameter's value is not valid; the text names value and reason",
        (
            "A flag that this ATC does not know; while a model is loaded, an OM for another chip or"
            " a cut file."
        ),
        f"Read the reason in the text. {_ATC_HELP}; for an OM: crnn inspect MODEL.om",
    ),
    (
        "E10002",
        "",
        "input_shape has the wrong syntax",
        "The flag --input_shape cannot be read.",
        _SHAPE_FLAG,
    ),
    (
        "E10003",
        "",
        "a parameter is wrong",
        "A flag has a value outside its range.",
        f"Read the text. {_ATC_HELP}",
    ),
    (
        "E10005",
        "",
        "a parameter must be a boolean",
        "A flag that takes true or false (or 0 or 1) has another value.",
        _ATC_HELP,
    ),
    (
        "E10007",
        "",
        "the framework is wrong",
        "--framework is none that ATC knows.",
        f"Give --framework={ATC_FRAMEWORK_ONNX} for ONNX.",
    ),
    (
        "E10010",
        "",
        "the log level is wrong",
        "--log is none that ATC knows.",
        "Give --log debug, info, warning, error or null.",
    ),
    (
        "E10012",
        "",
        NO_MEANING,
        "The code is listed without one; the text that ATC prints with it is all there is.",
        _ATC_LOG,
    ),
    (
        "E10013",
        "",
        "a value is outside its range",
        "A number given to ATC is too small or too large.",
        f"Read the text for the range. {_ATC_HELP}",
    ),
    (
        "E10016",
        "",
        "a name in input_shape is not in the graph",
        (
            "--input_shape, --out_nodes or --insert_op_conf names an input that the ONNX does not"
            " have."
        ),
        _NAMES,
    ),
    (
        "E10017",
        "",
        NO_MEANING,
        "The code is listed without one; the text that ATC prints with it is all there is.",
        _ATC_LOG,
    ),
    (
        "E10018",
        "",
        "-1 stands in another place than the batch",
        "With --dynamic_batch_size only the first dimension may be -1.",
        "Fix height and width: name:-1,1,32,100",
    ),
    (
        "E10031",
        "",
        "gears without a -1",
        "--dynamic_batch_size was given, but no dimension of --input_shape is -1.",
        "Write the batch as -1 in --input_shape, or leave the gears away.",
    ),
    (
        "E10034",
        "",
        "AIPP on an input that is asked for in float16",
        "--input_fp16_nodes names an input that AIPP feeds with uint8.",
        "Leave --input_fp16_nodes away where --aipp is given.",
    ),
    (
        "E10035",
        "",
        "fewer than two gears",
        "--dynamic_batch_size wants two gears at least.",
        _GEAR_FLAG,
    ),
    (
        "E10036",
        "",
        "too many gears",
        f"--dynamic_batch_size takes {ATC_MAX_GEARS} gears at most.",
        _GEAR_FLAG,
    ),
    ("E10037", "", "a gear's value is wrong", "A gear is not a number in ATC's range.", _GEAR_FLAG),
    ("E10038", "", "a gear's value is wrong", "A gear is not a number in ATC's range.", _GEAR_FLAG),
    ("E10039", "", "a gear stands twice", "The gears must differ from each other.", _GEAR_FLAG),
    (
        "E10040",
        "",
        "-1 is needed, or '~' is not allowed",
        "A dynamic flag does not fit --input_shape.",
        "With gears write the batch as -1; a range (1~16) excludes gears.",
    ),
    (
        "E10045",
        "",
        "dynamic inputs are described wrongly",
        "--input_shape and the dynamic flags do not fit together.",
        _GEAR_FLAG,
    ),
    (
        "E10049",
        "",
        "the number of dimensions does not fit",
        "--input_shape has more or fewer dimensions than the input in the ONNX.",
        _NAMES,
    ),
    (
        "E10054",
        "",
        "a mandatory parameter is missing",
        "--model, --framework, --output or --soc_version was not given.",
        _ATC_HELP,
    ),
    (
        "E10501",
        "",
        "an operator is not registered",
        "The operator package is not found, or does not know this operator.",
        (
            "echo $ASCEND_OPP_PATH, and source CANN's set_env.sh again; from 8.5 on, install the"
            " chip's ops package too."
        ),
    ),
    (
        "E13000",
        "",
        "a file is wrong",
        "A file does not exist, or its path holds characters that ATC refuses.",
        "Check it: ls -l FILE. Use a path of letters, digits and _ - . only.",
    ),
    (
        "E13001",
        "",
        "a directory is wrong",
        "A folder does not exist or cannot be written.",
        "Check it: ls -ld FOLDER; mkdir -p FOLDER",
    ),
    (
        "E13025",
        "",
        "a tensor's size is wrong",
        "An input or output buffer is smaller than the model needs.",
        _BUFFERS,
    ),
    (
        "E13026",
        "",
        NO_MEANING,
        "The code is listed without one; the text that comes with it is all there is.",
        _ATC_LOG,
    ),
    (
        "E16001",
        "",
        "a node has no input",
        "The ONNX graph is cut: a node reads a tensor that nothing makes.",
        "Check the graph: crnn inspect MODEL.onnx, and export it again.",
    ),
    (
        "E16002",
        "",
        "no ONNX parser for an operator",
        "The ONNX holds an operator, or an opset of it, that this CANN does not know.",
        "Export with the kit (opset 11): python3 pth2onnx.py",
    ),
    (
        "E16004",
        "",
        NO_MEANING,
        "The code is listed without one; the text that ATC prints with it is all there is.",
        _ATC_LOG,
    ),
    (
        "E16005",
        "",
        "several opset domains",
        "The ONNX imports more than one operator set.",
        "Export with the kit (opset 11, one domain): python3 pth2onnx.py",
    ),
    (
        "E40021",
        "",
        "an operator cannot be compiled (TBE)",
        (
            "The operator compiler failed: often a missing Python package of CANN's, or a shape it"
            " cannot do."
        ),
        (
            f"{_ATC_LOG} Check CANN's Python packages: pip3 list | grep -iE"
            " 'te|topi|decorator|sympy|scipy'"
        ),
    ),
    (
        "E19999",
        "",
        "inner error of GE",
        "A fault inside ATC or GE; the lines before it have the reason.",
        _ATC_LOG,
    ),
    (
        "EZ9999",
        "",
        "inner error",
        "A fault inside CANN; the lines before it have the reason.",
        _ATC_LOG,
    ),
    (
        "EE1001",
        "",
        "a runtime call got a wrong argument",
        "A null pointer, a wrong size or a wrong device number.",
        _KIT_FAULT,
    ),
    (
        "EE1002",
        "",
        "synchronising a stream timed out",
        "The stream's work did not end in time.",
        f"{_HEALTH} {_DEVICE_LOG}",
    ),
    (
        "EE1010",
        "",
        "the context is wrong",
        "This thread has no current context, or another one than the resource's.",
        "Call acl.rt.set_context(context) at the start of every thread that uses ACL.",
    ),
    (
        "EE1013",
        "",
        "host memory cannot be allocated",
        "The host is out of memory, or pinned memory is used up.",
        "free -m; ulimit -l. Use a smaller --batchsize.",
    ),
    (
        "EE1015",
        "",
        "the driver's version does not fit",
        "Driver and CANN are of releases that do not go together.",
        (
            f"cat {DRIVER_VERSION_FILE}, and install the driver that this CANN's release notes"
            f" name. {_DOCTOR}"
        ),
    ),
)

CODES: Mapping[str, Code] = {
    str(row[0]): Code(str(row[0]), *row[1:]) for row in (*_ACL_ROWS, *_TEXT_ROWS)
}
"""Every documented code, by its text ("507011", "E10016")."""

FAMILIES: Tuple[Tuple[str, str], ...] = (
    ("EZ", "CANN itself, an inner error"),
    ("EH", "ACL"),
    ("EE", "the runtime"),
    ("E1", "GE and ATC"),
    ("E2", "FE, the fusion engine"),
    ("E4", "TBE, the operator compiler"),
)
"""Who speaks in a letter code, by its beginning."""

RANGES: Mapping[str, str] = {
    "1": "a mistake of the caller",
    "2": "a resource or the environment lacks something",
    "3": "a business fault",
    "5": "an internal fault",
}
"""What a six-digit code's first digit says."""
LAYERS: Mapping[str, str] = {"00": "ACL", "48": "ACL", "07": "the runtime", "45": "GE"}
"""Which part speaks, by the second and third digit."""


def _split(text: str) -> Tuple[str, int]:
    match = re.fullmatch(r"([A-Z]*)(\d{1,9})", text)
    if match:
        return (match.group(1), int(match.group(2)))
    return (text, -1)


_SPLIT: Mapping[str, Tuple[str, int]] = {entry: _split(entry) for entry in CODES}
_BY_NAME: Mapping[str, Code] = {entry.name: entry for entry in CODES.values() if entry.name}


def code(value: Union[int, str]) -> Optional[Code]:
    """Look a code of CANN up.

    Args:
        value: A number, its digits, or a name: 507011, "507011", "E10016".

    Returns:
        The entry, None where it is not documented.
    """
    text = _normal(value)
    return CODES.get(text) or _BY_NAME.get(text)


def reading(value: Union[int, str]) -> Optional[str]:
    """Say what the ranges and letters tell of a code, documented or not.

    Args:
        value: A number, its digits, or a name.

    Returns:
        A sentence, None where they tell nothing.
    """
    text = _normal(value)
    if len(text) == 6 and text.isdigit():
        fault, layer = RANGES.get(text[0]), LAYERS.get(text[1:3])
        return ", ".join(part for part in (fault, layer and f"reported by {layer}") if part) or None
    return next(
        (f"a message of {who}" for beginning, who in FAMILIES if text.startswith(beginning)), None
    )


def nearest(value: Union[int, str], count: int = 3) -> Tuple[Code, ...]:
    """Return the documented codes next to one that is not documented.

    Args:
        value: A number, its digits, or a name.
        count: How many are wanted.

    Returns:
        The codes next to it: by number within its kind, else by spelling.
    """
    text = _normal(value)
    letters, number = _split(text)
    if number >= 0:
        alike = [
            (abs(other - number), entry)
            for entry, (kind, other) in _SPLIT.items()
            if kind == letters
        ]
        return tuple(CODES[entry] for _, entry in sorted(alike)[:count])
    names = difflib.get_close_matches(text, [*CODES, *_BY_NAME], n=count)
    return tuple(CODES.get(name) or _BY_NAME[name] for name in names)


def _normal(value: Union[int, str]) -> str:
    return str(value).strip(" \t\r\n[]().,:;").upper()
