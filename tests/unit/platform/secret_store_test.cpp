#include <catch2/catch.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <sys/stat.h>
#include <unistd.h>

#include "platform/base/ids.h"
#include "platform/secret_store.h"

using namespace mill;
using namespace mill::platform;
namespace fs = std::filesystem;
using Catch::Contains;

namespace {

struct Store {
    std::string root = (fs::temp_directory_path() / ("mill-secrets-" + new_uid())).string();
    SecretPlaces places;

    Store()
    {
        for (const char* name : {"/data", "/service"}) {
            fs::create_directories(root + name);
            ::chmod((root + name).c_str(), 0700);
        }
        places = {root + "/service", "millwright", root + "/data", {}};
    }
    ~Store() { fs::remove_all(root); }
    std::string put(const std::string& name, const std::string& text, unsigned mode = 0600) const
    {
        std::ofstream(root + "/" + name) << text;
        ::chmod((root + "/" + name).c_str(), mode);
        return root + "/" + name;
    }
    std::string why_not(const std::string& name, Errc code = Errc::denied) const
    {
        const auto opened = open_secret(places, name);
        REQUIRE_FALSE(opened);
        CHECK(opened.error().code == code);
        return opened.error().what;
    }
    static std::string text(const Handle& file)
    {
        std::string out(100, '\0');
        out.resize(static_cast<std::size_t>(std::max<ssize_t>(0, ::read(file.native(), out.data(), out.size()))));
        return out;
    }
};

}  // namespace

TEST_CASE("a secret is opened from the service's folder first, then from ours", "[platform][secret_store]")
{
    Store store;
    store.put("data/erp.yaml", "of the folder");
    REQUIRE(open_secret(store.places, "erp"));
    CHECK(Store::text(*open_secret(store.places, "erp")) == "of the folder");
    store.put("service/millwright.erp", "of the service", 0440);
    CHECK(Store::text(*open_secret(store.places, "erp")) == "of the service");
    CHECK_THAT(store.why_not("crm", Errc::not_found), Contains("/service/millwright.crm") && Contains("/data/crm.yaml"));
    store.places = {};
    CHECK_THAT(store.why_not("erp", Errc::not_found), Contains("no place"));
}

TEST_CASE("a secret's file that others can read, or that is none, is refused with what to type", "[platform][secret_store]")
{
    Store store;
    const std::string path = store.put("data/erp.yaml", "x", 0640);
    CHECK_THAT(store.why_not("erp"), Contains("mode 0640 lets others in") && Contains("chmod 600 " + path));
    ::chmod(path.c_str(), 0604);
    CHECK_THAT(store.why_not("erp"), Contains("chmod 600 " + path));
    ::chmod(path.c_str(), 0400);
    CHECK(open_secret(store.places, "erp"));
    store.put("elsewhere", "x");
    fs::create_symlink(store.root + "/elsewhere", store.root + "/data/link.yaml");
    CHECK_THAT(store.why_not("link"), Contains("is a link"));
    fs::create_symlink(store.root + "/elsewhere", store.root + "/service/millwright.link");
    CHECK_THAT(store.why_not("link"), Contains("is a link"));
    fs::create_hard_link(store.root + "/elsewhere", store.root + "/data/twice.yaml");
    CHECK_THAT(store.why_not("twice"), Contains("has 2 names"));
    fs::create_directory(store.root + "/data/folder.yaml");
    CHECK_THAT(store.why_not("folder"), Contains("no regular file"));
    REQUIRE(::mkfifo((store.root + "/data/pipe.yaml").c_str(), 0600) == 0);  // opening it must not wait
    CHECK_THAT(store.why_not("pipe"), Contains("no regular file"));
    store.put("data/big.yaml", std::string(kMaxSecretFile + 1, 'x'));
    CHECK_THAT(store.why_not("big", Errc::too_large), Contains("larger than"));
}

TEST_CASE("a folder of secrets that others can write in, or a link, is refused", "[platform][secret_store]")
{
    Store store;
    store.put("data/erp.yaml", "x");
    ::chmod((store.root + "/data").c_str(), 0770);
    CHECK_THAT(store.why_not("erp"), Contains("lets others put files there") && Contains("chmod 700 " + store.root + "/data"));
    ::chmod((store.root + "/data").c_str(), 0755);
    CHECK(open_secret(store.places, "erp"));
    fs::create_directory_symlink(store.root + "/data", store.root + "/way");
    store.places.folder = store.root + "/way";
    CHECK_THAT(store.why_not("erp"), Contains("is a link"));
}

TEST_CASE("a secret's file of another user is refused unless that user is named", "[platform][secret_store]")
{
    if (geteuid() != 0) {
        WARN("SKIP: only root can give a file away");
        return;
    }
    Store store;
    const std::string path = store.put("data/erp.yaml", "x");
    REQUIRE(::chown(path.c_str(), 4711, 4711) == 0);
    CHECK_THAT(store.why_not("erp"), Contains("belongs to user 4711") && Contains("chown root " + path));
    store.places.owners = {4711};
    CHECK(open_secret(store.places, "erp"));
    store.places.owners = {};
    REQUIRE(::chown(path.c_str(), 0, 0) == 0);
    REQUIRE(::chown((store.root + "/data").c_str(), 4711, 4711) == 0);
    CHECK_THAT(store.why_not("erp"), Contains("belongs to user 4711"));
}

TEST_CASE("names that would lead elsewhere are none", "[platform][secret_store]")
{
    Store store;
    for (const char* name : {"", ".", "..", "../data/erp", "a/b", "UP", ".hidden", "-x"}) store.why_not(name, Errc::invalid);
    store.why_not(std::string("a\0b", 3), Errc::invalid);
}

TEST_CASE("what is there is listed by name, with what is wrong with it", "[platform][secret_store]")
{
    Store store;
    store.put("data/b.yaml", "x");
    store.put("data/a.yaml", "x", 0644);
    store.put("data/notes.txt", "x");
    store.put("service/millwright.b", "x");
    store.put("service/other.c", "x");
    const auto found = list_secrets(store.places);
    REQUIRE(found.size() == 2);
    CHECK(found[0].name == "a");
    REQUIRE_FALSE(found[0].usable);
    CHECK_THAT(found[0].usable.error().what, Contains("chmod 600"));
    CHECK(found[1].name == "b");
    CHECK(found[1].path == store.root + "/service/millwright.b");
    CHECK(found[1].usable);
    CHECK(list_secrets({}).empty());
}
