#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <string>

#include <seccomp.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/folder.h"
#include "tests/unit/broker/temp_folder.h"

using namespace mill;
using platform::Folder;
using platform::WriteMode;
namespace fs = std::filesystem;

TEST_CASE("what lies beneath a folder is read and written", "[platform][folder]")
{
    const TempFolder temp;
    auto folder = Folder::open(temp.path());
    REQUIRE(folder);
    REQUIRE(folder->make_folder("a/b"));
    CHECK(folder->write("a/b/x.txt", "one", WriteMode::create) == 3U);
    CHECK(folder->read("a/b/x.txt", 100) == "one");
    CHECK(folder->write("a/b/x.txt", "two", WriteMode::create).error().code == Errc::conflict);
    CHECK(folder->write("a/b/x.txt", "++", WriteMode::append) == 5U);
    CHECK(folder->write("a/b/x.txt", "new", WriteMode::replace) == 3U);
    CHECK(folder->read("a/b/x.txt", 100) == "new");
    CHECK(folder->read("a/b/x.txt", 2).error().code == Errc::too_large);
    CHECK(folder->read("a/b/none", 2).error().code == Errc::not_found);
    const auto listed = folder->folder("a")->list(10);
    REQUIRE(listed);
    REQUIRE(listed->size() == 1);
    CHECK(listed->front().name == "b");
    CHECK(listed->front().type == platform::FolderEntry::Type::folder);
}

TEST_CASE("a symbolic link is never followed, wherever it stands", "[platform][folder]")
{
    const TempFolder temp, outside;
    std::ofstream(outside.path() + "/secret") << "secret";
    fs::create_symlink(outside.path(), temp.path() + "/way");
    fs::create_symlink(outside.path() + "/secret", temp.path() + "/file");
    auto folder = Folder::open(temp.path());
    REQUIRE(folder);
    CHECK(folder->read("way/secret", 100).error().code == Errc::denied);
    CHECK(folder->read("file", 100).error().code == Errc::denied);
    CHECK(folder->write("way/new", "x", WriteMode::create).error().code == Errc::denied);
    CHECK(folder->write("file", "x", WriteMode::append).error().code == Errc::denied);
    CHECK_FALSE(folder->write("file", "x", WriteMode::replace));
    CHECK_FALSE(fs::exists(outside.path() + "/new"));
    std::string kept;
    std::ifstream(outside.path() + "/secret") >> kept;
    CHECK(kept == "secret");
    CHECK(folder->look("file")->type == platform::FolderEntry::Type::link);
    CHECK(Folder::open(temp.path() + "/way").error().code == Errc::denied);
}

TEST_CASE("names that climb or begin at the root are refused", "[platform][folder]")
{
    const TempFolder temp;
    auto folder = Folder::open(temp.path());
    REQUIRE(folder);
    fs::create_directory(temp.path() + "/a");
    for (const char* name : {"../x", "a/../../x", "/etc/passwd", "..", "a/.."}) {
        CAPTURE(name);
        CHECK_FALSE(folder->read(name, 100));
        CHECK_FALSE(folder->write(name, "x", WriteMode::create));
    }
    CHECK_FALSE(folder->read(std::string_view("a\0b", 3), 100));
    CHECK_FALSE(Folder::open("relative"));
}

TEST_CASE("the links of /proc lead nowhere", "[platform][folder]")
{
    auto folder = Folder::open("/");
    REQUIRE(folder);
    CHECK_FALSE(folder->read("proc/self/fd/0", 100));
    CHECK_FALSE(folder->read("proc/self/root/etc/hostname", 100));
    CHECK_FALSE(folder->read("proc/self/cwd/x", 100));
}

TEST_CASE("only regular files are opened, and a FIFO holds nobody up", "[platform][folder]")
{
    const TempFolder temp;
    REQUIRE(::mkfifo((temp.path() + "/fifo").c_str(), 0644) == 0);
    fs::create_directory(temp.path() + "/folder");
    auto folder = Folder::open(temp.path());
    REQUIRE(folder);
    CHECK(folder->read("fifo", 100).error().code == Errc::invalid);
    CHECK(folder->read("folder", 100).error().code == Errc::invalid);
    CHECK_FALSE(folder->write("fifo", "x", WriteMode::append));
    CHECK_FALSE(folder->write("folder", "x", WriteMode::replace));
}

