#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <set>
#include <thread>

#include <catch2/catch.hpp>

#include "platform/base/ids.h"
#include "platform/folder_watch.h"

using namespace mill;
using namespace std::chrono_literals;

namespace {

struct Watched {
    std::filesystem::path folder = std::filesystem::temp_directory_path() / ("mill-watch-" + new_uid());
    std::mutex mutex;
    std::set<std::string> told;
    std::unique_ptr<platform::FolderWatch> watch;
    Watched()
    {
        std::filesystem::create_directories(folder / "in");
        auto made = platform::watch_folders([this](const std::string& one) {
            const std::scoped_lock lock(mutex);
            told.insert(one);
        });
        REQUIRE(made);
        watch = std::move(*made);
    }
    ~Watched()
    {
        watch.reset();
        std::filesystem::remove_all(folder);
    }
    std::string in() const { return (folder / "in").string(); }
    bool hears(const std::string& what)
    {
        for (int i = 0; i < 200; ++i) {
            {
                const std::scoped_lock lock(mutex);
                if (told.erase(what) > 0) return true;
            }
            std::this_thread::sleep_for(10ms);
        }
        return false;
    }
};

}  // namespace

TEST_CASE("what is made, written, renamed or removed in a watched folder is told", "[watch]")
{
    Watched watched;
    REQUIRE(watched.watch->add(watched.in()));
    std::ofstream(watched.in() + "/a") << "x";
    CHECK(watched.hears(watched.in()));
    std::ofstream(watched.folder / "outside") << "y";
    std::filesystem::rename(watched.folder / "outside", watched.folder / "in/b");
    CHECK(watched.hears(watched.in()));
    std::filesystem::remove(watched.folder / "in/b");
    CHECK(watched.hears(watched.in()));
}

TEST_CASE("a folder that goes is told, and one that comes again is watched when it is added again", "[watch]")
{
    Watched watched;
    REQUIRE(watched.watch->add(watched.in()));
    std::filesystem::remove_all(watched.in());
    CHECK(watched.hears(watched.in()));
    const auto gone = watched.watch->add(watched.in());
    REQUIRE_FALSE(gone);
    CHECK(gone.error().code == Errc::not_found);
    std::filesystem::create_directories(watched.in());
    REQUIRE(watched.watch->add(watched.in()));
    {
        const std::scoped_lock lock(watched.mutex);
        watched.told.clear();
    }
    std::ofstream(watched.in() + "/a") << "x";
    CHECK(watched.hears(watched.in()));
}

TEST_CASE("a folder that is watched no longer is not told of, and its watch ends with the object", "[watch]")
{
    Watched watched;
    REQUIRE(watched.watch->add(watched.in()));
    watched.watch->remove(watched.in());
    std::this_thread::sleep_for(50ms);
    {
        const std::scoped_lock lock(watched.mutex);
        watched.told.clear();
    }
    std::ofstream(watched.in() + "/a") << "x";
    std::this_thread::sleep_for(100ms);
    const std::scoped_lock lock(watched.mutex);
    CHECK(watched.told.empty());
}
