// What the sandbox gives, and what it refuses to start at all.
#include <catch2/catch.hpp>

#include <atomic>
#include <cstdio>
#include <thread>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/files.h"
#include "tests/escape/attempt.h"

using namespace mill;
using namespace mill::escape;
using namespace mill::platform;

TEST_CASE("a harmless program runs, as another user than root, in a private folder", "[escape]")
{
    if (no_sandbox_here()) return;
    const Captured done = run_inside(shell("id -u; pwd; echo text > file && cat file; echo note >&2; exit 5"));
    CHECK(done.ending.exit_code == 5);
    CHECK(done.out == std::to_string(runs_as().uid) + "\n/work\ntext");
    CHECK(done.err == "note\n");
}

TEST_CASE("as root nothing starts without another user", "[escape]")
{
    if (geteuid() != 0) return skip("not started as root");
    SandboxSpec spec = shell("true");
    spec.uid.reset();
    CHECK(start_sandbox(spec).error().code == Errc::denied);
    spec.uid = 0;
    CHECK(start_sandbox(spec).error().code == Errc::denied);
    spec.uid = 65534;
    spec.gid = 0;
    CHECK(start_sandbox(spec).error().code == Errc::denied);
}

TEST_CASE("a granted folder is there: read-only or writable as granted", "[escape]")
{
    if (no_sandbox_here()) return;
    const Folder in, out;
    REQUIRE(write_file(in.path() + "/data", "content", 0644));
    SandboxSpec spec = shell("cat " + in.path() + "/data > " + out.path() + "/copy");
    spec.mounts = {{in.path(), in.path(), false}, {out.path(), out.path(), true}};
    CHECK(run_inside(spec).ending.exit_code == 0);
    CHECK(*read_file(out.path() + "/copy", 100) == "content");
}

TEST_CASE("a granted path leads nowhere else: a link in it is refused, with the real path", "[escape]")
{
    const Folder victim, granted;
    REQUIRE(write_file(victim.path() + "/rc", "secret", 0644));
    REQUIRE(make_folder(granted.path() + "/true", 0755));
    REQUIRE(symlink(victim.path().c_str(), (granted.path() + "/x").c_str()) == 0);
    REQUIRE(symlink((victim.path() + "/rc").c_str(), (granted.path() + "/y").c_str()) == 0);
    const auto starts = [&](const std::string& path, bool writable, bool is_grant) {
        SandboxSpec spec = shell("true");
        spec.mounts = {{path, path, writable, is_grant}};
        return start_sandbox(spec);
    };
    for (const bool writable : {false, true})
        for (const std::string& path : {granted.path() + "/x", granted.path() + "/y", granted.path() + "/x/rc"}) {
            INFO(path);
            const auto started = starts(path, writable, true);
            REQUIRE_FALSE(started);
            CHECK(started.error().code == Errc::denied);
            CHECK_THAT(started.error().what, Catch::Contains("symbolic link") && Catch::Contains(victim.path()));
        }
    if (no_sandbox_here()) return;
    CHECK(starts(granted.path() + "//true/", false, true));
    CHECK(starts(granted.path() + "/x", false, false));  // the control: what is not a job's wish
}

TEST_CASE("a grant gives a job no file that its user could not read itself", "[escape]")
{
    if (geteuid() != 0) return skip("not started as root");
    if (no_sandbox_here()) return;
    const Folder folder;
    REQUIRE(make_folder(folder.path() + "/closed", 0700));
    REQUIRE(write_file(folder.path() + "/closed/file", "secret", 0644));
    REQUIRE(write_file(folder.path() + "/own", "secret", 0600));
    const auto reads = [&](const std::string& path, bool is_grant) {
        SandboxSpec spec = shell("cat /granted");
        spec.mounts = {{path, "/granted", false, is_grant}};
        const auto started = start_sandbox(spec);
        return started ? run_inside(spec).out : std::string("refused");
    };
    CHECK(reads(folder.path() + "/own", false) == "secret");  // the control: a package of ours
    CHECK(reads(folder.path() + "/own", true).empty());
    CHECK(reads(folder.path() + "/closed/file", false) == "secret");
    CHECK(reads(folder.path() + "/closed/file", true) == "refused");
}

TEST_CASE("a granted path that is exchanged while the sandbox is made is found out inside", "[escape]")
{
    if (no_sandbox_here()) return;
    const Folder place;
    place.put("victim/file", "secret\n", 0644);
    place.put("granted/file", "public\n", 0644);
    const std::string granted = place.path() + "/granted", link = place.path() + "/link";
    REQUIRE(symlink((place.path() + "/victim").c_str(), link.c_str()) == 0);
    std::atomic<bool> enough = false;
    std::thread exchange([&] {
        while (!enough) (void)renameat2(AT_FDCWD, granted.c_str(), AT_FDCWD, link.c_str(), RENAME_EXCHANGE);
    });
    unsigned refused_before = 0, found_out = 0, read = 0, leaked = 0;
    for (int i = 0; i < 150; ++i) {
        SandboxSpec spec = payload({"read", "/place/file"});
        spec.mounts = {{granted, "/place", false, true}};
        const auto ran = run_sandbox(spec, {}, 4096);
        if (!ran) ++refused_before;  // the link was there at once
        else if (ran->ending.exit_code == 3) ++found_out;
        else if (ran->out == "got secret\n") ++leaked;
        else if (ran->out == "got public\n") ++read;
    }
    enough = true;
    exchange.join();
    CAPTURE(refused_before, found_out, read);
    CHECK(leaked == 0);
    CHECK(found_out > 0);  // the controls: the race was run, and won by both
    CHECK(read > 0);
    CHECK(refused_before > 0);
}

