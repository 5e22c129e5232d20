// What a look at a folder finds, and what is remembered of it.
#include <filesystem>
#include <fstream>

#include <catch2/catch.hpp>

#include "agent/files/file_journal.h"
#include "agent/files/scan.h"
#include "agent/policy.h"
#include "platform/base/ids.h"
#include "platform/files.h"

using namespace mill;
using namespace mill::agent;

namespace {

struct Inbox {
    std::filesystem::path folder = std::filesystem::temp_directory_path() / ("mill-inbox-" + new_uid());
    Inbox() { std::filesystem::create_directories(folder / "in"); }
    ~Inbox() { std::filesystem::remove_all(folder); }
    std::string in() const { return (folder / "in").string(); }
    std::string journal() const { return (folder / "files.journal").string(); }
    void write(const std::string& name, const std::string& text = "x") const { std::ofstream(folder / "in" / name) << text; }
};

SeenFile file(const std::string& path, std::uint64_t inode = 7) { return {path, inode, 3, WallTime{1'700'000'000'000'000}}; }

}  // namespace

TEST_CASE("a look finds regular files that fit, and nothing by a link or with a dot", "[files]")
{
    Inbox inbox;
    inbox.write("b.csv", "12345");
    inbox.write("a.csv");
    inbox.write("c.txt");
    inbox.write(".hidden.csv");
    std::filesystem::create_directories(inbox.folder / "in/folder.csv");
    std::filesystem::create_symlink(inbox.folder / "in/a.csv", inbox.folder / "in/link.csv");
    const auto found = scan(inbox.in(), "*.csv");
    REQUIRE(found);
    REQUIRE(found->size() == 2);
    CHECK(found->at(0).path == inbox.in() + "/a.csv");
    CHECK(found->at(1).size == 5);
    CHECK(found->at(1).inode != 0);
    CHECK(scan(inbox.in(), ".*.csv")->size() == 1);

    const auto missing = scan((inbox.folder / "none").string(), "*");
    REQUIRE_FALSE(missing);
    CHECK(missing.error().what == (inbox.folder / "none").string() + " does not exist");
    std::filesystem::create_directory_symlink(inbox.folder / "in", inbox.folder / "other");
    CHECK_FALSE(scan((inbox.folder / "other").string(), "*"));   // what the policy allows is the folder, not where a link leads
}

TEST_CASE("a file that is written anew is another one, one that is only looked at again is the same", "[files]")
{
    Inbox inbox;
    inbox.write("a.csv");
    const auto first = scan(inbox.in(), "*")->front();
    CHECK(scan(inbox.in(), "*")->front().identity() == first.identity());
    inbox.write("a.csv", "more");
    CHECK(scan(inbox.in(), "*")->front().identity() != first.identity());
}

TEST_CASE("folders are allowed with what is in them", "[files]")
{
    CHECK(is_within("/srv/in", {"/srv/in"}));
    CHECK(is_within("/srv/in/deep", {"/opt", "/srv/in/"}));
    CHECK_FALSE(is_within("/srv/into", {"/srv/in"}));
    CHECK_FALSE(is_within("/srv", {"/srv/in"}));
    CHECK_FALSE(is_within("/srv/in", {}));
    CHECK_FALSE(is_within("/srv/in/../secret", {"/srv/in"}));
    CHECK_FALSE(is_within("/srv/in/..", {"/srv/in"}));
    CHECK_FALSE(is_within("/srv/in/./deep", {"/"}));
    CHECK(is_within("/srv/in/..deep", {"/srv/in"}));
    CHECK(split_pattern("/srv/in/*.csv") == std::pair<std::string, std::string>("/srv/in", "*.csv"));
    CHECK(split_pattern("/x") == std::pair<std::string, std::string>("/", "x"));
    const auto policy = parse_policy("watch: [ /srv/in ]\n", "policy.yaml");
    REQUIRE(policy);
    CHECK(policy->watch == std::vector<std::string>{"/srv/in"});
    CHECK_FALSE(parse_policy("watch: [ srv ]\n", "policy.yaml"));
    CHECK_FALSE(parse_policy("watch: [ /srv/../etc ]\n", "policy.yaml"));
    CHECK(parse_policy("unsigned: true\n", "policy.yaml")->watch.empty());
}

TEST_CASE("what was found and what the factory knows survives the program, and a torn line costs nothing else", "[files]")
{
    Inbox inbox;
    {
        auto journal = FileJournal::open(inbox.journal());
        REQUIRE(journal);
        REQUIRE((*journal)->add("orders", file("/srv/in/b")));
        REQUIRE((*journal)->add("orders", file("/srv/in/a")));
        REQUIRE((*journal)->add("others", file("/srv/in/a")));
        REQUIRE((*journal)->done((*journal)->pending("orders", 10).front()));
        REQUIRE((*journal)->sync());
    }
    std::ofstream(inbox.journal(), std::ios::app) << R"({"is":"found","trigger":"orders","path":"/sr)";
    auto journal = FileJournal::open(inbox.journal());
    REQUIRE(journal);
    FileJournal& kept = **journal;
    CHECK(kept.knows("orders", file("/srv/in/a")));
    CHECK_FALSE(kept.knows("orders", file("/srv/in/a", 8)));
    REQUIRE(kept.pending("orders", 10).size() == 1);
    CHECK(kept.pending("orders", 10).front().file.path == "/srv/in/b");
    CHECK(kept.pending("others", 10).size() == 1);
    CHECK(kept.of("orders").size() == 2);
    for (const auto& entry : kept.of("orders"))
        if (entry.done) REQUIRE(kept.forget(entry));
    REQUIRE(kept.sync());
    auto again = FileJournal::open(inbox.journal());
    REQUIRE(again);
    CHECK((*again)->size() == 2);

    const std::string text = *platform::read_file(inbox.journal(), 1 << 20);
    std::ofstream(inbox.journal(), std::ios::trunc) << "nonsense\n" << text;
    const auto damaged = FileJournal::open(inbox.journal());
    REQUIRE_FALSE(damaged);
    CHECK(damaged.error().code == Errc::corrupt);
    CHECK_THAT(damaged.error().what, Catch::Contains("line 1"));
}

TEST_CASE("a trigger's files are its own whatever other triggers are called, and numbers are what can be written down", "[files]")
{
    Inbox inbox;
    std::ofstream(inbox.journal()) << R"({"is":"found","trigger":"a","path":"/1","inode":-1,"size":-7,"modified":1})" << "\n"
                                   << R"({"is":"found","trigger":"a\n0","path":"/2","inode":1,"size":1,"modified":1})" << "\n"
                                   << R"({"is":"found","trigger":"a","path":"/3","inode":9,"size":1,"modified":1})" << "\n";
    auto journal = FileJournal::open(inbox.journal());
    REQUIRE(journal);
    const auto own = (*journal)->pending("a", 10);
    REQUIRE(own.size() == 2);
    CHECK(own[0].file.inode == 0);
    CHECK(own[0].file.size == 0);
    REQUIRE((*journal)->done(own[0]));
    REQUIRE((*journal)->sync());
    CHECK((*FileJournal::open(inbox.journal()))->pending("a", 10).size() == 1);
}

TEST_CASE("the journal of files stays small while many come and go", "[files]")
{
    Inbox inbox;
    auto journal = FileJournal::open(inbox.journal());
    REQUIRE(journal);
    for (int round = 0; round < 40; ++round) {
        for (int i = 0; i < 500; ++i) REQUIRE((*journal)->add("orders", file("/srv/in/" + std::to_string(i), static_cast<std::uint64_t>(round))));
        for (const auto& entry : (*journal)->of("orders")) REQUIRE((*journal)->done(entry));
        for (const auto& entry : (*journal)->of("orders")) REQUIRE((*journal)->forget(entry));
        REQUIRE((*journal)->sync());
    }
    CHECK((*journal)->size() == 0);
    CHECK(std::filesystem::file_size(inbox.journal()) < 2'000'000);
}
