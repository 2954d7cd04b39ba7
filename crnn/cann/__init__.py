"""CANN's numbers: enums, names, limits, return codes, where it lies, the OM container's layout.
Data only.

The numbers and names are facts of the public headers and documentation of CANN 5 to 9 (pyACL passes
all of them as plain int and str). What each return code means, its cause and remedy are in
`crnn.cann.codes`. Nothing here was tried on a chip.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Mapping, Optional

# -------------------------------------------------------------------------------------------------
# Enums
# --------------------------------------------------------------------------------------------------

ACL_MEMCPY_HOST_TO_HOST = 0
ACL_MEMCPY_HOST_TO_DEVICE = 1
ACL_MEMCPY_DEVICE_TO_HOST = 2
ACL_MEMCPY_DEVICE_TO_DEVICE = 3
MEMCPY_KINDS: Mapping[int, str] = {
    0: "HOST_TO_HOST",
    1: "HOST_TO_DEVICE",
    2: "DEVICE_TO_HOST",
    3: "DEVICE_TO_DEVICE",
    4: "DEFAULT",
    5: "HOST_TO_BUF_TO_DEVICE",
    6: "INNER_DEVICE_TO_DEVICE",
    7: "INTER_DEVICE_TO_DEVICE",
}

ACL_MEM_MALLOC_HUGE_FIRST = 0
ACL_MEM_MALLOC_HUGE_ONLY = 1
ACL_MEM_MALLOC_NORMAL_ONLY = 2
MALLOC_POLICIES: Mapping[int, str] = {
    0: "HUGE_FIRST",
    1: "HUGE_ONLY",
    2: "NORMAL_ONLY",
    3: "HUGE_FIRST_P2P",
    4: "HUGE_ONLY_P2P",
    5: "NORMAL_ONLY_P2P",
    6: "HUGE1G_ONLY",
    7: "HUGE1G_ONLY_P2P",
}
MALLOC_FLAG_LOW_BANDWIDTH = 0x100
MALLOC_FLAG_HIGH_BANDWIDTH = 0x1000

ACL_DEVICE = 0
ACL_HOST = 1
RUN_MODES: Mapping[int, str] = {ACL_DEVICE: "ACL_DEVICE", ACL_HOST: "ACL_HOST"}
"""ACL_HOST: the program runs beside a card (EP form); ACL_DEVICE:

on the chip's own system (RC form).
"""

ACL_DDR_MEM = 0
ACL_HBM_MEM = 1
MEM_ATTRS: Mapping[int, str] = {
    0: "DDR",
    1: "HBM",
    2: "DDR_HUGE",
    3: "DDR_NORMAL",
    4: "HBM_HUGE",
    5: "HBM_NORMAL",
    6: "DDR_P2P_HUGE",
    7: "DDR_P2P_NORMAL",
    8: "HBM_P2P_HUGE",
    9: "HBM_P2P_NORMAL",
    10: "HBM_HUGE1G",
    11: "HBM_P2P_HUGE1G",
}

ACL_CALLBACK_NO_BLOCK = 0
ACL_CALLBACK_BLOCK = 1

ACL_EVENT_SYNC = 1
ACL_EVENT_CAPTURE_STREAM_PROGRESS = 2
ACL_EVENT_TIME_LINE = 8

# The two event queries answer with opposite numbers.
QUERY_EVENT_COMPLETE = 0
QUERY_EVENT_NOT_READY = 1
QUERY_EVENT_STATUS_NOT_READY = 0
QUERY_EVENT_STATUS_COMPLETE = 1

AIPP_NONE = 0
AIPP_STATIC = 1
AIPP_DYNAMIC = 2
AIPP_NODE = 3
AIPP_TYPES: Mapping[int, str] = {0: "none", 1: "static", 2: "dynamic", 3: "node"}

MAX_DIMS = 128
MAX_TENSOR_NAME = 128
MAX_GEARS = 128
ATC_MIN_GEARS = 2
ATC_MAX_GEARS = 100
DEVICE_ALIGNMENT = 64
"""Device and pinned memory starts on this boundary, in bytes."""
BUFFER_SLACK = 64
"""GE takes a static input or output buffer that is short by at most this many bytes."""

DYNAMIC_INPUT_NAME = "ascend_mbatch_shape_data"
DYNAMIC_AIPP_NAME = "ascend_dynamic_aipp_data"
DYNAMIC_INPUT_MIN_BYTES = 4
"""What GE wants of the gear buffer for each number that a gear has; where twice as much is there,
it writes numbers of 8 bytes.
"""


@dataclass(frozen=True)
class DataType:
    """An element type:

    ``number`` in aclDataType, its name, the NumPy name or None, bytes per element or None.
    """

    number: int
    name: str
    numpy: Optional[str]
    size: Optional[int]


UNDEFINED_DTYPE = DataType(-1, "undefined", None, None)
DATA_TYPES: Mapping[int, DataType] = {
    row[0]: DataType(*row)
    for row in (
        (0, "float32", "float32", 4),
        (1, "float16", "float16", 2),
        (2, "int8", "int8", 1),
        (3, "int32", "int32", 4),
        (4, "uint8", "uint8", 1),
        # 5 is not in use
        (6, "int16", "int16", 2),
        (7, "uint16", "uint16", 2),
        (8, "uint32", "uint32", 4),
        (9, "int64", "int64", 8),
        (10, "uint64", "uint64", 8),
        (11, "float64", "float64", 8),
        (12, "bool", "bool", 1),
        (13, "string", None, None),
        (16, "complex64", "complex64", 8),
        (17, "complex128", "complex128", 16),
        (27, "bfloat16", None, 2),
        (29, "int4", None, None),
        (30, "uint1", None, None),
        (33, "complex32", None, 4),
        (34, "hifloat8", None, 1),
        (35, "float8_e5m2", None, 1),
        (36, "float8_e4m3fn", None, 1),
        (37, "float8_e8m0", None, 1),
        # of the narrow floats only their existence is documented, not which number is which
        (38, "float6", None, None),
        (39, "float6", None, None),
        (40, "float4", None, None),
        (41, "float4", None, None),
    )
}
"""aclDataType by number."""

ACL_DTYPE: Mapping[str, int] = {
    row.numpy: row.number for row in DATA_TYPES.values() if row.numpy is not None
}
"""aclDataType's number by NumPy's name."""

PROTO_DTYPE: Mapping[int, str] = {
    1: "float32",
    2: "float16",
    3: "int8",
    4: "uint8",
    5: "int16",
    6: "uint16",
    7: "int32",
    8: "int64",
    9: "uint32",
    10: "uint64",
    11: "bool",
    12: "float64",
}
"""NumPy's name by the number in ge.proto's own dtype enum, which is not aclDataType's."""
PROTO_DTYPE_NUMBER: Mapping[str, int] = {name: number for number, name in PROTO_DTYPE.items()}

