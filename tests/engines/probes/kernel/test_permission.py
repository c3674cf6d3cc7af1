"""What is said where probes are not permitted."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from leaktui.engines.probes.kernel import permission, trial
from leaktui.engines.probes.kernel.permission import check, explain
from leaktui.engines.probes.kernel.system_call import KernelRefused
from leaktui.errors import EngineUnavailable
from tests.engines.conftest import as_nobody

SYS_ADMIN, PERFMON, BPF = 1 << 21, 1 << 38, 1 << 39


@pytest.mark.root
@pytest.mark.parametrize("linked", [True, False])
def test_the_trial_leaves_nothing_behind(probes_permitted: None, linked: bool) -> None:
    if linked and not check():
        pytest.skip("this kernel has no links of uprobes")
    trial.wait()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        trial.try_bpf(linked=linked)
    trial.wait()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.root
def test_the_trial_fails_where_nothing_is_recorded(
    probes_permitted: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "call", lambda address: None)
    with pytest.raises(EngineUnavailable, match="0 hits were recorded"):
        trial.try_bpf(linked=False)
    trial.wait()


@pytest.mark.root
def test_a_user_is_told_to_use_sudo(probes_permitted: None) -> None:
    with as_nobody():
        for _ in range(2):
            with pytest.raises(EngineUnavailable, match="probes need root") as caught:
                check()
            assert "sudo leaktui" in caught.value.remedy
    check()


def refused(call: str, number: int) -> KernelRefused:
    return KernelRefused(call, number)


@pytest.mark.parametrize(
    ("capabilities", "missing"),
    [
        (0, "CAP_SYS_ADMIN, or CAP_PERFMON and CAP_BPF, is missing"),
        (PERFMON, "CAP_BPF or CAP_SYS_ADMIN is missing"),
        (BPF, "CAP_PERFMON or CAP_SYS_ADMIN is missing"),
    ],
)
@pytest.mark.parametrize("user", [0, 1000])
def test_the_missing_capability_is_named(
    monkeypatch: pytest.MonkeyPatch, capabilities: int, missing: str, user: int
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    error = explain(refused("a BPF ring buffer", errno.EPERM), capabilities)
    assert missing in str(error.args[0])
    assert ("docker run --cap-add=SYS_ADMIN" if user == 0 else "sudo leaktui") in error.remedy


@pytest.mark.parametrize("capabilities", [SYS_ADMIN, PERFMON | BPF])
@pytest.mark.parametrize(
    ("files", "reason", "remedy"),
    [
        ({"/proc/self/uid_map": "         0       1000          1\n"}, "user namespace", "on the host"),
        (
            {"/proc/thread-self/status": "Name:\tx\nSeccomp:\t2\nSeccomp_filters:\t1\n"},
            "seccomp profile refuses a uprobe",
            "seccomp=unconfined",
        ),
        (
            {"/sys/kernel/security/lockdown": "none integrity [confidentiality]\n"},
            "locked down",
            "memory engine",
        ),
        (
            {
                "/proc/self/uid_map": "0 0 4294967295\n",
                "/proc/thread-self/status": "Seccomp:\t0\n",
                "/sys/kernel/security/lockdown": "none [integrity] confidentiality\n",
            },
            "EPERM: Operation not permitted), though it has the right",
            "audit log",
        ),
    ],
)
def test_a_refusal_in_spite_of_the_right(
    monkeypatch: pytest.MonkeyPatch, capabilities: int, files: dict[str, str], reason: str, remedy: str
) -> None:
    monkeypatch.setattr(permission, "_read", lambda path: files.get(path, ""))
    error = explain(refused("a uprobe", errno.EPERM), capabilities)
    assert reason in str(error.args[0])
    assert remedy in error.remedy


@pytest.mark.parametrize(
    ("call", "number", "reason"),
    [
        ("a BPF ring buffer", errno.EINVAL, "does not know a BPF ring buffer: probes need Linux 5.8"),
        ("a BPF array", errno.ENOSYS, "built without BPF"),
        ("a uprobe", errno.EMFILE, "no file descriptors left"),
        ("a uprobe", errno.EINVAL, "refused a uprobe (EINVAL: Invalid argument)"),
    ],
)
def test_other_refusals(call: str, number: int, reason: str) -> None:
    error = explain(refused(call, number), SYS_ADMIN)
    assert reason in str(error.args[0])
    assert error.remedy


@pytest.mark.parametrize("number", [errno.EACCES, errno.EINVAL])
def test_a_word_of_the_verifier_is_no_matter_of_rights_or_age(number: int) -> None:
    error = explain(KernelRefused("a BPF program", number, log="R1 invalid mem access"), 0)
    assert "R1 invalid mem access" in str(error.args[0])
    assert "root" not in str(error)
    assert "5.8" not in str(error)


def test_another_machine_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(permission, "_effective_capabilities", lambda: 1 << 60)  # never tried before
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(EngineUnavailable, match="amd64, and this is linux on aarch64"):
        check()


@pytest.mark.parametrize(("there", "reason"), [(False, "/sys is not mounted"), (True, "Linux 4.17")])
def test_no_uprobes_through_perf(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory, there: bool, reason: str
) -> None:
    def refuse(*, linked: bool) -> None:
        assert linked
        raise KernelRefused("a link of uprobes", errno.EINVAL)

    devices = tmp_path_factory.mktemp("devices")
    monkeypatch.setattr(
        permission, "UPROBE_TYPE_FILE", devices / ("uprobe" if there else "gone/uprobe") / "type"
    )
    monkeypatch.setattr(permission, "_effective_capabilities", lambda: 1 << 61 | there)
    monkeypatch.setattr(permission, "try_bpf", refuse)
    with pytest.raises(EngineUnavailable, match=reason) as caught:
        check()
    assert caught.value.remedy