TEST_CASE("of the folder with our own keys nothing is seen, whatever is granted", "[escape]")
{
    const Folder folder;
    const std::string own = folder.path() + "/agent";
    REQUIRE(make_folder(own + "/keys", 0755));
    REQUIRE(chmod(own.c_str(), 0777) == 0);
    REQUIRE(write_file(own + "/keys/key", "secret", 0644));
    REQUIRE(write_file(folder.path() + "/beside", "text", 0644));
    REQUIRE(symlink(own.c_str(), (folder.path() + "/link").c_str()) == 0);
    const auto starts = [&](const std::string& path, bool granted) {
        SandboxSpec spec = shell("true");
        spec.mounts = {{path, "/granted", false, granted}};
        spec.kept_out = own;
        return start_sandbox(spec);
    };
    for (const std::string& path : {own, own + "/keys", own + "/keys/key", folder.path() + "/link", folder.path() + "/link/keys"}) {
        INFO(path);
        const auto started = starts(path, true);
        REQUIRE_FALSE(started);
        CHECK(started.error().code == Errc::denied);
        CHECK_THAT(started.error().what, Catch::Contains(path.find("/link") == std::string::npos ? "Millwright's own" : "symbolic link"));
    }
    if (no_sandbox_here()) return;
    CHECK(starts(own + "/keys/key", false));  // what we mount ourselves, such as the package
    // A folder above it: the rest is there.
    SandboxSpec spec = shell("cat /granted/beside; ls -A /granted/agent; cat /granted/agent/keys/key; chmod 755 /granted/agent; echo x > /granted/agent/x; cat /granted/agent/x");
    spec.mounts = {{folder.path(), "/granted", true, true}};
    CHECK(run_inside(spec).out == "textkeys\nsecretx");  // the control
    spec.kept_out = own;
    CHECK(run_inside(spec).out == "text");
}

TEST_CASE("places that would open the host are never mounted", "[escape]")
{
    const Folder folder;
    REQUIRE(symlink("/", (folder.path() + "/root").c_str()) == 0);
    REQUIRE(symlink("/proc", (folder.path() + "/proc").c_str()) == 0);
    for (const auto& [path, writable] : std::vector<std::pair<std::string, bool>>{{"/", false}, {"/proc", false}, {"/sys", false}, {"/dev", true}, {"/usr", true},
             {"/etc", false}, {"/work", true}, {"/tmp", true}, {folder.path() + "/root", false}, {folder.path() + "/proc", false}, {"/proc/1/root", false}}) {
        SandboxSpec spec = shell("true");
        spec.mounts = {{path, path, writable}};
        const auto started = start_sandbox(spec);
        INFO(path);
        REQUIRE_FALSE(started);
        CHECK(started.error().code == Errc::denied);
    }
    SandboxSpec spec = shell("true");
    spec.mounts = {{"/no/such/path", "/x", false}};
    CHECK(start_sandbox(spec).error().code == Errc::not_found);
}

TEST_CASE("a file that the sandbox's user could not open by name is handed in", "[escape]")
{
    if (no_sandbox_here()) return;
    const Folder folder;
    REQUIRE(write_file(folder.path() + "/package", "bytes of a package", 0600));
    chmod(folder.path().c_str(), 0700);
    SandboxSpec spec = shell("cat /package.mwp; (echo x > /package.mwp) 2>/dev/null && echo wrote");
    spec.mounts = {{folder.path() + "/package", "/package.mwp", false}};
    CHECK(run_inside(spec).out == "bytes of a package");
    if (geteuid() == 0) {  // a program in a folder that others cannot enter is staged
        REQUIRE(write_file(folder.path() + "/program", "#!/bin/sh\necho staged\n", 0700));
        spec.program = folder.path() + "/program";
        spec.arguments.clear();
        CHECK(run_inside(spec).out == "staged");
    }
}

TEST_CASE("limits that are stated and cannot be kept are refused, never loosened", "[escape]")
{
    const Isolation found = find_isolation();
    SandboxSpec spec = shell("true");
    spec.limits.stated = true;
    const auto started = start_sandbox(spec);
    if (found.memory == "rlimit" || found.processes == "none") {
        REQUIRE_FALSE(started);
        CHECK(started.error().code == Errc::denied);
    } else {
        REQUIRE(started);
        CHECK((*started)->notes().empty());
    }
}