FORMATS: Mapping[int, str] = {
    -1: "undefined",
    0: "NCHW",
    1: "NHWC",
    2: "ND",
    3: "NC1HWC0",
    4: "FRACTAL_Z",
    12: "NC1HWC0_C04",
    16: "HWCN",
    27: "NDHWC",
    29: "FRACTAL_NZ",
    30: "NCDHW",
    32: "NDC1HWC0",
    33: "FRACTAL_Z_3D",
    35: "NC",
    47: "NCL",
}
"""aclFormat by number."""
FORMAT_NUMBER: Mapping[str, int] = {name: number for number, name in FORMATS.items()}

NUMPY_TYPE_NUMBER: Mapping[str, int] = {
    "bool": 0,
    "int8": 1,
    "uint8": 2,
    "int16": 3,
    "uint16": 4,
    "int32": 5,
    "uint32": 6,
    "int64": 7,
    "uint64": 8,
    "float32": 11,
    "float64": 12,
    "float16": 23,
}
"""The type number that ``acl.util.ptr_to_numpy`` wants (NumPy's ``dtype.num`` on Linux)."""

SOC_VERSIONS = ("Ascend310", "Ascend310P1", "Ascend310P3", "Ascend310B1", "Ascend310B4")
"""The chips the kit is written for; any other name that ATC takes may be given as well."""

ATC_FRAMEWORK_ONNX = 5
ATC_EXIT_FAILURE = 255
ATC_START_LINE = "ATC start working now, please wait for a moment."
ATC_SUCCESS_LINE = "ATC run success, welcome to the next use."

# -------------------------------------------------------------------------------------------------
# Where CANN lies
# --------------------------------------------------------------------------------------------------

INSTALL_ROOT_VARIABLE = "ASCEND_INSTALL_ROOT"
"""The kit's own: a root that is looked into instead of `INSTALL_ROOTS`."""
INSTALL_ROOTS = ("/usr/local/Ascend", "~/Ascend")
VISIBLE_DEVICES_VARIABLE = "ASCEND_RT_VISIBLE_DEVICES"
PLOG_FOLDERS = ("~/ascend/log/debug/plog", "~/ascend/log/run/plog", "~/ascend/log/security/plog")
DEVICE_NODES = ("/dev/davinci_manager", "/dev/devmm_svm", "/dev/hisi_hdc")
"""What a program needs beside ``/dev/davinciN``, the chips themselves."""
DRIVER_VERSION_FILE = "/usr/local/Ascend/driver/version.info"
DEVICE_GROUP = "HwHiAiUser"

