"""No name leads a request astray, though its addresses change between create, verify, send, retry.

The cases stand in `rebinding_cases`. They run in a network namespace without routes, where wrong
addresses can be listened on and a broken guard can reach nothing else.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CASES = "tests/security/rebinding_cases.py"
SHORT = 60

# What the namespace has beside 127.0.0.1 and ::1: two addresses that anybody may call, and some
# that nobody may.
_ADDRESSES = (
    "93.184.216.34/32",
    "10.1.2.3/32",
    "100.100.100.200/32",
    "169.254.169.254/32",
    "192.168.1.1/32",
    "2606:2800:220:1::1/128",
    "fd00:ec2::254/128",
)
_PREPARE = """
set -e
ip link set lo up
for one in {addresses}; do
    case $one in *:*) ip -6 addr add "$one" dev lo nodad;; *) ip addr add "$one" dev lo;; esac
done
mount --bind "$1" /etc/resolv.conf
shift
exec "$@"
"""


def _in_a_namespace(
    folder: Path, *command: str, seconds: float
) -> subprocess.CompletedProcess[str]:
    resolv = folder / "resolv.conf"
    resolv.write_text("nameserver 127.0.0.1\n", "ascii")
    unshare = ["unshare", "--net", "--mount", *(["--map-root-user"] if os.geteuid() else [])]
    prepare = _PREPARE.format(addresses=" ".join(_ADDRESSES))
    return subprocess.run(
        [*unshare, "sh", "-c", prepare, "sh", str(resolv), *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


@pytest.mark.timeout(300)
def test_rebinding_never_leads_a_request_astray(tmp_path: Path) -> None:
    try:
        tried = _in_a_namespace(tmp_path, "true", seconds=SHORT)
    except FileNotFoundError:
        pytest.skip("rebinding needs a network namespace, and there is no unshare here")
    if tried.returncode:
        why = tried.stderr.strip().splitlines()[-1:] or ["no reason given"]
        pytest.skip(f"rebinding needs a network namespace, which is not permitted: {why[0]}")
    pytest_command = [sys.executable, "-m", "pytest", CASES, "-qx", "-p", "no:cacheprovider"]
    ended = _in_a_namespace(
        tmp_path, *pytest_command, f"--basetemp={tmp_path / 'cases'}", seconds=240
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "skipped" not in ended.stdout
