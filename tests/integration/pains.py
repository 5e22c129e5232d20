"""What the tests of pains share: one factory for the tests of a class, and short ways to look at what a person reads."""
from mill import Test, World, wait_for

SET = "do:\n  - a: { set: { x: 1 } }\n"


class Shared(Test):
    """One factory with what `furnish` adds, for all tests of a class: each uses names of its own."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.world = World()
        cls.addClassCleanup(cls.world.__exit__, None, None, None)
        cls.world.start_factory()
        cls.furnish()

    @classmethod
    def furnish(cls):
        pass

    def says(self, *arguments, status=0, **more):
        """What a person reads, both streams."""
        done = self.world.run(*arguments, check=False, **more)
        self.assertEqual(done.returncode, status, f"{arguments}\n{done.stdout}\n{done.stderr}")
        return done.stdout + done.stderr

    def has(self, text, *words):
        for word in words:
            self.assertIn(word, text)
        return text

    def deliveries(self, uid):
        return self.world.api("GET", f"/v1/jobs/{uid}/deliveries").json["items"]

    def tried(self, uid, times=1):
        return wait_for("a try", lambda: [d for d in self.deliveries(uid) if len(d["attempts"]) >= times])[0]
