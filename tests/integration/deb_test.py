"""The Debian packages, made of the programs under test, in a real systemd: installed, used, upgraded under a running job, removed, purged.

And `millwright-agent service`, for those who have no package. Skips where that is not possible, and says so.
"""
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import nspawn
from mill import BIN, SOURCE, Test

PROGRAMS = ["millwright", "millwright-factory", "millwright-agent", "millwright-keeper", "millwright-broker", "millwright-runner", "millwright-companion"]
PACKAGES = ["millwright", "millwright-agent", "millwright-companion", "millwright-factory", "millwright-runtime"]

START = r"""
set -u
export HOME=/tmp LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
say() { echo "CHECK $*"; }
until_true() { for i in $(seq 300); do "$@" && return 0; sleep 0.2; done; return 1; }
value() { systemctl show -p "$1" --value millwright-agent; }
state_is() { millwright show "$1" --json | grep -q "\"state\": *\"$2\""; }
use_factory() {
    until_true test -s $1/admin-token || { journalctl --no-pager -n 60; exit; }
    export MILLWRIGHT_FACTORY=http://127.0.0.1:7460 MILLWRIGHT_TOKEN=$(cat $1/admin-token)
}
code() { millwright agents invite --approve --json | sed -n 's/.*"code": *"\([^"]*\)".*/\1/p'; }
package() { # package NAME COMMAND
    mkdir -p /tmp/$1
    printf 'name: %s\nversion: 1.0.0\nworkflow: main.yaml\npermissions: { commands: [ /bin/sh, sleep, id ] }\n' $1 > /tmp/$1/package.yaml
    printf 'document: { dsl: 1.0.3, namespace: tests, name: %s, version: 1.0.0 }\ndo:\n  - a: { run: { shell: { command: "%s" } } }\n' $1 "$2" > /tmp/$1/main.yaml
    millwright deploy /tmp/$1 > /tmp/deploy.log 2>&1 || cat /tmp/deploy.log
}
ran() { millwright trigger $1 --wait --json > /tmp/out.json 2>&1; grep -q '"successful"' /tmp/out.json || { cat /tmp/out.json; return 1; }; }
"""

