"""What a person on the agent's machine may ask of the running agent: status, pause, drain, stop, reload, renew. Jobs go on through all of it."""
import json
import os
import shutil
import signal
import subprocess
import unittest

from mill import BIN, Program, Test, World, call_socket, wait_for

WAITS = "\ndo:\n  - hold: { wait: PT4S }\n  - answer: { set: { done: true } }\n"
QUICK = "\ndo:\n  - answer: { set: { done: true } }\n"


class Control(Test):
    def ask(self, world, data, *words, check=True, **more):
        return world.command(BIN / "millwright-agent", *words, "--data", data, check=check, **more)

    def status(self, world, data):
        done = self.ask(world, data, "status", "--json", check=False)
        return json.loads(done.stdout) if done.stdout else None

    def begin(self, world, workflow=WAITS, **more):
        world.start_factory()
        agent = world.agent(**more)
        return agent, world.folder / "srv-1", world.deploy("waits", workflow)

    def copied_programs(self, world):
        """A folder of the programs that may be replaced, and their names."""
        programs = world.folder / "programs"
        programs.mkdir()
        names = [path.name for path in BIN.iterdir() if path.name.startswith("millwright")]
        for name in names:
            shutil.copy2(BIN / name, programs / name)
        os.chmod(programs, 0o755)
        return programs, names

    def running(self, world, uid):
        wait_for("the job to run", lambda: world.job(uid)["state"] == "running")

    def why(self, world, uid):
        return world.run("why", uid).stdout

    @unittest.skipIf(os.getuid() != 0, "a small disk is mounted by root")
    def test_no_new_jobs_before_the_disk_is_full_and_again_when_there_is_room(self):
        with World() as world:
            world.start_factory()
            trigger = world.deploy("waits", WAITS)
            data = world.folder / "srv-1"
            data.mkdir()
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m,mode=700,uid=65534,gid=65534", "tmpfs", data], check=True)
            self.addCleanup(subprocess.run, ["umount", "--lazy", data], capture_output=True)
            agent = world.agent()
            uid = world.trigger(trigger)
            self.running(world, uid)
            with (data / "ballast").open("wb") as out:
                out.write(b"x" * (58 << 20))
            wait_for("its word", lambda: any("kept free for reports" in text for text in self.status(world, data)["problems"]))
            world.ended(uid)                                   # what runs goes on, and its end is written
            waits = world.trigger(trigger)
            wait_for("the reason", lambda: "kept free for reports" in self.why(world, waits))
            self.assertEqual(world.job(waits)["state"], "ready")
            (data / "ballast").unlink()
            self.assertEqual(world.ended(waits)["state"], "successful")
            agent.stop()

    def test_status_tells_the_truth_and_so_do_health_and_metrics(self):
        with World() as world:
            world.start_factory()
            data = world.enrol()
            (data / "config.yaml").write_text("slots: 3\nmetrics: 127.0.0.1:0\n")
            agent = world.start_agent(data)
            trigger = world.deploy("waits", WAITS)
            uid = world.trigger(trigger)
            self.running(world, uid)
            status = self.status(world, data)
            [at] = status["factories"]
            self.assertEqual((at["name"], at["url"], status["slots"]), ("srv-1", world.url, {"total": 3, "taken": 1, "free": 2}))
            self.assertEqual([a["job"] for a in at["attempts"]], [uid])
            self.assertEqual(status["pid"], agent.children("millwright-agent")[0])
            self.assertEqual(sorted(loop["name"] for loop in status["loops"]), ["files", "lease", "link", "log", "runs", "uplink"])
            self.assertEqual(status["problems"], [])
            text = self.ask(world, data, "status").stdout
            self.assertIn("1 of 3 taken", text)
            self.assertIn(uid, text)
            socket = data / "control"
            self.assertEqual(socket.stat().st_mode & 0o777, 0o600)
            self.assertEqual(call_socket(socket, "/healthz"), (200, {"status": "ok", "problems": []}))
            metrics = call_socket(socket, "/metrics")[1]
            for line in (f'millwright_agent_connected{{factory="{world.url}"}} 1', 'millwright_agent_slots{state="taken"} 1',
                         f'millwright_agent_outbox_events{{factory="{world.url}"}} 0', 'millwright_agent_loop_overdue{loop="link"} 0'):
                self.assertIn(line + "\n", metrics)
            self.assertIn("wants POST", str(call_socket(socket, "/stop")[1]))
            world.ended(uid)
            # The factory is away: the status says so, and since when.
            world.factory.kill()
            self.assertEqual(wait_for("the status to know", lambda: self.ask(world, data, "status", check=False).returncode == 1 and 1), 1)
            status = self.status(world, data)
            self.assertTrue(any("link" in problem for problem in status["problems"]), status["problems"])
            self.assertEqual(call_socket(socket, "/healthz")[1]["status"], "problems")
            self.assertIn(f'millwright_agent_connected{{factory="{world.url}"}} 0\n', call_socket(socket, "/metrics")[1])
            agent.kill()

    def test_nobody_runs_there_or_may_be_asked(self):
        with World() as world:
            done = self.ask(world, world.folder / "nothing", "status", check=False)
            self.assertEqual((done.returncode, "no agent runs with the data folder" in done.stderr), (3, True), done.stderr)
            done = self.ask(world, world.folder / "nothing", "stop", "--after", "job", check=False)
            self.assertEqual(done.returncode, 3)

    def test_a_reload_takes_new_settings_while_a_job_runs(self):
        with World() as world:
            agent, data, trigger = self.begin(world, slots=1)
            before = agent.children("millwright-agent")[0]
            uid = world.trigger(trigger)
            self.running(world, uid)
            (data / "config.yaml").write_text("slots: 5\n")
            done = self.ask(world, data, "reload")
            self.assertIn("1 jobs go on", done.stdout)
            status = self.status(world, data)
            self.assertNotEqual(status["pid"], before)
            self.assertEqual((status["slots"]["total"], status["slots"]["taken"]), (5, 1))
            job = world.ended(uid)
            self.assertEqual((job["state"], job["attempt"], job["output"]), ("successful", 1, {"done": True}))
            self.assertIsNone(agent.process.poll())

    def test_a_file_that_is_wrong_leaves_the_old_settings_and_says_why(self):
        with World() as world:
            agent, data, trigger = self.begin(world, QUICK, slots=2)
            before = self.status(world, data)["pid"]
            (data / "config.yaml").write_text("slots: many\nsltos: 3\n")
            done = self.ask(world, data, "reload", check=False)
            self.assertEqual(done.returncode, 78)
            self.assertIn("the settings of before stay", done.stderr)
            self.assertIn("sltos", done.stderr)
            (data / "config.yaml").write_text("slots: 2\n")
            (data / "policy.yaml").write_text("unsigned: perhaps\n")
            os.kill(agent.process.pid, signal.SIGHUP)
            wait_for("the log to say it", lambda: "not reloaded" in agent.tail() and "policy.yaml" in agent.tail())
            self.assertEqual(self.status(world, data)["pid"], before)
            self.assertEqual(world.ended(world.trigger(trigger))["state"], "successful")
            (data / "policy.yaml").write_text("unsigned: true\n")
            os.kill(agent.process.pid, signal.SIGHUP)
            wait_for("another process", lambda: (self.status(world, data) or {}).get("pid", before) != before)
            self.assertEqual(world.ended(world.trigger(trigger))["state"], "successful")

    def test_a_pause_holds_jobs_says_who_and_why_and_outlives_a_kill(self):
        with World() as world:
            agent, data, trigger = self.begin(world, QUICK)
            self.ask(world, data, "pause", "--why", "the disk is being changed")
            uid = world.trigger(trigger)
            wait_for("why to say it", lambda: "the disk is being changed" in self.why(world, uid))
            self.assertIn("paused on its machine by", self.why(world, uid))
            os.kill(agent.children("millwright-agent")[0], signal.SIGKILL)
            agent.wait_line("ready")
            status = self.status(world, data)
            self.assertEqual((status["paused"]["why"], status["slots"]["free"]), ("the disk is being changed", 0))
            self.assertEqual(status["problems"], [])
            self.assertEqual(world.job(uid)["state"], "ready")
            self.ask(world, data, "resume")
            self.assertEqual(world.ended(uid)["state"], "successful")
            self.assertNotIn("paused", self.status(world, data))
            self.assertFalse((data / "paused.json").exists())

    def test_a_pause_ends_by_itself(self):
        with World() as world:
            agent, data, trigger = self.begin(world, QUICK)
            self.ask(world, data, "pause", "--for", "2s")
            self.assertEqual(world.ended(world.trigger(trigger))["state"], "successful")
            for wrong in (["--for", "soon"], ["--until", "yesterday"], ["--until", "2020-01-01T00:00:00Z"], ["--for", "1h", "--until", "2099-01-01T00:00:00Z"]):
                done = self.ask(world, data, "pause", *wrong, check=False)
                self.assertEqual(done.returncode, 64, (wrong, done.stderr))

    def test_a_drain_waits_for_what_runs(self):
        with World() as world:
            agent, data, trigger = self.begin(world)
            uid = world.trigger(trigger)
            self.running(world, uid)
            done = self.ask(world, data, "drain", "--why", "patch day")
            self.assertIn("drained", done.stdout)
            self.assertEqual(world.job(uid)["state"], "successful")
            late = world.trigger(trigger)
            wait_for("why to say it", lambda: "patch day" in self.why(world, late))

    def test_a_stop_after_the_job_lets_it_end_and_takes_no_other(self):
        with World() as world:
            agent, data, trigger = self.begin(world, slots=2)
            uid = world.trigger(trigger)
            self.running(world, uid)
            done = self.ask(world, data, "stop", "--after", "job", "--within", "1m", "--why", "moving house")
            self.assertIn("stopped", done.stdout)
            self.assertEqual(world.job(uid)["state"], "successful")
            self.assertEqual(agent.process.wait(10), 0)
            late = world.trigger(trigger)
            wait_for("why to say it", lambda: "moving house" in self.why(world, late))
            self.assertEqual(world.job(late)["state"], "ready")

    def test_a_stop_is_not_lost_when_the_agent_crashes_on_its_way_out(self):
        with World() as world:
            agent, data, trigger = self.begin(world, slots=1)
            uid = world.trigger(trigger)
            self.running(world, uid)
            stop = subprocess.Popen([BIN / "millwright-agent", "stop", "--data", data, "--after", "job", "--within", "1m"], stdout=subprocess.PIPE, text=True)
            wait_for("it to be told", lambda: "stopped by" in agent.tail())
            os.kill(agent.children("millwright-agent")[0], signal.SIGKILL)
            self.assertEqual((stop.communicate(timeout=60)[0], stop.returncode), ("stopped\n", 0))
            self.assertEqual(agent.process.wait(10), 0)
            self.assertEqual(world.job(uid)["state"], "successful")

    def test_programs_that_do_not_start_are_not_taken(self):
        with World() as world:
            world.start_factory()
            data = world.enrol()
            programs, _ = self.copied_programs(world)
            agent = Program(world, "agent", [programs / "millwright-agent", "run", "--data", data], "ready")
            before = self.status(world, data)["pid"]
            os.unlink(programs / "millwright-keeper")
            shutil.copy2("/bin/false", programs / "millwright-keeper")
            done = self.ask(world, data, "renew", check=False)
            self.assertEqual(done.returncode, 78)
            self.assertIn("millwright-keeper --version does not answer", done.stderr)
            self.assertEqual(self.status(world, data)["pid"], before)
            (data / "config.yaml").write_text("caFile: /nope.pem\n")
            done = self.ask(world, data, "reload", check=False)
            self.assertEqual((done.returncode, "caFile: /nope.pem" in done.stderr), (78, True), done.stderr)
            self.assertEqual(self.status(world, data)["pid"], before)
            agent.kill()

    def test_a_stop_cancels_what_does_not_end_in_time(self):
        with World() as world:
            agent, data, trigger = self.begin(world, WAITS.replace("PT4S", "PT5M"))
            uid = world.trigger(trigger)
            self.running(world, uid)
            self.ask(world, data, "stop", "--after", "job", "--within", "1s")
            job = world.job(uid)
            self.assertEqual((job["state"], job["reason"]), ("cancelled", "cancelled_by"))
            self.assertEqual(agent.process.wait(10), 0)

    def test_an_agent_that_hangs_is_started_again_and_its_job_goes_on(self):
        with World() as world:
            world.start_factory()
            data = world.enrol()
            keeper = Program(world, "keeper", [BIN / "millwright-keeper", "--data", data, "--silence", "12"], "ready")
            uid = world.trigger(world.deploy("waits", WAITS.replace("PT4S", "PT20S")))
            self.running(world, uid)
            before = keeper.children("millwright-agent")[0]
            os.kill(before, signal.SIGSTOP)
            keeper.wait_line("ready", 40)
            after = keeper.children("millwright-agent")
            self.assertNotIn(before, after)
            self.assertIn("the process before this one ended: it was silent for 12 s", keeper.tail())
            job = world.ended(uid, 60)
            self.assertEqual((job["state"], job["attempt"], job["output"]), ("successful", 1, {"done": True}))

    def test_a_crash_with_a_wrong_file_ends_no_job(self):
        with World() as world:
            agent, data, trigger = self.begin(world, WAITS.replace("PT4S", "PT8S"))
            uid = world.trigger(trigger)
            self.running(world, uid)
            (data / "config.yaml").write_text("sltos: 3\n")
            os.kill(agent.children("millwright-agent")[0], signal.SIGKILL)
            wait_for("the agent to refuse the file", lambda: agent.tail().count("unknown key") or agent.tail().count("sltos"))
            self.assertIsNone(agent.process.poll())
            (data / "config.yaml").write_text("slots: 3\n")
            job = world.ended(uid)
            self.assertEqual((job["state"], job["attempt"], job["output"]), ("successful", 1, {"done": True}))
            # With nothing that runs it ends, as it did at its start.
            (data / "config.yaml").write_text("sltos: 3\n")
            os.kill(agent.children("millwright-agent")[0], signal.SIGKILL)
            self.assertEqual(agent.process.wait(20), 78)

    def test_new_programs_take_over_while_a_job_runs_and_the_keeper_follows(self):
        with World() as world:
            world.start_factory()
            data = world.enrol()
            programs, names = self.copied_programs(world)
            agent = Program(world, "agent", [programs / "millwright-agent", "run", "--data", data], "ready")
            trigger = world.deploy("waits", WAITS)
            uid = world.trigger(trigger)
            self.running(world, uid)
            old = {name: (programs / name).stat().st_ino for name in names}
            for name in names:  # as a package manager does it: the new file takes the name
                shutil.copy2(BIN / name, programs / (name + ".new"))
                os.rename(programs / (name + ".new"), programs / name)
            exe = lambda pid: os.stat(f"/proc/{pid}/exe").st_ino
            keeper = agent.process.pid
            before = agent.children("millwright-agent")[0]
            done = self.ask(world, data, "renew")
            self.assertIn("1 jobs go on", done.stdout)
            after = agent.children("millwright-agent")[0]
            self.assertNotEqual(after, before)
            self.assertEqual(exe(after), (programs / "millwright-agent").stat().st_ino)
            self.assertEqual(exe(keeper), old["millwright-keeper"], "the keeper left its job")
            job = world.ended(uid)
            self.assertEqual((job["state"], job["attempt"], job["output"]), ("successful", 1, {"done": True}))
            wait_for("the new keeper", lambda: exe(keeper) == (programs / "millwright-keeper").stat().st_ino)
            self.assertIsNone(agent.process.poll())
            self.assertEqual(world.ended(world.trigger(trigger))["state"], "successful")
            self.assertEqual(agent.stop(), 0)


if __name__ == "__main__":
    unittest.main()
