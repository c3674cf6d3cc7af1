"""Whether the kernel lets us probe, tried out on ourselves; and if not, what is missing and what to do.

Law: a refusal is explained from what this machine says of itself; where nothing explains it, the kernel's own
answer is passed on.
"""

from __future__ import annotations

import errno
import os
import platform
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from leaktui.engines.probes.kernel.perf_event import UPROBE_TYPE_FILE
from leaktui.engines.probes.kernel.system_call import KernelRefused
from leaktui.engines.probes.kernel.trial import try_bpf, try_cpu_events
from leaktui.errors import EngineUnavailable
from leaktui.text import printable

_CAPABILITIES = {"CAP_SYS_ADMIN": 21, "CAP_PERFMON": 38, "CAP_BPF": 39}  # include/uapi/linux/capability.h

_OTHERWISE = "use the memory engine, which needs no probes"


@dataclass(frozen=True, slots=True)
class _Outcome:
    """Of a trial: what this kernel can, or why nothing can be probed at all."""

    linked: bool = False
    chain_has_caller: bool = False
    refusal: EngineUnavailable | None = None


def check() -> bool:
    """Whether probes can hang on one link of many (else each is an event of its own).

    Tried once per set of rights we have; takes some 30 ms. Raises EngineUnavailable with reason and remedy.
    """
    outcome = _try(_effective_capabilities())
    if outcome.refusal is not None:
        raise EngineUnavailable(str(outcome.refusal.args[0]), remedy=outcome.refusal.remedy)
    return outcome.linked


def check_without_bpf() -> bool:
    """Whether chains of calls sampled by perf have the caller of a function that was just entered.

    Raises EngineUnavailable as `check` does, where not even probes without BPF are permitted.
    """
    outcome = _try_without_bpf(_effective_capabilities())
    if outcome.refusal is not None:
        raise EngineUnavailable(str(outcome.refusal.args[0]), remedy=outcome.refusal.remedy)
    return outcome.chain_has_caller


@cache
def _try(capabilities: int) -> _Outcome:
    try:
        _refuse_machine()
        try:
            try_bpf(linked=True)
            return _Outcome(linked=True)
        except EngineUnavailable:
            _refuse_kernel()
            try_bpf(linked=False)
            return _Outcome()
    except KernelRefused as refusal:
        return _Outcome(refusal=explain(refusal, capabilities))
    except EngineUnavailable as refusal:
        return _Outcome(refusal=refusal)


@cache
def _try_without_bpf(capabilities: int) -> _Outcome:
    try:
        _refuse_machine()
        _refuse_kernel()
        return _Outcome(chain_has_caller=try_cpu_events())
    except KernelRefused as refusal:
        return _Outcome(refusal=explain(refusal, capabilities))
    except EngineUnavailable as refusal:
        return _Outcome(refusal=refusal)


def explain(refusal: KernelRefused, capabilities: int | None = None) -> EngineUnavailable:
    """What *refusal* means on this machine for somebody with these effective *capabilities*: a bit set, or ours."""
    if capabilities is None:
        capabilities = _effective_capabilities()
    if refusal.errno in (errno.EPERM, errno.EACCES) and not refusal.log:
        return _explain_rights(refusal, capabilities)
    release = printable(platform.release())
    if refusal.errno == errno.ENOSYS:
        return EngineUnavailable(f"this kernel ({release}) was built without BPF", remedy=_OTHERWISE)
    if refusal.errno == errno.EINVAL and refusal.call.startswith("a BPF") and not refusal.log:
        return EngineUnavailable(
            f"this kernel ({release}) does not know {refusal.call}: probes need Linux 5.8", remedy=_OTHERWISE
        )
    if refusal.errno in (errno.EMFILE, errno.ENFILE):
        return EngineUnavailable(
            "there are no file descriptors left for probes", remedy="raise the limit (`ulimit -n 4096`)"
        )
    return EngineUnavailable(str(refusal.args[0]), remedy=_OTHERWISE)


def _explain_rights(refusal: KernelRefused, capabilities: int) -> EngineUnavailable:
    has = {name for name, bit in _CAPABILITIES.items() if capabilities >> bit & 1}
    root = os.geteuid() == 0
    if "CAP_SYS_ADMIN" not in has and not {"CAP_PERFMON", "CAP_BPF"} <= has:
        missing = _missing(has)
        if not root:
            return EngineUnavailable(
                f"probes need root ({missing})", remedy="run it with sudo: `sudo leaktui --pid PID`"
            )
        return EngineUnavailable(
            f"root has not all its rights here: {missing}",
            remedy="run leaktui on the host, or give the container the right (docker run --cap-add=SYS_ADMIN)",
        )
    if _in_user_namespace():
        return EngineUnavailable(
            "leaktui runs in a user namespace (a rootless container), whose root may not probe",
            remedy="run leaktui on the host with sudo",
        )
    if _seccomp_filtered():
        return EngineUnavailable(
            f"the container's seccomp profile refuses {refusal.call}",
            remedy="run leaktui on the host, or give the container --security-opt seccomp=unconfined",
        )
    if _locked_down():
        return EngineUnavailable(
            "the kernel is locked down (confidentiality), so that it refuses probes even to root",
            remedy=f"{_OTHERWISE}; only a boot without lockdown changes this",
        )
    return EngineUnavailable(
        f"{refusal.args[0]}, though it has the right ({', '.join(sorted(has))})",
        remedy="look into the audit log for the security module that forbids it",
    )


def _missing(has: set[str]) -> str:
    if "CAP_PERFMON" in has:
        return "CAP_BPF or CAP_SYS_ADMIN is missing beside CAP_PERFMON"
    if "CAP_BPF" in has:
        return "CAP_PERFMON or CAP_SYS_ADMIN is missing beside CAP_BPF"
    return "CAP_SYS_ADMIN, or CAP_PERFMON and CAP_BPF, is missing"


def _refuse_machine() -> None:
    """Raises EngineUnavailable where there cannot be probes of ours at all."""
    machine = platform.machine()
    if not sys.platform.startswith("linux") or machine != "x86_64" or sys.maxsize < 1 << 32:
        raise EngineUnavailable(
            f"probes are for 64-bit Linux on amd64, and this is {sys.platform} on {printable(machine)}",
            remedy=_OTHERWISE,
        )


def _refuse_kernel() -> None:
    """Raises EngineUnavailable where there are no uprobes through perf."""
    if UPROBE_TYPE_FILE.exists():
        return
    if not UPROBE_TYPE_FILE.parents[1].is_dir():
        raise EngineUnavailable(
            "/sys is not mounted here, where the kernel tells how to probe",
            remedy="mount it (`mount -t sysfs sysfs /sys`), or run leaktui outside the container",
        )
    raise EngineUnavailable(
        f"this kernel ({printable(platform.release())}) has no uprobes through perf: that takes Linux 4.17"
        " built with CONFIG_UPROBE_EVENTS",
        remedy=_OTHERWISE,
    )


def _effective_capabilities() -> int:
    """The capabilities of the calling thread as a bit set; 0 where they cannot be read."""
    for line in _read("/proc/thread-self/status").splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0


def _seccomp_filtered() -> bool:
    return any(line.split() == ["Seccomp:", "2"] for line in _read("/proc/thread-self/status").splitlines())


def _in_user_namespace() -> bool:
    """Whether our users are not those of the kernel: those map all 2³² to themselves."""
    text = _read("/proc/self/uid_map")
    return bool(text) and text.split() != ["0", "0", str((1 << 32) - 1)]


def _locked_down() -> bool:
    return "[confidentiality]" in _read("/sys/kernel/security/lockdown")


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""