PACKAGED = START + r"""
dpkg -i /debs/1/*.deb > /tmp/dpkg.log 2>&1 && say installed || cat /tmp/dpkg.log
systemctl -q is-active millwright-factory && say factory-started
systemctl -q is-active millwright-agent || say agent-not-started
systemctl -q is-failed millwright-agent || say agent-not-failed
systemctl status millwright-agent > /tmp/status; cat /tmp/status
grep -q "this machine is not enrolled at a factory" /tmp/status && grep -q "millwright-agent enrol --data /var/lib/millwright/agent" /tmp/status && say status-says-what-to-type
systemctl -q is-enabled millwright-agent && say agent-enabled
millwright-agent service status > /tmp/status; [ $? = 3 ] && grep -q "enrolled  no" /tmp/status && say service-status-3
millwright-agent service install 2> /tmp/refused; [ $? = 78 ] && grep -q "belongs to an installed package" /tmp/refused && say install-refused
millwright-agent service start 2> /tmp/refused; [ $? = 78 ] && grep -q "not enrolled" /tmp/refused && say start-refused
for user in millwright millwright-broker millwright-run millwright-factory; do id $user > /dev/null && say user-$user; done
bash -c '. /usr/share/bash-completion/completions/millwright-agent; complete -p millwright-agent' && say completion

dpkg-deb -c /debs/1/millwright-companion_*.deb > /tmp/files
grep -q ' ./usr/libexec/millwright/millwright-companion$' /tmp/files && grep -q ' ./usr/bin/millwright-companion -> ' /tmp/files && say companion-has-its-program
grep -q ' ./usr/share/man/man1/millwright-companion.1.gz$' /tmp/files && say companion-has-its-page
autostart=/etc/xdg/autostart/millwright-companion.desktop
grep -q " .$autostart\$" /tmp/files && [ -x "$(sed -n 's/^TryExec=//p' $autostart)" ] && say companion-starts-with-the-desktop
[ "$(millwright-companion --version | cut -d' ' -f1)" = millwright-companion ] && say companion-runs
beside() { setpriv --reuid nobody --regid nogroup --clear-groups env -i HOME=/tmp/nobody PATH=/usr/bin:/bin millwright-companion "$@"; }
[ -z "$(beside $(sed -n 's/^Exec=[^ ]* //p' $autostart) 2>&1)" ] && say companion-is-silent-beside-nobody
install -d -o nobody -g nogroup /tmp/there; beside --data /tmp/there 2> /tmp/refused; [ $? = 78 ] && grep -q "there is no desktop session here" /tmp/refused && say companion-needs-a-desktop

use_factory /var/lib/millwright/factory
code | millwright-agent enrol --data /var/lib/millwright/agent --factory $MILLWRIGHT_FACTORY --code-file - --name box && say enrolled
sed -i 's/^unsigned: false/unsigned: true/' /etc/millwright/policy.yaml
echo 'slots: 3' >> /etc/millwright/agent.yaml
millwright-agent service start && say started
until_true systemctl -q is-active millwright-agent
millwright-agent service status && say service-status-0
millwright-agent service status --json | grep -q '"name": *"box"' && say service-status-json
millwright agents --json | grep -q '"slots": *3' && say settings-of-etc
package who 'id -u'
ran who && say job-ran
grep -q "$(id -u millwright-run)" /tmp/out.json && say job-ran-as-millwright-run
[ "$(stat -c %U /var/lib/millwright/agent)" = millwright ] && say data-is-millwrights

package slow 'sleep 20'
pid=$(value MainPID)
job=$(millwright trigger slow --json | sed -n 's/.*"\(jobUid\|uid\)": *"\([^"]*\)".*/\2/p')
echo "job $job"
until_true state_is $job running && say job-runs
sleep 1
runner=$(pgrep -u millwright-run -f 'sleep 20' | head -1)
dpkg -i /debs/2/*.deb > /tmp/dpkg.log 2>&1 && say upgraded; cat /tmp/dpkg.log
dpkg-query -W millwright-agent
[ -n "$runner" ] && { [ -d /proc/$runner ] || state_is $job successful; } && say job-went-on   # over already, when the machine is slow
[ "$(value MainPID)" = "$pid" ] && [ "$(value NRestarts)" = 0 ] && say same-process
until_true systemctl -q is-active millwright-factory
until_true state_is $job successful && say job-ended-well || millwright show $job
[ "$(value MainPID)" = "$pid" ] && say same-process-afterwards
ran who && say job-ran-after-upgrade
grep -q 'unsigned: true' /etc/millwright/policy.yaml && say settings-kept
fresh() { p=$(pgrep -u millwright -f 'millwright-agent serve') && case "$(readlink /proc/$p/exe)" in *"(deleted)") return 1 ;; esac; }
until_true fresh && say programs-renewed
[ "$(value MainPID)" = "$pid" ] && say same-process-after-renewal

millwright-agent stop --data /var/lib/millwright/agent
until_true eval '! systemctl -q is-active millwright-agent'
dpkg -i /debs/2/millwright-agent_*.deb > /tmp/dpkg.log 2>&1; systemctl -q is-active millwright-agent || say what-was-stopped-stays-stopped

systemctl start millwright-agent
dpkg -r millwright-agent > /tmp/dpkg.log 2>&1 && say removed
systemctl -q is-active millwright-agent || say stopped-by-removal
[ -d /var/lib/millwright/agent/factories ] && [ -f /etc/millwright/policy.yaml ] && say state-kept
dpkg -i /debs/2/millwright-agent_*.deb > /tmp/dpkg.log 2>&1
until_true systemctl -q is-active millwright-agent && ran who && say back-after-removal || cat /tmp/dpkg.log

dpkg -P millwright-companion millwright-agent millwright-factory millwright millwright-runtime > /tmp/dpkg.log 2>&1 && say purged || cat /tmp/dpkg.log
[ ! -e /var/lib/millwright ] && say data-gone || find /var/lib/millwright
[ ! -e /etc/millwright ] && say settings-gone || find /etc/millwright
[ ! -e $autostart ] && [ ! -e /usr/bin/millwright-companion ] && say companion-gone
[ ! -e /usr/libexec/millwright ] && [ ! -e /lib/systemd/system/millwright-agent.service ] && say programs-gone
find /etc/systemd -name '*millwright*' | grep . || say no-links-left
id millwright > /dev/null && say users-stay
pgrep -f '/millwright-' || say nothing-runs
journalctl --no-pager -u millwright-agent -u millwright-factory -n 80
"""

