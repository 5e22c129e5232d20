// The real sandbox: with the real millwright-runner, and with programs in its place that do what a broken or taken-over one might.
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "factory/check/sandbox_checker.h"
#include "platform/base/ids.h"
#include "platform/files.h"
#include "platform/sandbox.h"
#include "workflows/archive.h"
#include "workflows/package.h"

using namespace mill;
using namespace mill::factory;
using namespace std::chrono_literals;
using Catch::Contains;
namespace fs = std::filesystem;

namespace {

/// Filled in on another thread.
template <class T>
class Later {
public:
    void set(Result<T> value)
    {
        const std::scoped_lock lock(mutex_);
        value_ = std::move(value);
        changed_.notify_all();
    }
    Result<T> get()
    {
        std::unique_lock lock(mutex_);
        if (!changed_.wait_for(lock, 60s, [&] { return value_.has_value(); })) return fail(Errc::internal, "no answer came");
        return *value_;
    }
    bool done()
    {
        const std::scoped_lock lock(mutex_);
        return value_.has_value();
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::optional<Result<T>> value_;
};

class Bench {
public:
    Bench()
    {
        if (const std::string problem = platform::find_isolation().problem; !problem.empty()) {
            WARN("SKIP: no sandbox here: " << problem);
            able = false;
        }
        folder = (fs::temp_directory_path() / ("mill-check-" + new_uid())).string();
        REQUIRE(platform::make_folder(folder));
        options.staging = folder + "/staging";
        const char* bin = std::getenv("MILL_BIN");
        REQUIRE(bin != nullptr);
        options.runner = std::string(bin) + "/millwright-runner";
    }
    ~Bench()
    {
        checker.reset();
        fs::remove_all(folder);
    }
    void start()
    {
        auto made = make_sandbox_checker(options);
        if (!made) FAIL(made.error().what);
        checker = std::move(*made);
    }
    /// A program in the place of millwright-runner.
    void runner(const std::string& script)
    {
        options.runner = folder + "/millwright-runner";
        std::ofstream(options.runner) << "#!/bin/sh\n" << script;
        fs::permissions(options.runner, fs::perms(0755));
        start();
    }
    Result<CheckedPackage> package(const std::string& bytes)
    {
        Later<CheckedPackage> later;
        REQUIRE(checker->check_package(bytes, [&](Result<CheckedPackage> done) { later.set(std::move(done)); }));
        return later.get();
    }
    Result<std::vector<std::string>> input(const Json& schema, const Json& value)
    {
        Later<std::vector<std::string>> later;
        REQUIRE(checker->check_input(schema, value, [&](Result<std::vector<std::string>> done) { later.set(std::move(done)); }));
        return later.get();
    }
    std::size_t staged() const { return static_cast<std::size_t>(std::distance(fs::directory_iterator(options.staging), fs::directory_iterator())); }

