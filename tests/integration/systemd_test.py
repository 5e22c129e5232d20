"""The units under a real systemd (nspawn.py). Skips where that is not possible, and says so."""
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import nspawn
from mill import BIN, SOURCE, Test

PROGRAMS = ["millwright", "millwright-factory", "millwright-agent", "millwright-keeper", "millwright-broker", "millwright-runner"]

CHECK = r"""
set -u
say() { echo "CHECK $*"; }
back() { sleep 1; for i in $(seq 50); do systemctl -q is-active $1 && return 0; sleep 0.2; done; return 1; }
systemd-sysusers /usr/lib/sysusers.d/millwright.conf
mkdir -p /etc/millwright
systemctl start millwright-factory && say factory-started
systemctl show -p MainPID -p ActiveState -p NotifyAccess millwright-factory
url=http://127.0.0.1:7460
export MILLWRIGHT_FACTORY=$url MILLWRIGHT_TOKEN=$(cat /var/lib/millwright/factory/admin-token)
export HOME=/tmp
code=$(millwright agents invite --approve --json | sed -n 's/.*"code": *"\([^"]*\)".*/\1/p')
install -d -o millwright -g millwright -m 0700 /var/lib/millwright/agent
echo "$code" | setpriv --reuid millwright --regid millwright --clear-groups millwright-agent enrol --data /var/lib/millwright/agent --factory $url --code-file - --name box && say enrolled
echo "unsigned: true" > /var/lib/millwright/agent/policy.yaml
chown millwright: /var/lib/millwright/agent/policy.yaml
mkdir -p /etc/systemd/system/millwright-agent.service.d
printf '[Service]\nLoadCredential=millwright.box-token:/etc/millwright/box-token\n' > /etc/systemd/system/millwright-agent.service.d/credential.conf
(umask 077; echo "token: $MILLWRIGHT_TOKEN" > /etc/millwright/box-token)
systemctl daemon-reload
systemctl start millwright-agent && say agent-started
mkdir /tmp/p; cat > /tmp/p/package.yaml <<'END'
name: who
version: 1.0.0
workflow: main.yaml
permissions: { commands: [ /bin/sh ] }
END
cat > /tmp/p/main.yaml <<'END'
document: { dsl: 1.0.3, namespace: tests, name: who, version: 1.0.0 }
do:
  - a: { run: { shell: { command: 'id -u' } } }
END
millwright deploy /tmp/p >/tmp/deploy.log 2>&1 || cat /tmp/deploy.log
curl -s $url/readyz | grep -q '"packageChecks":"ok"' && say checks-possible
millwright packages --json | grep -q '"who"' && say package-checked
sed 's/do:/input: { schema: { document: { properties: { a: { pattern: "^b+$" } } } } }\ndo:/; s/name: who/name: patterned/' /tmp/p/main.yaml > /tmp/main.yaml
mkdir /tmp/q; sed 's/name: who/name: patterned/' /tmp/p/package.yaml > /tmp/q/package.yaml; mv /tmp/main.yaml /tmp/q/main.yaml
millwright deploy /tmp/q >/tmp/deploy.log 2>&1 || cat /tmp/deploy.log
echo '{"a": "c"}' | millwright trigger patterned --input - > /tmp/refused 2>&1 || grep -q "regex" /tmp/refused && say input-checked; cat /tmp/refused
systemctl show -p NRestarts millwright-factory | grep -q NRestarts=0 && say factory-not-restarted
millwright trigger who --wait --json > /tmp/out.json 2>&1; cat /tmp/out.json
grep -q '"successful"' /tmp/out.json && say job-ran
id -u millwright-run | xargs -I{} sh -c "grep -q '{}' /tmp/out.json" && say job-ran-as-millwright-run
millwright-agent credentials check --data /var/lib/millwright/agent | tee /tmp/held | grep -q "ok     box-token: /run/credentials/millwright-agent.service/" && say credential-checked; cat /tmp/held
millwright credentials set box-token --kind bearer --held machine --hosts 127.0.0.1
mkdir /tmp/c; cat > /tmp/c/package.yaml <<'END'
name: asks
version: 1.0.0
workflow: main.yaml
credentials: { own: { kind: bearer } }
permissions: { credentials: [ own ], network: [ "http://127.0.0.1:7460" ] }
END
cat > /tmp/c/main.yaml <<'END'
document: { dsl: 1.0.3, namespace: tests, name: asks, version: 1.0.0 }
use: { secrets: [ own ] }
do:
  - a: { call: http, with: { method: get, endpoint: { uri: "http://127.0.0.1:7460/v1/agents", authentication: { bearer: { use: own } } } } }
END
cat > /tmp/c.yaml <<'END'
{ kind: Deployment, name: asks, package: asks@1.0.0, environment: default, credentials: { own: box-token }, permissions: as-requested }
---
{ kind: Trigger, name: asks, deployment: asks, type: api }
END
millwright pack /tmp/c --output /tmp/asks.mwp && millwright publish /tmp/asks.mwp && millwright apply -f /tmp/c.yaml
millwright trigger asks --wait --json > /tmp/out.json 2>&1; grep -q '"successful"' /tmp/out.json && say credential-of-systemd-used || cat /tmp/out.json
for name in agent broker; do
    pid=$(pgrep -f "millwright-$name( |$)" | while read p; do [ "$(stat -c %U /proc/$p)" != root ] && echo $p; done | head -1)
    [ -n "$pid" ] && say "$name-is-$(stat -c %U /proc/$pid)"
done
systemctl kill -s KILL --kill-who=main millwright-factory
back millwright-factory && say factory-restarted
systemctl kill -s KILL --kill-who=main millwright-agent
back millwright-agent && say agent-restarted
millwright trigger who --wait --json | grep -q '"successful"' && say job-ran-again
millwright-agent seal --data /var/lib/millwright/agent
systemctl reload millwright-agent
for i in $(seq 50); do ls /var/lib/millwright/agent/factories/*/key >/dev/null 2>&1 || break; sleep 0.2; done
ls -l /var/lib/millwright/agent/factories/* /var/lib/millwright/agent.sealed
[ -n "$(ls /var/lib/millwright/agent.sealed)" ] && ! ls /var/lib/millwright/agent/factories/*/key && say key-sealed
systemctl restart millwright-agent
millwright trigger who --wait --json | grep -q '"successful"' && say job-ran-with-the-sealed-key
millwright-agent stop --data /var/lib/millwright/agent --after job; millwright-agent rotate --data /var/lib/millwright/agent; systemctl start millwright-agent
for i in $(seq 50); do ls /var/lib/millwright/agent/factories/*/key >/dev/null 2>&1 || break; sleep 0.2; done
! ls /var/lib/millwright/agent/factories/*/key && millwright trigger who --wait --json | grep -q '"successful"' && say rotated-key-sealed
systemctl stop millwright-agent millwright-factory && say stopped
systemctl show -p Result millwright-agent millwright-factory
pgrep -f millwright-runner || say nothing-left
journalctl --no-pager -u millwright-agent -u millwright-factory -n 60
"""


