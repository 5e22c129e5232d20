#include "agent/companion/person_client.h"

#include <catch2/catch.hpp>

#include <atomic>
#include <filesystem>
#include <thread>

#include <unistd.h>

#include "platform/base/clock.h"
#include "platform/base/mailbox.h"

using namespace mill;
using namespace mill::companion;
using platform::LocalRequest;
using platform::LocalResponse;

namespace {

struct Folder {
    std::filesystem::path path = std::filesystem::temp_directory_path() / ("companion-" + std::to_string(::getpid()));
    Folder() { std::filesystem::create_directories(path); }
    ~Folder() { std::filesystem::remove_all(path); }
    std::string person() const { return (path / "person").string(); }
};

}  // namespace

TEST_CASE("each change of the agent's word is told, and that it is away, once", "[companion][client]")
{
    const Folder folder;
    const PersonClient client(folder.person());
    Mailbox<News> news;
    std::atomic<int> version{7}, asked{0};
    const auto handler = [&](const LocalRequest& request) -> LocalResponse {
        ++asked;
        const std::string number = std::to_string(version.load());
        if (request.target == "/v1/person") return {200, R"({"version":)" + number + "}"};
        return {200, R"({"version":)" + number + "}"};
    };
    std::jthread watcher([&](std::stop_token stop) { watch_person(client, [&](News said) { (void)news.try_send(std::move(said)); }, stop); });
    auto first = news.receive_for(std::chrono::seconds(10));
    REQUIRE(first);
    CHECK(first->person.is_null());
    CHECK_THAT(first->away, Catch::Contains(folder.person()));
    {
        auto server = platform::serve_local_socket(folder.person(), handler);
        REQUIRE(server);
        auto second = news.receive_for(std::chrono::seconds(10));
        REQUIRE(second);
        CHECK(second->person["version"].as_integer() == 7);
        version = 3;   // an agent that was started again may count anew
        auto third = news.receive_for(std::chrono::seconds(10));
        REQUIRE(third);
        CHECK(third->person["version"].as_integer() == 3);
        // A server that answers each parked request at once costs ten requests a second, not a processor.
        const int before = asked;
        system_clock().sleep(Milliseconds(500), {});
        CHECK(asked - before <= 8);
    }
    auto gone = news.receive_for(std::chrono::seconds(10));
    REQUIRE(gone);
    CHECK(gone->person.is_null());
    CHECK(news.size() == 0);
}

TEST_CASE("a socket that is another user's is not spoken to", "[companion][client]")
{
    if (::geteuid() != 0) {
        WARN("SKIP: only root can give a socket away");
        return;
    }
    const Folder folder;
    std::atomic<int> asked{0};
    auto server = platform::serve_local_socket(folder.person(), platform::LocalHandler([&](const LocalRequest&) -> LocalResponse {
                                                   ++asked;
                                                   return {200, "{}"};
                                               }));
    REQUIRE(server);
    const PersonClient client(folder.person());
    CHECK(client.ask("GET", "/v1/person", Json(), std::chrono::seconds(5)));
    REQUIRE(::chown(folder.person().c_str(), 65534, 65534) == 0);
    const auto refused = client.ask("GET", "/v1/person", Json(), std::chrono::seconds(5));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Errc::denied);
    CHECK_THAT(refused.error().what, Catch::Contains("belongs to the user 65534"));
    std::filesystem::create_symlink(folder.person(), folder.path / "link");
    CHECK(PersonClient((folder.path / "link").string()).ask("GET", "/", Json(), std::chrono::seconds(5)).error().code == Errc::denied);
    CHECK(asked == 1);
}
