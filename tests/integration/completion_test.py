"""What bash and zsh complete of the command lines, made from their help."""
import re
import shutil
import subprocess
import unittest

from mill import BIN, SOURCE, Test

COMPLETE = r"""
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
"_${1//-/_}"
printf '%s\n' "${COMPREPLY[@]}"
"""


class Completion(Test):
    def made(self, shell, program):
        done = subprocess.run([SOURCE / "packaging/completion/generate", "--bin", BIN, "--shell", shell, program], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def offered(self, script, *words):
        """What is offered for the last of `words`."""
        done = subprocess.run(["bash", "--norc", "-c", COMPLETE, "bash", "/dev/stdin", *words], input=script, capture_output=True, text=True,
                              timeout=20, cwd=SOURCE / "packaging", check=False)
        self.assertEqual(done.stderr, "")
        return done.stdout.split()

    def test_each_command_of_millwright_is_offered(self):
        script = self.made("bash", "millwright")
        # The table of commands in the source, not the help that completion is made from.
        sources = list((SOURCE / "cli/commands").glob("*.cpp"))
        commands = {name for file in sources for name in re.findall(r'\.name = "([a-z]+(?: [a-z]+)?)"', file.read_text())}
        self.assertGreater(len(commands), 30)
        for command in sorted(commands):
            words = command.split()
            self.assertIn(words[-1], self.offered(script, "millwright", *words[:-1], ""), command)
            self.assertIn("--help", self.offered(script, "millwright", *words, "--"), command)

    def test_options_of_a_command_and_their_values_are_offered(self):
        script = self.made("bash", "millwright")
        self.assertEqual(self.offered(script, "millwright", "ru"), ["run"])
        self.assertIn("--grant-asked", self.offered(script, "millwright", "run", "--gr"))
        self.assertNotIn("--grant-asked", self.offered(script, "millwright", "jobs", "--"))
        self.assertEqual(sorted(self.offered(script, "millwright", "--colour", "a")), ["always", "auto"])
        self.assertIn("install-packages", self.offered(script, "millwright", "run", "--input", "install"))
        self.assertIn("install-packages", self.offered(script, "millwright", "check", "inst"))

    def test_each_command_of_the_agent_is_offered(self):
        script = self.made("bash", "millwright-agent")
        verbs = set(re.findall(r'verb == "([a-z]+)"', (SOURCE / "agent/options.cpp").read_text())) - {"help", "version", "enroll", "register", "serve", "once"}
        self.assertGreaterEqual(len(verbs), 5)
        for verb in sorted(verbs):
            self.assertIn(verb, self.offered(script, "millwright-agent", ""), verb)
        self.assertIn("--print", self.offered(script, "millwright-agent", "open", "--"))
        self.assertIn("--json", self.offered(script, "millwright-agent", "attend", "--"))
        for action in ("install", "uninstall", "start", "stop", "status"):
            self.assertIn(action, self.offered(script, "millwright-agent", "service", ""))
        self.assertEqual(sorted(self.offered(script, "millwright-agent", "enrol", "--mode", "")), ["attended", "unattended"])
        self.assertIn("--user", self.offered(script, "millwright-agent", "service", "install", "--"))

    def test_the_options_of_the_factory_are_offered(self):
        script = self.made("bash", "millwright-factory")
        self.assertLessEqual({"--data", "--listen", "--config", "--insecure", "--version", "--help"}, set(self.offered(script, "millwright-factory", "--")))
        self.assertIn("systemd", self.offered(script, "millwright-factory", "--data", "sys"))

    def test_the_options_of_the_companion_are_offered(self):
        script = self.made("bash", "millwright-companion")
        self.assertLessEqual({"--data", "--config", "--with-agent", "--autostart", "--version", "--help"}, set(self.offered(script, "millwright-companion", "--")))
        self.assertIn("systemd", self.offered(script, "millwright-companion", "--data", "sys"))

    def test_zsh_can_read_its_own(self):
        if shutil.which("zsh") is None:
            self.skipTest("needs zsh")
        for program in ("millwright", "millwright-agent", "millwright-companion", "millwright-factory"):
            done = subprocess.run(["zsh", "-n", "/dev/stdin"], input=self.made("zsh", program), capture_output=True, text=True, timeout=20, check=False)
            self.assertEqual((done.returncode, done.stderr), (0, ""), program)


if __name__ == "__main__":
    unittest.main()
