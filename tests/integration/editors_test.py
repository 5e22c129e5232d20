"""The published schemas in a real editor's language server: completion, hover and squiggles, spoken over LSP.

Needs the npm package yaml-language-server: on the path, or named by MILL_YAML_LANGUAGE_SERVER. Skips without it:
`npm install --prefix FOLDER yaml-language-server` and MILL_YAML_LANGUAGE_SERVER=FOLDER/node_modules/.bin/yaml-language-server.
"""
import json
import os
import pathlib
import queue
import shutil
import subprocess
import tempfile
import threading
import unittest

from mill import BIN

SERVER = os.environ.get("MILL_YAML_LANGUAGE_SERVER") or shutil.which("yaml-language-server")
HEAD = "document: { dsl: 1.0.3, namespace: a, name: b, version: 1.0.0 }\n"


class Editor:
    """Speaks LSP to the server: open a text, ask about a place in it."""

    def __init__(self, folder, schemas):
        self.folder, self.count, self.open, self.diagnostics = folder, 0, 0, {}
        self.settings = {"yaml": {"schemas": schemas, "validate": True, "completion": True, "hover": True, "schemaStore": {"enable": False}}}
        self.process = subprocess.Popen([SERVER, "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.answers = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self.ask("initialize", {"processId": os.getpid(), "rootUri": folder.as_uri(), "capabilities": {"workspace": {"configuration": True}}})
        self.tell("initialized", {})
        self.tell("workspace/didChangeConfiguration", {"settings": self.settings})

    def _send(self, message):
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.process.stdin.flush()

    def _read(self):
        while True:
            length = 0
            while (line := self.process.stdout.readline().strip()):
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            if not length:
                return
            message = json.loads(self.process.stdout.read(length))
            if "method" in message and "id" in message:  # the server asks
                result = [self.settings.get(item.get("section") or "", None) for item in message["params"].get("items", [])] if message["method"] == "workspace/configuration" else None
                self._send({"id": message["id"], "result": result})
            elif message.get("method") == "textDocument/publishDiagnostics":
                self.answers.put(("diagnostics", message["params"]))
            elif "id" in message:
                self.answers.put((message["id"], message))

    def _wait(self, key, match=lambda value: True):
        while True:
            found, value = self.answers.get(timeout=30)
            if found == key and match(value):
                return value

    def tell(self, method, params):
        self._send({"method": method, "params": params})

    def ask(self, method, params):
        self.count += 1
        self._send({"id": self.count, "method": method, "params": params})
        return self._wait(self.count).get("result")

    def write(self, text, name="flow.workflow.yaml"):
        """Opens a text; gives its address and its diagnostics."""
        self.open += 1
        path = self.folder / str(self.open) / name
        uri = path.as_uri()
        self.tell("textDocument/didOpen", {"textDocument": {"uri": uri, "languageId": "yaml", "version": 1, "text": text}})
        found = self._wait("diagnostics", lambda value: value["uri"] == uri)["diagnostics"]
        return uri, [(d["range"]["start"]["line"] + 1, d["range"]["start"]["character"] + 1, d["message"]) for d in found]

    def complete(self, text, name="flow.workflow.yaml"):
        """The labels offered at `|`."""
        before = text[:text.index("|")]
        uri, _ = self.write(text.replace("|", "", 1), name)
        place = {"line": before.count("\n"), "character": len(before) - before.rfind("\n") - 1}
        answer = self.ask("textDocument/completion", {"textDocument": {"uri": uri}, "position": place})
        return {item["label"] for item in (answer["items"] if isinstance(answer, dict) else answer or [])}

    def hover(self, text, line, column):
        uri, _ = self.write(text)
        answer = self.ask("textDocument/hover", {"textDocument": {"uri": uri}, "position": {"line": line - 1, "character": column - 1}})
        return json.dumps(answer)

    def close(self):
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            pipe.close()


@unittest.skipUnless(SERVER, "yaml-language-server is not installed (npm)")
class Editors(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        folder = pathlib.Path(cls.temporary.name)
        schemas = {}
        for name, pattern in (("workflow", "*.workflow.yaml"), ("package", "package.yaml")):
            file = folder / f"{name}.json"
            file.write_bytes(subprocess.run([pathlib.Path(BIN) / "millwright", "schema", name], check=True, capture_output=True).stdout)
            schemas[file.as_uri()] = pattern
        cls.editor = Editor(folder, schemas)

    @classmethod
    def tearDownClass(cls):
        cls.editor.close()
        cls.temporary.cleanup()

    def test_a_good_workflow_has_no_squiggle(self):
        text = HEAD + ("do:\n  - read:\n      call: file.read\n      with: { path: /srv/a.csv, encoding: '${ .encoding }' }\n"
                       "  - decide:\n      switch:\n        - late: { when: .late, then: end }\n  - say:\n      set: { reply: '${ .content }' }\n")
        self.assertEqual(self.editor.write(text)[1], [])

    def test_a_wrong_argument_is_marked_at_its_place(self):
        text = HEAD + "do:\n  - read:\n      call: file.read\n      with:\n        path: /srv/a.csv\n        encodng: utf-8\n"
        found = self.editor.write(text)[1]
        self.assertEqual([(line, column) for line, column, _ in found], [(7, 9)], found)
        self.assertIn("encodng", found[0][2])
        found = self.editor.write(HEAD + "do:\n  - read:\n      call: file.read\n      with:\n        path: 5\n")[1]
        self.assertEqual([(line, column) for line, column, _ in found], [(6, 15)], found)

    def test_a_key_that_the_task_does_not_have_is_marked(self):
        found = self.editor.write(HEAD + "do:\n  - wait-for-it:\n      wait: { seconds: 5 }\n      thn: end\n")[1]
        self.assertTrue(any(line == 5 and "thn" in words for line, _, words in found), found)

    def test_a_choice_that_is_none_is_marked(self):
        found = self.editor.write(HEAD + "do:\n  - note:\n      call: log\n      with: { text: x, level: loud }\n")[1]
        self.assertTrue(any(line == 5 for line, _, _ in found), found)

    def test_completion_offers_the_keys_of_a_task(self):
        offered = self.editor.complete(HEAD + "do:\n  - first:\n      |\n")
        self.assertLessEqual({"call", "set", "switch", "for", "try", "wait", "then", "export"}, offered)

    def test_completion_offers_the_activities(self):
        offered = self.editor.complete(HEAD + "do:\n  - first:\n      call: |\n")
        names = {item["name"] for item in json.loads(subprocess.run([pathlib.Path(BIN) / "millwright", "activities", "--json"], check=True, capture_output=True).stdout)}
        self.assertLessEqual({"http", "openapi"} | names, offered)

    def test_completion_offers_an_activity_s_arguments_and_their_choices(self):
        offered = self.editor.complete(HEAD + "do:\n  - first:\n      call: file.write\n      with:\n        |\n")
        self.assertLessEqual({"path", "content", "encoding", "mode"}, offered)
        offered = self.editor.complete(HEAD + "do:\n  - first:\n      call: file.write\n      with:\n        path: a\n        content: b\n        mode: |\n")
        self.assertLessEqual({"create", "replace", "append"}, offered)

    def test_hover_says_what_a_key_is(self):
        self.assertIn("Replaces the data", self.editor.hover(HEAD + "do:\n  - first:\n      set: { n: 1 }\n", 4, 8))

    def test_package_yaml_has_its_own_schema(self):
        offered = self.editor.complete("name: a\nversion: 1.0.0\npermissions:\n  |\n", "package.yaml")
        self.assertLessEqual({"network", "files", "commands", "system"}, offered)
        found = self.editor.write("name: a\nversion: 1.0.0\npermisions: {}\n", "package.yaml")[1]
        self.assertEqual([line for line, _, _ in found], [3], found)


if __name__ == "__main__":
    unittest.main()
