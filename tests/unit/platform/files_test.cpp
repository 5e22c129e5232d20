#include <catch2/catch.hpp>

#include <cstdlib>

#include <sys/stat.h>
#include <unistd.h>

#include "platform/files.h"

using namespace mill;
using namespace mill::platform;

namespace {

struct Folder {
    std::string path;
    Folder()
    {
        char name[] = "/tmp/mill-files-XXXXXX";
        path = mkdtemp(name);
    }
    ~Folder() { (void)remove_tree(path); }
};

}  // namespace

TEST_CASE("a file is written whole with its mode and read back", "[platform][files]")
{
    const Folder folder;
    const std::string path = folder.path + "/a";
    REQUIRE(write_file(path, "one", 0600));
    REQUIRE(write_file(path, std::string(100'000, 'x'), 0640));
    CHECK(read_file(path, 200'000)->size() == 100'000);
    struct stat info {};
    REQUIRE(stat(path.c_str(), &info) == 0);
    CHECK((info.st_mode & 07777U) == 0640);
    CHECK(read_file(path, 10).error().code == Errc::too_large);
    CHECK(read_file(folder.path, 10).error().code == Errc::denied);
    CHECK(read_file(folder.path + "/b", 10).error().code == Errc::not_found);
    CHECK(write_file(folder.path + "/no/such", "x").error().code == Errc::not_found);
}

TEST_CASE("a secret file that others can read is refused with its mode", "[platform][files]")
{
    const Folder folder;
    const std::string path = folder.path + "/token";
    REQUIRE(write_file(path, "secret", 0600));
    CHECK(*read_secret_file(path) == "secret");
    REQUIRE(chmod(path.c_str(), 0640) == 0);
    const auto read = read_secret_file(path);
    REQUIRE_FALSE(read);
    CHECK(read.error().code == Errc::denied);
    CHECK_THAT(read.error().what, Catch::Contains("0640") && !Catch::Contains("secret\""));
}

TEST_CASE("an output replaces a file, and goes through a link or into a pipe as it is", "[platform][files]")
{
    const Folder folder;
    const std::string path = folder.path + "/out", link = folder.path + "/link";
    REQUIRE(write_output(path, "one, longer"));
    REQUIRE(symlink(path.c_str(), link.c_str()) == 0);
    REQUIRE(write_output(link, "two"));
    CHECK(*read_file(path, 100) == "two");
    struct stat info {};
    REQUIRE(lstat(link.c_str(), &info) == 0);
    CHECK(S_ISLNK(info.st_mode));
    REQUIRE(write_output("/dev/null", "gone"));
    REQUIRE(stat("/dev/null", &info) == 0);
    CHECK(S_ISCHR(info.st_mode));
}

TEST_CASE("whether a path can be read or written is said beforehand", "[platform][files]")
{
    const Folder folder;
    REQUIRE(write_file(folder.path + "/there", "x"));
    CHECK(may_read(folder.path));
    CHECK(may_read(folder.path + "/there"));
    CHECK(may_write(folder.path + "/there"));
    CHECK(may_write(folder.path + "/new"));
    CHECK(may_write("/dev/null"));
    CHECK(may_read(folder.path + "/absent").error().code == Errc::not_found);
    CHECK(may_write(folder.path).error().code == Errc::conflict);
    CHECK(may_write(folder.path + "/absent/x").error().code == Errc::not_found);
    if (geteuid() == 0) return;   // nothing is closed to root
    REQUIRE(chmod((folder.path + "/there").c_str(), 0) == 0);
    CHECK(may_read(folder.path + "/there").error().code == Errc::denied);
    CHECK(may_write(folder.path + "/there").error().code == Errc::denied);
}

TEST_CASE("folders are made with their parents and removed with their content", "[platform][files]")
{
    const Folder folder;
    REQUIRE(make_folder(folder.path + "/a/b/c", 0700));
    REQUIRE(make_folder(folder.path + "/a/b/c", 0700));
    CHECK(exists(folder.path + "/a/b/c"));
    REQUIRE(write_file(folder.path + "/f", "x"));
    CHECK(make_folder(folder.path + "/f").error().code == Errc::conflict);
    REQUIRE(remove_tree(folder.path + "/a"));
    CHECK_FALSE(exists(folder.path + "/a"));
    CHECK(remove_tree(folder.path + "/a"));
}

TEST_CASE("a lock is held by one, and the other learns who", "[platform][files]")
{
    const Folder folder;
    auto first = lock_file(folder.path + "/lock");
    REQUIRE(first);
    const auto second = lock_file(folder.path + "/lock");
    REQUIRE_FALSE(second);
    CHECK(second.error().code == Errc::conflict);
    CHECK_THAT(second.error().what, Catch::Contains(std::to_string(getpid())));
    *first = Handle();
    CHECK(lock_file(folder.path + "/lock"));
}