class Units(Test):
    def test_the_units_carry_a_job_and_come_back_after_a_kill(self):
        if why := nspawn.why_not():
            self.skipTest(why)
        said = nspawn.run_script(CHECK, self.furnish)
        for expected in ("factory-started", "checks-possible", "package-checked", "input-checked", "factory-not-restarted", "enrolled", "agent-started", "job-ran", "job-ran-as-millwright-run", "agent-is-millwright", "broker-is-millwright-broker",
                         "credential-checked", "credential-of-systemd-used",
                         "factory-restarted", "agent-restarted", "job-ran-again", "key-sealed", "job-ran-with-the-sealed-key", "rotated-key-sealed", "stopped", "nothing-left"):
            self.assertIn(f"CHECK {expected}\n", said, said)

    def furnish(self, root):
        for program in PROGRAMS:
            shutil.copy2(BIN / program, root / "usr/bin" / program)
        for unit in ("millwright-factory.service", "millwright-agent.service"):
            shutil.copy2(SOURCE / "packaging/systemd" / unit, root / "etc/systemd/system" / unit)
        (root / "etc/millwright").mkdir(exist_ok=True)
        shutil.copy2(SOURCE / "packaging/systemd/factory.yaml", root / "etc/millwright/factory.yaml")
        shutil.copy2(SOURCE / "packaging/systemd/millwright.sysusers", root / "usr/lib/sysusers.d/millwright.conf")

    def test_systemd_finds_nothing_to_say_about_the_units(self):
        if shutil.which("systemd-analyze") is None:
            self.skipTest("needs systemd-analyze")
        for unit in ("millwright-factory.service", "millwright-agent.service"):
            with tempfile.TemporaryDirectory() as folder:
                copy = pathlib.Path(folder) / unit
                text = (SOURCE / "packaging/systemd" / unit).read_text()
                copy.write_text(text.replace("/usr/bin/millwright", f"{BIN}/millwright"))
                done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(copy)], capture_output=True, text=True, check=False)
                ours = [l for l in (done.stdout + done.stderr).splitlines() if "millwright" in l]
                self.assertEqual(ours, [], unit)

    def test_systemd_finds_the_agent_no_more_exposed_than_it_has_to_be(self):
        if shutil.which("systemd-analyze") is None:
            self.skipTest("needs systemd-analyze")
        unit = SOURCE / "packaging/systemd/millwright-agent.service"
        # The threshold is the figure times ten: 4.0.
        analyze = ["systemd-analyze", "security", "--no-pager", "--offline=true", "--threshold=40"]
        done = subprocess.run([*analyze, str(unit)], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        with tempfile.TemporaryDirectory() as folder:
            weaker = pathlib.Path(folder) / unit.name
            weaker.write_text(unit.read_text().replace("\nCapabilityBoundingSet=", "\n#"))
            self.assertNotEqual(subprocess.run([*analyze, str(weaker)], capture_output=True, check=False).returncode, 0, "a weaker unit is noticed")


if __name__ == "__main__":
    unittest.main()
