"""A real systemd, booted as PID 1 in a container over a throw-away overlay of this machine's root, that runs one script.

Needs root and systemd-nspawn. Bounded by a cgroup and by time; the container's processes are ended by pid.
"""
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

TARGET = "[Unit]\nRequires=basic.target check.service\nAfter=basic.target\n"
SERVICE = """[Unit]
After=basic.target
[Service]
Type=oneshot
StandardOutput=file:/check.out
StandardError=file:/check.out
TimeoutStartSec={seconds}
ExecStart=-/bin/bash /check.sh
ExecStartPost=-/bin/systemctl --no-block poweroff
"""


def why_not():
    """Empty where it is possible."""
    if os.getuid() != 0 or shutil.which("systemd-nspawn") is None:
        return "needs root and systemd-nspawn"
    if not pathlib.Path("/sys/fs/cgroup/memory").is_dir():
        return "needs the cgroup v1 hierarchy that this test bounds the container with"
    return ""


def run_script(script, furnish, seconds=80):
    """What `script` printed in there, or the boot's own words when it did not come so far. `furnish(root)` puts files in before."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="millwright-nspawn-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1g", "tmpfs", folder], check=True)
    group = f"millwright_test.{os.getpid()}"
    hierarchies = [pathlib.Path("/sys/fs/cgroup") / k / group for k in ("pids", "memory", "systemd")]
    try:
        for name in ("up", "work", "root"):
            (folder / name).mkdir()
        root = folder / "root"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", f"lowerdir=/,upperdir={folder}/up,workdir={folder}/work", root], check=True)
        (root / "etc/machine-id").write_text("")
        for wants in (root / "etc/systemd/system").glob("*.wants/*"):
            wants.unlink()
        furnish(root)
        (root / "etc/systemd/system/check.service").write_text(SERVICE.format(seconds=seconds))
        (root / "etc/systemd/system/check.target").write_text(TARGET)
        (root / "check.sh").write_text(script)
        for path in hierarchies:
            path.mkdir(parents=True, exist_ok=True)
        (hierarchies[1] / "memory.limit_in_bytes").write_text(str(2 << 30))
        (hierarchies[0] / "pids.max").write_text("512")

        def enter():
            for path in hierarchies:
                (path / "cgroup.procs").write_text(str(os.getpid()))

        with open(folder / "boot.log", "wb") as log:
            subprocess.run(["timeout", "-s", "TERM", "-k", "5", str(seconds + 30), "systemd-nspawn", "-q", "--register=no", "--keep-unit", "-D", str(root),
                            "-M", "milltest", "--private-network", "--console=pipe", "-b", "systemd.unit=check.target"],
                           stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=enter, check=False)
        out = root / "check.out"
        return out.read_text(errors="replace") if out.exists() else (folder / "boot.log").read_text(errors="replace")
    finally:
        procs = hierarchies[1] / "cgroup.procs"
        if procs.exists():
            for pid in procs.read_text().split():
                try:
                    os.kill(int(pid), signal.SIGKILL)
                except ProcessLookupError:
                    pass
        time.sleep(0.5)
        subprocess.run(["umount", "-l", folder / "root"], check=False)
        subprocess.run(["umount", "-l", folder], check=False)
        folder.rmdir()
        for path in hierarchies:
            subprocess.run(["find", str(path), "-depth", "-type", "d", "-exec", "rmdir", "{}", ";"], check=False, capture_output=True)