    bool able = true;
    std::string folder;
    SandboxCheckerOptions options;
    std::unique_ptr<PackageChecker> checker;
};

/// The bytes of a package `demo` with this workflow, not checked by us.
std::string packed(const std::string& workflow, const std::map<std::string, std::string>& more = {})
{
    std::map<std::string, std::string> files{{"package.yaml", "name: demo\nversion: 1.0.0\nworkflow: main.yaml\n"}, {"main.yaml", workflow}};
    files.insert(more.begin(), more.end());
    auto bytes = workflows::write_archive(R"({"name":"demo","version":"1.0.0","workflows":{"main":"main.yaml"},"permissions":{},"repeatable":false})", files);
    REQUIRE(bytes);
    return *bytes;
}

const std::string kHead = "document: { dsl: 1.0.3, namespace: tests, name: demo, version: 1.0.0 }\n";

Json json(const std::string& text)
{
    auto out = parse_json(text);
    REQUIRE(out);
    return *out;
}

}  // namespace

TEST_CASE("the sandbox reads a package and tells manifest, inputs and findings", "[factory][checks][sandbox]")
{
    Bench bench;
    if (!bench.able) return;
    bench.start();
    const auto good = bench.package(packed(kHead + "input: { schema: { document: { type: object, required: [ a ] } } }\ndo: [ { a: { set: { x: '${ .a + 1 }' } } } ]\n"));
    if (!good) FAIL(good.error().what);
    CHECK(good->valid);
    CHECK(good->manifest.name == "demo");
    CHECK(good->inputs["main"]["required"] == json(R"(["a"])"));
    const auto bad = bench.package(packed(kHead + "do:\n  - a: { sett: { x: 1 } }\n"));
    REQUIRE(bad);
    CHECK_FALSE(bad->valid);
    REQUIRE_FALSE(bad->findings.empty());
    CHECK_THAT(bad->findings[0].text, Catch::StartsWith("main.yaml:3:"));
    const auto none = bench.package("no zip at all");
    REQUIRE_FALSE(none);
    CHECK_THAT(none.error().what, Catch::StartsWith("not a package: "));
    CHECK(bench.checker->problem().empty());
    CHECK(bench.staged() == 0);
}

TEST_CASE("bombs go off in the sandbox", "[factory][checks][sandbox]")
{
    Bench bench;
    if (!bench.able) return;
    bench.start();
    SECTION("a zip whose one file is 70 MiB of zeros")
    {
        std::map<std::string, std::string> files;
        files["zero"] = std::string(70UL << 20, '\0');
        const auto large = bench.package(packed(kHead + "do: []\n", files));
        REQUIRE_FALSE(large);
        CHECK(large.error().code == Errc::too_large);
    }
    SECTION("YAML aliases that double")
    {
        std::string bomb = kHead + "x0: &x0 [ a, a ]\n";
        for (int i = 1; i < 40; ++i) bomb += fmt::format("x{}: &x{} [ *x{}, *x{} ]\n", i, i, i - 1, i - 1);
        const auto refused = bench.package(packed(bomb + "do: []\n"));
        REQUIRE(refused);
        CHECK_FALSE(refused->valid);
    }
    SECTION("a regular expression that takes a thousand steps for each character of a long text")
    {
        const auto slow = bench.input(json(R"({"properties":{"a":{"pattern":"a{900}c"}}})"), Json::object({{"a", std::string(900'000, 'a')}}));
        REQUIRE_FALSE(slow);
        CHECK(slow.error().code == Errc::timeout);
        CHECK_THAT(slow.error().what, Contains("3 s of processor time"));
        CHECK(bench.input(json(R"({"properties":{"a":{"pattern":"^a+$"}}})"), json(R"({"a":"aaa"})")) == std::vector<std::string>());
        const auto wrong = bench.input(json(R"({"properties":{"a":{"pattern":"^b"}}})"), json(R"({"a":"x"})"));
        REQUIRE(wrong);
        CHECK_FALSE(wrong->empty());
    }
}

TEST_CASE("a check that goes wrong is told as what it is, and the next one works", "[factory][checks][sandbox]")
{
    Bench bench;
    if (!bench.able) return;
    bench.options.time = 2s;
    bench.options.memory = mebibytes(128);
    const std::string good = packed(kHead + "do: [ { a: { set: { x: 1 } } } ]\n");
    const auto fails = [&](const std::string& script, Errc code, const std::string& words) {
        bench.runner(script);
        const auto refused = bench.package(good);
        REQUIRE_FALSE(refused);
        INFO(refused.error().what);
        CHECK(refused.error().code == code);
        CHECK_THAT(refused.error().what, Contains(words));
        CHECK(refused.error().what.size() < 700);
        CHECK(bench.staged() == 0);
    };
    SECTION("crash") { fails("kill -SEGV $$", Errc::corrupt, "crashed (signal 11)"); }
    SECTION("hang") { fails("exec sleep 100", Errc::timeout, "not done after 2 s"); }
    SECTION("endless computing") { fails("while :; do :; done", Errc::timeout, "was ended"); }
    SECTION("garbage") { fails("echo hello; exit 0", Errc::corrupt, "report is not to be read"); }
    SECTION("nothing") { fails("exit 65", Errc::corrupt, "report is not to be read"); }
    SECTION("too much") { fails("exec cat /dev/zero", Errc::too_large, "printed more than the 4MiB"); }
    SECTION("too much on the other stream") { fails("exec cat /dev/zero >&2", Errc::timeout, "was ended"); }
    SECTION("another status") { fails("echo 'the parser says' >&2; exit 70", Errc::corrupt, "the parser says"); }
    SECTION("its own word for no memory") { fails("exit 71", Errc::too_large, "128MiB of memory"); }
    SECTION("a runner of another version") { fails("exit 64", Errc::unavailable, "of the factory's version"); }
    bench.options.runner = std::string(std::getenv("MILL_BIN")) + "/millwright-runner";
    bench.options.time = 30s;
    bench.options.memory = mebibytes(1024);
    bench.checker.reset();
    bench.start();
    const auto checked = bench.package(good);
    REQUIRE(checked);
    CHECK(checked->valid);
}

TEST_CASE("a package that needs more memory than a check may have is refused", "[factory][checks][sandbox]")
{
    Bench bench;
    if (!bench.able) return;
    bench.options.memory = mebibytes(64);
    bench.start();
    std::map<std::string, std::string> files;
    for (int i = 0; i < 4; ++i) files[fmt::format("zero{}", i)] = std::string(50UL << 20, '\0');
    const auto refused = bench.package(packed(kHead + "do: [ { a: { set: { x: 1 } } } ]\n", files));
    REQUIRE_FALSE(refused);
    INFO(refused.error().what);
    CHECK(refused.error().code == Errc::too_large);
    CHECK_THAT(refused.error().what, Contains("64MiB of memory"));
}

TEST_CASE("one that hangs does not hold up the others, and the queue has an end", "[factory][checks][sandbox]")
{
    Bench bench;
    if (!bench.able) return;
    bench.options.packages_waiting = 2;
    bench.options.at_once = 1;
    bench.options.time = 60s;
    bench.runner(R"(case "$1" in --check-input) echo '{"mistakes":[]}' ;; *) exec sleep 100 ;; esac)");
    Later<CheckedPackage> running, waiting, last;
    const std::string bytes = "bytes";
    REQUIRE(bench.checker->check_package(bytes, [&](Result<CheckedPackage> done) { running.set(std::move(done)); }));
    while (bench.staged() == 0) {}   // it has begun
    REQUIRE(bench.checker->check_package(bytes, [&](Result<CheckedPackage> done) { waiting.set(std::move(done)); }));
    REQUIRE(bench.checker->check_package(bytes, [&](Result<CheckedPackage> done) { last.set(std::move(done)); }));
    CHECK_FALSE(bench.checker->check_package(bytes, [](const Result<CheckedPackage>&) { std::abort(); }));
    CHECK(bench.input(json("true"), Json(1)) == std::vector<std::string>());
    CHECK_FALSE(running.done());
    bench.checker.reset();   // a stop ends what runs and answers what waits
    CHECK(running.get().error().code == Errc::cancelled);
    CHECK(waiting.get().error().code == Errc::cancelled);
    CHECK(last.get().error().code == Errc::cancelled);
    CHECK(bench.staged() == 0);
}

TEST_CASE("what is missing is named with what mends it", "[factory][checks][sandbox]")
{
    Bench bench;
    if (!bench.able) return;
    bench.options.runner = bench.folder + "/millwright-runner";
    REQUIRE(platform::make_folder(bench.options.staging));
    REQUIRE(platform::write_file(bench.options.staging + "/left-over.mwp", "after a kill"));
    bench.start();
    CHECK(bench.staged() == 0);   // of an earlier process
    const auto refused = bench.package("bytes");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Errc::unavailable);
    CHECK_THAT(refused.error().what, Contains(bench.options.runner + " is missing: install millwright-runner"));
    CHECK(bench.checker->problem() == refused.error().what);
}

TEST_CASE("a check sees neither the factory's files nor a network, and is not root", "[factory][checks][sandbox]")
{
    Bench bench;
    if (!bench.able) return;
    std::ofstream(bench.folder + "/secret") << "secret";
    bench.runner(fmt::format("cat {}/secret 2>/dev/null && exit 3; [ \"$(id -u)\" = 0 ] && exit 4; [ -e /etc/passwd ] && exit 5; (: >/package.mwp) 2>/dev/null && exit 6; "
                             "[ \"$(ls /package.mwp)\" = /package.mwp ] || exit 8; env | grep -q MILL_ && exit 9; exit 64",
                             bench.folder));
    const auto refused = bench.package("bytes");
    REQUIRE_FALSE(refused);
    INFO(refused.error().what);
    CHECK(refused.error().code == Errc::unavailable);   // 64: nothing of it was possible
}
