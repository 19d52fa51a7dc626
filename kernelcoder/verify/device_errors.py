# SPDX-License-Identifier: Apache-2.0
"""What it means that a device reports an error: CUDA's own name of it, and a sentence.

The child says the name on its stderr and ends with EXIT_DEVICE. It may lie: only names of this list
are said, and none of them is anything but a failure. Names and meanings: CUDA Runtime API, "Error
handling", enum cudaError.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from kernelcoder.records import Status

_NAME = re.compile(r"^cuda: (cuda\w{1,60})$", re.MULTILINE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Cause:
    """A status and one phrase."""

    status: Status
    text: str


_MEANINGS: Mapping[str, str] = {
    "IllegalAddress": "a kernel reads or writes memory that is not its own",
    "MisalignedAddress": "a kernel uses a misaligned address",
    "InvalidAddressSpace": "a kernel uses an address of another kind of memory",
    "InvalidPc": "a kernel jumps to where no code is",
    "IllegalInstruction": "a kernel runs an instruction this device lacks",
    "HardwareStackError": "a kernel overflows its stack",
    "LaunchFailure": "a kernel ended with a fault",
    "LaunchTimeout": "a kernel took longer than the driver allows",
    "Assert": "a kernel fails an assertion",
    "InvalidConfiguration": "a device refuses this launch",
    "LaunchOutOfResources": "a block needs more registers or threads than a device has",
    "InvalidValue": "a call of the CUDA runtime gets an argument it does not take",
    "InvalidDeviceFunction": "a kernel has no code for this device",
    "NoKernelImageForDevice": "a kernel has no code for this device",
    "InvalidDevicePointer": "a call of the CUDA runtime gets no pointer to device memory",
    "InvalidResourceHandle": "a call of the CUDA runtime gets what is no stream or event",
    "InvalidSymbol": "a call of the CUDA runtime names no symbol of the device",
    "CooperativeLaunchTooLarge": "a cooperative launch has more blocks than fit at a time",
    "SymbolNotFound": "a kernel or symbol is missing in the object",
    "NotSupported": "the device or its driver does not do this",
    "InvalidPtx": "the driver does not take the kernel's PTX",
    "UnsupportedPtxVersion": "the driver is older than the compiler",
    "ECCUncorrectable": "memory of the device is broken",
    "Unknown": "the driver does not say why",
}


def cause(stderr: str) -> Cause:
    """The last error named in a child's stderr."""
    named = _NAME.findall(stderr)
    short = named[-1].removeprefix("cudaError") if named else ""
    if short == "MemoryAllocation":
        return Cause("oom", "the device has no memory left for it (cudaErrorMemoryAllocation)")
    if short in _MEANINGS:
        return Cause("runtime_error", f"{_MEANINGS[short]} (cudaError{short})")
    return Cause("runtime_error", "the device reports an error")