# -------------------------------------------------------------------------------------------------
# The OM container (little endian)
# --------------------------------------------------------------------------------------------------

OM_MAGIC = b"IMOD"
OM_HEADER_SIZE = 256
OM_VERSION_1 = 0x10000000
OM_VERSION_2 = 0x20000000

OM_HEADER_V1 = struct.Struct("<4sII64sIBBBB32sI32sI20sB79x")
OM_HEADER_V2 = struct.Struct("<4sII64sIBBBB32sI32sII20sB3xQBB62x")
OM_HEADER_V1_FIELDS = (
    "magic",
    "header_size",
    "version",
    "checksum",
    "length",
    "encrypted",
    "checksum_mode",
    "model_type",
    "genmode",
    "name",
    "ops",
    "user_info",
    "om_ir_version",
    "platform_version",
    "platform_type",
)
OM_HEADER_V2_FIELDS = (
    *OM_HEADER_V1_FIELDS[:13],
    "model_num",
    "platform_version",
    "platform_type",
    "model_length",
    "need_check_os_cpu",
    "is_unknown",
)
"""``length`` counts the bytes after the header in narrow files, ``model_length`` in wide ones (0 in
the others).
"""

OM_MODEL_TYPES: Mapping[int, str] = {
    0: "IR",
    1: "standard",
    2: "tiny",
    3: "flow",
    4: "lite",
    5: "bundle",
}
OM_MODEL_IR = 0
OM_MODEL_FLOW = 3

# A table stands before the data of each model; wide where model_length is not 0 and in flow models.
OM_WIDE_HEAD = struct.Struct("<I4x")
OM_WIDE_ENTRY = struct.Struct("<I4xQQ")
OM_NARROW_HEAD = struct.Struct("<I")
OM_NARROW_ENTRY = struct.Struct("<III")
OM_MAX_PARTITIONS = 64
"""Far above the eight or so that real files have."""

PARTITION_MODEL_DEF = 0
PARTITION_WEIGHTS = 1
PARTITION_TASKS = 2
PARTITION_KERNELS = 3
PARTITION_AICPU = 4
PARTITION_FLOW_MODEL = 6
PARTITION_FLOW_SUBMODEL = 7
PARTITION_INOUT = 8
PARTITIONS: Mapping[int, str] = {
    0: "ModelDef",
    1: "weights",
    2: "tasks",
    3: "TBE kernels",
    4: "custom AI CPU kernels",
    5: "shared objects",
    6: "flow model",
    7: "flow submodel",
    8: "in/out info",
    9: "static task description",
    10: "dynamic task description",
    11: "task parameters",
    12: "tiling data",
    20: "pre-model",
    21: "pre-model",
    22: "pre-model",
    23: "pre-model",
    24: "bundle info",
    25: "bundle variables",
    26: "custom operators",
}

# Partition 8: a list of {type, length, value}.
INOUT_HEAD = struct.Struct("<II")
INOUT_INPUTS = 0
INOUT_OUTPUTS = 1
INOUT_DYNAMIC_BATCH = 2
INOUT_DYNAMIC_HW = 3
INOUT_DYNAMIC_DIMS = 4
INOUT_DYNAMIC_OUTPUT_SHAPE = 5
INOUT_USER_INPUT_ORDER = 6
INOUT_TENSOR = struct.Struct("<QiiIIII")
"""size, format, dtype, then the bytes of:

name, dims (i64), dims v2 (i64), ranges (pairs of i64), which follow.
"""

# Partition 0: ge.proto's field numbers.
MODEL_NAME = 1
MODEL_VERSION = 2
MODEL_CUSTOM_VERSION = 3
MODEL_GRAPH = 7
MODEL_ATTR = 11
GRAPH_NAME = 1
GRAPH_INPUT = 4
GRAPH_OUTPUT = 5
GRAPH_OP = 6
GRAPH_ATTR = 11
OP_NAME = 1
OP_TYPE = 2
OP_INPUT = 5
OP_ATTR = 10
OP_INPUT_DESC = 33
OP_OUTPUT_DESC = 34
TENSOR_NAME = 1
TENSOR_DTYPE = 2
TENSOR_SHAPE = 3
TENSOR_LAYOUT = 4
TENSOR_ATTR = 5
SHAPE_DIM = 1
MAP_KEY = 1
MAP_VALUE = 2
ATTR_LIST = 1
ATTR_STRING = 2
ATTR_INT = 3
ATTR_FLOAT = 4
ATTR_BOOL = 5
ATTR_FUNC = 10
LIST_STRING = 2
LIST_INT = 3