BY_HAND = START + r"""
export PATH=/opt/mill/bin:$PATH
systemd-run -q --unit=factory /opt/mill/bin/millwright-factory --data /var/lib/factory
use_factory /var/lib/factory
millwright-agent service status > /tmp/said; [ $? = 4 ] && grep -q "service install" /tmp/said && say not-installed
millwright-agent service start 2> /tmp/said; [ $? = 78 ] && say start-needs-install
setpriv --reuid nobody --regid nogroup --clear-groups millwright-agent service install 2> /tmp/said; [ $? = 77 ] && grep -q -- --user /tmp/said && say root-needed
millwright-agent service install --data "/var/lib/robots/one" > /tmp/said && say written; cat /tmp/said
before=$(stat -c %Y%i /etc/systemd/system/millwright-agent.service)
millwright-agent service install > /tmp/said && grep -q "is as it was" /tmp/said && [ "$before" = "$(stat -c %Y%i /etc/systemd/system/millwright-agent.service)" ] && say written-once
systemctl -q is-enabled millwright-agent && say enabled
id millwright-run && say users-made
systemctl start millwright-agent; systemctl -q is-active millwright-agent || say not-started-before-enrolment
code | millwright-agent enrol --data /var/lib/robots/one --factory $MILLWRIGHT_FACTORY --code-file - --name box
sed -i 's/^unsigned: false/unsigned: true/' /var/lib/robots/one/policy.yaml
millwright-agent service start && systemctl -q is-active millwright-agent && say started
millwright-agent service status && say status-0
package who 'id -u'
ran who && say job-ran
millwright-agent service stop; systemctl -q is-active millwright-agent || say stopped
millwright-agent service start
millwright-agent service uninstall && say uninstalled
systemctl -q is-active millwright-agent || say stopped-by-uninstall
[ ! -e /etc/systemd/system/millwright-agent.service ] && ! find /etc/systemd -name '*millwright*' | grep -q . && say unit-gone
[ -d /var/lib/robots/one/factories ] && say data-stays
millwright-agent service uninstall | grep -q "nothing to do" && say uninstalled-once
systemd-analyze security --no-pager millwright-agent 2>/dev/null | tail -1

# A person's own.
useradd -m ada; ada=$(id -u ada)
systemctl start user@$ada
as_ada() { (cd /home/ada; setpriv --reuid ada --regid ada --init-groups env HOME=/home/ada XDG_RUNTIME_DIR=/run/user/$ada PATH=$PATH MILLWRIGHT_FACTORY=$MILLWRIGHT_FACTORY "$@"); }
if [ -d /run/user/$ada/systemd ]; then
    as_ada millwright-agent service install --user && say user-written
    as_ada grep -q CapabilityBoundingSet .config/systemd/user/millwright-agent.service || say user-unit-is-plain
    code > /tmp/code; chmod 644 /tmp/code
    as_ada millwright-agent enrol --data /home/ada/.local/share/millwright/agent --factory $MILLWRIGHT_FACTORY --code-file /tmp/code --name adas
    as_ada sed -i 's/^unsigned: false/unsigned: true/' .local/share/millwright/agent/policy.yaml
    as_ada millwright-agent service start --user && say user-started
    as_ada millwright-agent service status --user && say user-status-0
    ran who && grep -q "$ada" /tmp/out.json && say user-job-ran
    as_ada millwright-agent service uninstall --user && as_ada test ! -e .config/systemd/user/millwright-agent.service && say user-uninstalled
else
    echo "there is no manager of a person's own in this container"
fi
journalctl --no-pager -u millwright-agent -u user@$ada -n 60
"""