TEST_CASE("a file with several names is not appended to", "[platform][folder]")
{
    const TempFolder temp;
    auto folder = Folder::open(temp.path());
    REQUIRE(folder);
    REQUIRE(folder->write("one", "1", WriteMode::create));
    REQUIRE(::link((temp.path() + "/one").c_str(), (temp.path() + "/two").c_str()) == 0);
    CHECK(folder->write("two", "x", WriteMode::append).error().code == Errc::conflict);
    CHECK(folder->write("two", "x", WriteMode::replace));
    CHECK(folder->read("one", 10) == "1");
}

TEST_CASE("a new file is not there until it is complete, and leaves nothing when it is given up", "[platform][folder]")
{
    const TempFolder temp;
    auto folder = Folder::open(temp.path());
    REQUIRE(folder);
    {
        auto file = folder->new_file("report");
        REQUIRE(file);
        REQUIRE((*file)->append("half"));
        CHECK_FALSE(fs::exists(temp.path() + "/report"));
    }
    CHECK(fs::is_empty(temp.path()));
    auto file = folder->new_file("report");
    REQUIRE(file);
    REQUIRE((*file)->append("whole"));
    REQUIRE((*file)->commit());
    CHECK(folder->read("report", 10) == "whole");
    CHECK(folder->list(10)->size() == 1);
}

TEST_CASE("a list is bounded", "[platform][folder]")
{
    const TempFolder temp;
    for (int i = 0; i < 5; ++i) std::ofstream(temp.path() + "/" + std::to_string(i)) << i;
    auto folder = Folder::open(temp.path());
    REQUIRE(folder);
    CHECK(folder->list(5)->size() == 5);
    CHECK(folder->list(4).error().code == Errc::too_large);
}

TEST_CASE("a kernel without openat2 gives the same refusals", "[platform][folder]")
{
    const TempFolder temp, outside;
    fs::create_directories(temp.path() + "/a/b");
    std::ofstream(temp.path() + "/a/b/x") << "text";
    std::ofstream(outside.path() + "/secret") << "secret";
    fs::create_symlink(outside.path(), temp.path() + "/a/way");
    fs::create_symlink(outside.path() + "/secret", temp.path() + "/a/file");
    const pid_t child = ::fork();
    if (child == 0) {
        scmp_filter_ctx filter = ::seccomp_init(SCMP_ACT_ALLOW);
        ::seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(openat2), 0);
        if (::seccomp_load(filter) != 0) ::_exit(90);
        const auto folder = Folder::open(temp.path());
        if (!folder) ::_exit(1);
        if (folder->read("a/b/x", 10) != "text") ::_exit(2);
        if (folder->write("a//b/new", "1", WriteMode::create) != 1U) ::_exit(3);
        int number = 10;
        for (const char* name : {"a/way/secret", "a/file", "../x", "a/../../x", "a/b/../x"}) {
            ++number;
            if (const auto got = folder->read(name, 100); got || got.error().code != Errc::denied) ::_exit(number);
        }
        if (folder->read("a/none", 10).error().code != Errc::not_found) ::_exit(4);
        if (Folder::open(temp.path() + "/a/way")) ::_exit(5);
        ::_exit(0);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("nothing in a folder that is kept out is reached, by whatever way", "[platform][folder]")
{
    const TempFolder temp;
    const std::string own = temp.path() + "/own";
    fs::create_directories(own + "/keys");
    std::ofstream(own + "/keys/key") << "secret";
    fs::create_directories(temp.path() + "/owner");  // its name begins alike
    auto folder = Folder::open(temp.path());
    REQUIRE(folder);
    REQUIRE(folder->read("own/keys/key", 100) == "secret");  // the control
    REQUIRE(platform::keep_out_of(own));
    CHECK(Folder::open(own).error().code == Errc::denied);
    CHECK(Folder::open(own + "/keys").error().code == Errc::denied);
    CHECK(folder->folder("own").error().code == Errc::denied);
    CHECK(folder->look("own/keys/key").error().code == Errc::denied);
    CHECK(folder->read("own/keys/key", 100).error().code == Errc::denied);
    CHECK_THAT(folder->open_file("own/keys/key").error().what, Catch::Contains("Millwright's own"));
    for (const WriteMode mode : {WriteMode::create, WriteMode::append, WriteMode::replace}) CHECK(folder->write("own/new", "x", mode).error().code == Errc::denied);
    CHECK(folder->make_folder("own/more").error().code == Errc::denied);
    CHECK_FALSE(fs::exists(own + "/new"));
    CHECK_FALSE(fs::exists(own + "/more"));
    CHECK(folder->write("owner/x", "x", WriteMode::create));
    CHECK(platform::keep_out_of(temp.path() + "/none").error().code == Errc::not_found);
}
