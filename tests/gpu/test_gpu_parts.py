# SPDX-License-Identifier: Apache-2.0
"""What the native GPU paths are made of: finding a device, the lease, nvcc's objects, the sandbox
of a child with a device. No GPU is needed."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from gpu import standin

from benchmarks import core
from kernelcoder.backends import Availability, cuda, modes
from kernelcoder.backends.cuda_builder import headers
from kernelcoder.backends.gpu import compiler, devices, roofs
from kernelcoder.backends.gpu.lease import Lease
from kernelcoder.backends.gpu.slots import GpuSlot
from kernelcoder.errors import CannotRun, Error
from kernelcoder.task import Task
from kernelcoder.verify import device_errors, isolation
from kernelcoder.verify.compile import Compiler
from kernelcoder.verify.deaths import HarnessFailed, explain
from kernelcoder.verify.regions import Call, Regions
from kernelcoder.verify.slots import Died, Limits

LISTED = """\
0, GPU-aaaa-1, NVIDIA H100 80GB HBM3, 9.0, 570.86.15
1, GPU-bbbb-2, Quadro, RTX 6000, 7.5, 570.86.15
"""
toolkit = devices.toolkit()
needs_toolkit = pytest.mark.skipif(toolkit is None, reason="nvcc with libcudart is not installed")


def test_the_first_device_that_may_be_seen_is_taken() -> None:
    first = devices.chosen(LISTED, None).device
    assert first == devices.Device("NVIDIA H100 80GB HBM3", (9, 0), "570.86.15", "GPU-aaaa-1")
    assert first and first.arch == "sm_90"
    second = devices.chosen(LISTED, "1,0").device
    assert second and second.name == "Quadro, RTX 6000" and second.arch == "sm_75"
    named = devices.chosen(LISTED, "GPU-bbbb").device
    assert named and named.visible == "GPU-bbbb-2"


@pytest.mark.parametrize("visible", ["", "7", "-1", "MIG-1234", "GPU-cccc"])
def test_a_device_that_may_not_be_seen_is_not_taken(visible: str) -> None:
    found = devices.chosen(LISTED, visible)
    assert found.device is None and found.reason
    assert devices.chosen("No devices were found\n", None).device is None


def test_the_mode_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    there, absent = Availability("native", "an H100"), Availability(None, "no GPU")
    name = "KERNELCODER_CUDA_MODE"
    monkeypatch.delenv(name, raising=False)
    assert modes.choose("cuda", there, "emulated", "no times") == there
    found = modes.choose("cuda", absent, "emulated", "no times")
    assert found == Availability("emulated", "no GPU: no times")
    monkeypatch.setenv(name, "emulated")
    assert modes.choose("cuda", there, "emulated", "no times").mode == "emulated"
    monkeypatch.setenv(name, "native")
    found = modes.choose("cuda", absent, "emulated", "no times")
    assert found.mode is None and "no GPU" in found.reason
    monkeypatch.setenv(name, "fast")
    with pytest.raises(Error, match="no mode"):
        cuda.probe()


def test_one_measures_alone_and_others_wait(tmp_path: Path) -> None:
    hasty = Lease("GPU 0/x", tmp_path, patience=0.0)
    assert hasty.path.parent == tmp_path
    first, second = hasty.shared(), hasty.shared()
    with pytest.raises(CannotRun, match="in use"), hasty.alone():
        pass
    first()
    first()
    second()
    with hasty.alone():
        for take in (hasty.shared, lambda: hasty.alone().__enter__()):
            with pytest.raises(CannotRun, match="in use"):
                take()
        patient, took = Lease("GPU 0/x", tmp_path), threading.Event()
        waiting = threading.Thread(target=lambda: (patient.shared()(), took.set()))
        waiting.start()
        assert not took.wait(0.1)
    assert took.wait(10)
    waiting.join()


def _hold(path: Path, ready: object) -> None:
    Lease("g", path).shared()
    ready.set()  # type: ignore[attr-defined]
    threading.Event().wait()


def test_a_lease_ends_with_its_process(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    holder = context.Process(target=_hold, args=(tmp_path, ready))
    holder.start()
    assert ready.wait(10)
    with pytest.raises(CannotRun), Lease("g", tmp_path, patience=0.0).alone():
        pass
    holder.kill()
    holder.join()
    with Lease("g", tmp_path, patience=10.0).alone():
        pass


def test_the_lock_is_no_link_to_somewhere_else(tmp_path: Path) -> None:
    lease = Lease("g", tmp_path)
    lease.path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CannotRun), lease.alone():
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_only_known_names_of_errors_are_said() -> None:
    assert "IllegalAddress" in device_errors.cause("cuda: cudaErrorIllegalAddress\n").text
    assert device_errors.cause("x\ncuda: cudaErrorMemoryAllocation\n").status == "oom"
    told = device_errors.cause("cuda: cudaErrorTheAnswerIs42\n")
    assert told.status == "runtime_error" and "42" not in told.text


# What a candidate tries; each writes 1 if it was refused. As in verify/isolation.py.
_ATTACKS = r"""
#include <dlpack/dlpack.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
static float forked() {
  const long child = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
  if (child == 0) _exit(0);
  return child < 0;
}
static void *nothing(void *) { return nullptr; }
extern "C" void kernel(const DLTensor *x, DLTensor *y, double judge) {
  float *out = (float *)y->data;
  char *const none[] = {nullptr};
  pthread_t thread;
  const struct rlimit more = {RLIM_INFINITY, RLIM_INFINITY};
  out[0] = forked();
  out[1] = execve("/bin/true", none, none) < 0;
  out[2] = syscall(SYS_socket, 2, 1, 0) < 0;
  out[3] = syscall(SYS_kill, (int)judge, 0) < 0;
  out[4] = open("/etc/passwd", O_RDONLY) < 0;
  out[5] = open("/usr/lib", O_RDONLY | O_DIRECTORY) < 0;
  out[6] = open("/tmp/kernelcoder-gpu-attack", O_CREAT | O_RDWR, 0600) < 0;
  out[7] = syscall(SYS_ptrace, 16, (int)judge, 0, 0) < 0;
  out[8] = setrlimit(RLIMIT_CPU, &more) < 0;
  out[9] = mmap(nullptr, 64ull << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
           MAP_FAILED;
  out[10] = kill(getpid(), SIGKILL) < 0;
  out[11] = syscall(SYS_openat2, -100, "/etc/passwd", 0, 0) < 0;
  out[12] = !pthread_create(&thread, nullptr, nothing, nullptr) && !pthread_join(thread, nullptr);
}
"""
_NAMES = (
    "fork", "exec", "socket", "kill", "a file", "a folder", "a new file", "ptrace", "limits",
    "memory", "suicide", "openat2", "threads are allowed",
)  # fmt: skip


@pytest.fixture
def slot() -> Iterator[GpuSlot]:
    variables = devices.environment(
        standin.DEVICE, devices.Toolkit(Path("nvcc"), standin.library(), "")
    )
    with GpuSlot(variables, None, standin.library()) as made:
        yield made


def test_a_child_with_a_device_is_confined(slot: GpuSlot, shared_cache: Path) -> None:
    if (level := isolation.probe()).level[:5] not in ("L0-L2", "L0-L3", "L0-L4", "L0-L5"):
        pytest.skip(f"this machine lacks layers: {level.level}")
    built = Compiler(shared_cache).build(_ATTACKS)
    assert built.path, built.log
    call = Call((torch.zeros(4),), (((len(_NAMES),), "f32"),), (float(os.getpid()),))
    with Regions([call]) as regions:
        child = slot.start(built.path, regions, Limits(memory_mb=1024))
        child.loaded(30)
        child.run(0, 1, timeout=30)
        found = dict(zip(_NAMES, regions.output(0).tolist(), strict=True))
        child.finish()
    assert found == dict.fromkeys(_NAMES, 1.0)


def _died(variables: dict[str, str], so: Path, task: Task) -> HarnessFailed:
    """How a child ends whose device does not open."""
    call = Call((torch.zeros(4),), (((4,), "f32"),))
    with Regions([call]) as regions, GpuSlot(variables, None, standin.library()) as slot:
        child = slot.start(so, regions, Limits())
        with pytest.raises(Died) as died:
            child.loaded(30)
        with pytest.raises(HarnessFailed) as failed:
            explain(died.value.exit, task, False)
    return failed.value


def test_a_machine_whose_device_does_not_open_costs_no_candidate() -> None:
    kit = devices.Toolkit(Path("nvcc"), standin.library(), "")
    variables = devices.environment(standin.DEVICE, kit) | {"STANDIN_ABSENT": "1"}
    failed = _died(variables, standin.library(), core.load("relu"))
    assert "no CUDA device: cudaErrorNoDevice" in str(failed)


@pytest.mark.skipif(devices.device().device is not None, reason="there is a GPU")
@needs_toolkit
def test_cudas_own_runtime_has_all_that_the_harness_calls_and_finds_no_device() -> None:
    assert toolkit is not None
    variables = devices.environment(standin.DEVICE, toolkit)
    failed = _died(variables, standin.library(), core.load("relu"))
    assert "no CUDA device: cudaErrorInsufficientDriver" in str(failed) or (
        "no CUDA device: cudaErrorNoDevice" in str(failed)
    )


@needs_toolkit
def test_cudas_runtime_is_lent_but_for_what_no_kernel_needs() -> None:
    assert toolkit is not None and compiler.supported(toolkit) == ""
    names = compiler.runtime_names(toolkit.runtime)
    assert {"cudaMallocAsync", "cudaLaunchKernel", "__cudaRegisterFatBinary"} <= names
    forbidden = {n for n in names if any(p.match(n) for p, _ in compiler._FORBIDDEN)}
    assert {"cudaMallocHost", "cudaHostAlloc", "cudaMallocManaged", "cudaIpcGetMemHandle",
            "cudaGraphLaunch", "cudaGraphLaunch_ptsz", "cudaDeviceReset", "cudaLaunchHostFunc",
            "cudaEventElapsedTime", "cudaHostRegister"} <= forbidden  # fmt: skip
    assert not forbidden & {
        "cudaMalloc", "cudaMallocAsync", "cudaFree", "cudaFreeAsync", "cudaMemcpyAsync",
        "cudaMemsetAsync", "cudaLaunchKernel", "__cudaLaunchKernel", "cudaFuncSetAttribute",
        "cudaGetLastError", "cudaDeviceGetAttribute", "cudaGetDevice", "cudaStreamSynchronize",
        "cudaOccupancyMaxActiveBlocksPerMultiprocessor", "__cudaRegisterFunction",
        "cudaGetDeviceProperties", "cudaEventRecord", "cudaLaunchCooperativeKernel",
    }  # fmt: skip


@pytest.mark.slow
@needs_toolkit
def test_nvcc_makes_objects_that_pass_the_audit(shared_cache: Path) -> None:
    assert toolkit is not None
    made = compiler.GpuCompiler(shared_cache, 300, toolkit, "sm_90", headers(shared_cache))
    for source in (core.load("softmax").solutions["cuda"], roofs.COPY_SOURCE, roofs.PEAK_SOURCE):
        built = made.build(source)
        assert built.ok and built.audit and built.audit.status is None, (built.log, built.audit)
        assert built.audit.evidence == ()
    line = 'extern "C" void more() { void *p; cudaMallocHost(&p, 4); }'
    audit = made.build(f"{roofs.COPY_SOURCE}\n{line}\n").audit
    assert audit and audit.status == "refused" and "cudaMallocHost" in audit.reason
    broken = made.build('#include <kernelcoder_cuda.h>\nextern "C" void kernel() { nope(); }\n')
    assert broken.status == "compile_error" and "kernel.cu:2: error" in broken.log