def words_of(script):
    """What a script is expected to say, in its own order."""
    return [word for word in dict.fromkeys(part.split()[0].rstrip(";") for part in script.split("say ")[1:] if part[0].isalpha())]


class Packages(Test):
    folder = None

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="millwright-debs-"))
        cls.why = "" if shutil.which("dh") and shutil.which("dpkg-buildpackage") else "needs debhelper and dpkg-dev (packaging/install-packages package)"

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    def build(self, name, *more):
        out = self.folder / name
        if not out.exists():
            done = subprocess.run([SOURCE / "packaging/deb/build", "--from", BIN, "--output", out, "--no-install", *more], capture_output=True, text=True,
                                  timeout=300, check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertEqual(sorted(pathlib.Path(line).name.split("_")[0] for line in done.stdout.split()), PACKAGES)
        return out

    def test_lintian_has_neither_errors_nor_warnings(self):
        if self.why or shutil.which("lintian") is None:
            self.skipTest(self.why or "needs lintian (packaging/install-packages package)")
        self.build("first")

    def test_it_is_installed_used_upgraded_under_a_job_removed_and_purged(self):
        if why := self.why or nspawn.why_not():
            self.skipTest(why)
        first = self.build("first", *([] if shutil.which("lintian") else ["--no-lintian"]))
        second = self.build("second", "--no-lintian", "--version", "99.0")

        def furnish(root):
            for name, folder in (("1", first), ("2", second)):
                shutil.copytree(folder, root / "debs" / name)
            (root / "usr/sbin/policy-rc.d").unlink(missing_ok=True)  # what images for containers have, so that no service starts

        said = nspawn.run_script(PACKAGED, furnish, 240)
        expected = [w for w in words_of(PACKAGED) if w != "user-$user"] + ["user-millwright", "user-millwright-broker", "user-millwright-run", "user-millwright-factory"]
        self.assertEqual([word for word in expected if f"CHECK {word}\n" not in said], [], said)

    def test_the_build_says_what_is_missing(self):
        if self.why:
            self.skipTest(self.why)
        done = subprocess.run([SOURCE / "packaging/deb/build", "--from", self.folder, "--output", self.folder / "none", "--no-install", "--no-lintian"],
                              capture_output=True, text=True, timeout=60, check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("millwright is not there", done.stderr)
        self.assertEqual(os.path.exists(self.folder / "none"), False)


class ByHand(Test):
    def test_the_service_command_makes_starts_and_removes_a_service(self):
        if why := nspawn.why_not():
            self.skipTest(why)

        def furnish(root):
            (root / "opt/mill/bin").mkdir(parents=True)
            for program in PROGRAMS:
                shutil.copy2(BIN / program, root / "opt/mill/bin" / program)
            for path in ("opt/mill", "opt/mill/bin"):
                (root / path).chmod(0o755)

        said = nspawn.run_script(BY_HAND, furnish, 150)
        absent = "there is no manager of a person's own" in said
        expected = [w for w in words_of(BY_HAND) if not (absent and w.startswith("user-"))]
        self.assertEqual([word for word in expected if f"CHECK {word}\n" not in said], [], said)


if __name__ == "__main__":
    unittest.main()