OP_DATA = "Data"
OP_AIPP_DATA = "AippData"
OP_NET_OUTPUT = "NetOutput"
OP_CASE = "Case"
ATTR_INDEX = "index"
ATTR_BATCH_NUM = "batch_num"
ATTR_PRED_VALUE = "pred_value_"
ATTR_GEAR_KIND = "mbatch_dynamic_type"
GEAR_KINDS: Mapping[int, str] = {1: "batch", 2: "hw", 3: "dims"}
ATTR_AIPP = "aipp"
ATTR_AIPP_MODE = "_data_related_aipp_mode"
ATTR_AIPP_INPUTS = "_aipp_inputs"
ATTR_ORIGIN_DIMS = "_mbatch_origin_input_dims"
"""The shape with -1 that was compiled; with gears the graph holds the largest one."""
ATTR_MEMORY_SIZE = "memory_size"
ATTR_OUT_NODES = "attr_model_out_nodes_name"
ATTR_SOC_VERSION = "soc_version"
ATTR_ATC_VERSION = "atc_version"
ATTR_OPP_VERSION = "opp_version"
ATTR_ATC_CMDLINE = "atc_cmdline"

SIMULATED_MARK = b"crnn-simulated"
"""Stands in the header's user_info of an OM that the kit's simulator wrote."""
SIMULATED_ATTR = "crnn_simulated"
"""The model attribute (bool) that says the same."""

# -------------------------------------------------------------------------------------------------
# Return codes
# --------------------------------------------------------------------------------------------------

ACL_SUCCESS = 0
ACL_ERROR_INVALID_PARAM = 100000
ACL_ERROR_UNINITIALIZE = 100001
ACL_ERROR_REPEAT_INITIALIZE = 100002
ACL_ERROR_INVALID_FILE = 100003
ACL_ERROR_PARSE_FILE = 100006
ACL_ERROR_WAIT_CALLBACK_TIMEOUT = 100036
ACL_ERROR_REPEAT_FINALIZE = 100037
ACL_ERROR_NOT_STATIC_AIPP = 100038
ACL_ERROR_COMPILING_STUB_MODE = 100039
ACL_ERROR_RT_PARAM_INVALID = 107000
ACL_ERROR_RT_INVALID_DEVICEID = 107001
ACL_ERROR_RT_CONTEXT_NULL = 107002
ACL_ERROR_RT_STREAM_CONTEXT = 107003
ACL_ERROR_RT_MODEL_CONTEXT = 107004
ACL_ERROR_RT_ADDR_UNALIGNED = 107008
ACL_ERROR_RT_INVALID_MEMORY_TYPE = 107016
ACL_ERROR_RT_INVALID_HANDLE = 107017
ACL_ERROR_RT_WAIT_TIMEOUT = 107019
ACL_ERROR_GE_PARAM_INVALID = 145000
ACL_ERROR_GE_EXEC_NOT_INIT = 145001
ACL_ERROR_GE_EXEC_MODEL_PATH_INVALID = 145002
ACL_ERROR_GE_EXEC_MODEL_ID_INVALID = 145003
ACL_ERROR_GE_EXEC_MODEL_DATA_SIZE_INVALID = 145006
ACL_ERROR_GE_DYNAMIC_INPUT_ADDR_INVALID = 145011
ACL_ERROR_GE_DYNAMIC_INPUT_LENGTH_INVALID = 145012
ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID = 145013
ACL_ERROR_GE_AIPP_NOT_EXIST = 145015
ACL_ERROR_RELATIVE_RESOURCE_NOT_CLEARED = 148051
ACL_ERROR_API_NOT_SUPPORT = 200001
ACL_ERROR_FEATURE_UNSUPPORTED = 200006
ACL_ERROR_RT_FEATURE_NOT_SUPPORT = 207000
ACL_ERROR_RT_MEMORY_ALLOCATION = 207001
ACL_ERROR_RT_NO_DEVICE = 207004
ACL_ERROR_RT_NO_PERMISSION = 207006
ACL_ERROR_INTERNAL_ERROR = 500000
ACL_ERROR_FAILURE = 500001
ACL_ERROR_GE_FAILURE = 500002
ACL_ERROR_RT_INTERNAL_ERROR = 507000
ACL_ERROR_RT_SOC_VERSION = 507008
ACL_ERROR_RT_MODEL_EXECUTE = 507011
ACL_ERROR_RT_STREAM_SYNC_TIMEOUT = 507046
ACL_ERROR_RT_EVENT_SYNC_TIMEOUT = 507047
ACL_ERROR_GE_LOAD_MODEL = 545001
ACL_ERROR_GE_UNLOAD_MODEL = 545009


def data_type(number: int) -> DataType:
    """Return the element type of an aclDataType number.

    Args:
        number: An aclDataType.

    Returns:
        The type; ``undefined`` for a number that is not known.
    """
    return DATA_TYPES.get(number, UNDEFINED_DTYPE)
