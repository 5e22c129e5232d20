#include <cstdlib>
#include <filesystem>

#include <catch2/catch.hpp>

#include "platform/files.h"
#include "platform/http_client.h"
#include "platform/process.h"
#include "tests/unit/factory_http/certificates.h"

using namespace mill;
using namespace std::chrono_literals;

namespace {

struct Folder {
    Folder()
    {
        char name[] = "/tmp/mill-factory-XXXXXX";
        path = mkdtemp(name);
    }
    ~Folder() { std::filesystem::remove_all(path); }
    std::string path;
};

platform::ProcessSpec factory(std::vector<std::string> arguments)
{
    const char* bin = std::getenv("MILL_BIN");
    REQUIRE(bin != nullptr);
    platform::ProcessSpec spec;
    spec.program = std::string(bin) + "/millwright-factory";
    spec.arguments = std::move(arguments);
    spec.environment = {{"PATH", "/usr/bin:/bin"}, {"HOME", "/tmp"}};
    return spec;
}

/// To its end; out and err together.
std::pair<int, std::string> run(std::vector<std::string> arguments)
{
    const auto ended = platform::run_process(factory(std::move(arguments)), "", 65536, 20s);
    REQUIRE(ended);
    REQUIRE(ended->ending.signal == 0);
    return {ended->ending.exit_code, ended->out + ended->err};
}

/// Starts it, calls `then(url)` when it is ready, stops it by SIGTERM. Returns its exit code.
template <class Then> int serve(std::vector<std::string> arguments, Then then)
{
    std::stop_source stop;
    bool ready = false;
    const auto ended = platform::run_lines(factory(std::move(arguments)), [&](std::string_view line) {
        if (!line.starts_with("listening on ")) return;
        ready = true;
        then(std::string(line.substr(13)));
        stop.request_stop();
    }, 4096, 10s, stop.get_token());
    REQUIRE(ended);
    CHECK(ready);
    CHECK(ended->signal == 0);
    return ended->exit_code;
}

}  // namespace

TEST_CASE("millwright-factory says what is wrong by words and exit code", "[factory][program]")
{
    const Folder folder;
    const std::string data = folder.path + "/data", config = folder.path + "/factory.yaml";
    CHECK(run({"--version"}).second.starts_with("millwright-factory "));
    CHECK(run({"--help"}).first == 0);
    CHECK(run({}).first == 64);
    CHECK(run({"--data", data, "--frobnicate"}).first == 64);
    CHECK(run({"--data", data, "--listen", "nowhere"}).first == 78);
    CHECK(run({"--data", data, "--config", folder.path + "/none.yaml"}).first == 78);

    const auto open = run({"--data", data, "--listen", "0.0.0.0:0"});
    CHECK(open.first == 78);
    CHECK_THAT(open.second, Catch::Contains("--insecure"));

    REQUIRE(platform::write_file(config, "egress: [ nonsense ]\n"));
    const auto egress = run({"--data", data, "--listen", "127.0.0.1:0", "--config", config});
    CHECK(egress.first == 78);
    CHECK_THAT(egress.second, Catch::Contains("'nonsense' is no origin"));

    REQUIRE(platform::write_file(config, "tls: { certificate: /none/c.pem, key: /none/k.pem }\n"));
    const auto tls = run({"--data", data, "--listen", "127.0.0.1:0", "--config", config});
    CHECK(tls.first == 78);
    CHECK_THAT(tls.second, Catch::Contains("/none/c.pem"));
}

TEST_CASE("millwright-factory serves, guards its folder, and stops on SIGTERM", "[factory][program]")
{
    const Folder folder;
    const std::string data = folder.path + "/data";
    const int code = serve({"--data", data, "--listen", "127.0.0.1:0"}, [&](const std::string& url) {
        CHECK(url.starts_with("http://127.0.0.1:"));
        const auto client = platform::make_http_client();
        const auto health = client->send({.uri = url + "/healthz", .headers = {}, .body = {}});
        REQUIRE(health);
        CHECK(health->status == 200);
        const auto token = platform::read_secret_file(data + "/admin-token");
        REQUIRE(token);
        CHECK_THAT(*token, Catch::StartsWith("mw_"));
        const auto second = run({"--data", data, "--listen", "127.0.0.1:0"});
        CHECK(second.first == 2);
        CHECK_THAT(second.second, Catch::Contains(data));
    });
    CHECK(code == 0);
}

TEST_CASE("millwright-factory serves TLS: a client that trusts its authority is answered, a wrong name is refused", "[factory][program][tls]")
{
    const Folder folder;
    const auto files = mill::test::make_certificates(folder.path, "factory.example.com");
    REQUIRE(platform::write_file(folder.path + "/factory.yaml", "tls: { certificate: " + files.certificate + ", key: " + files.key + " }\n"));
    const int code = serve({"--data", folder.path + "/data", "--listen", "0.0.0.0:0", "--config", folder.path + "/factory.yaml"}, [&](const std::string& url) {
        CHECK(url.starts_with("https://0.0.0.0:"));
        const std::string port = url.substr(url.rfind(':'));
        platform::HttpOptions options;
        options.ca_file = files.ca;
        options.pinned_address = "127.0.0.1";
        const auto right = platform::make_http_client(options)->send({.uri = "https://factory.example.com" + port + "/healthz", .headers = {}, .body = {}});
        if (!right) FAIL(right.error().what);
        CHECK(right->status == 200);
        const auto wrong = platform::make_http_client(options)->send({.uri = "https://other.example.com" + port + "/healthz", .headers = {}, .body = {}});
        REQUIRE_FALSE(wrong);
        CHECK(wrong.error().code == Errc::denied);
        options.ca_file.clear();
        CHECK_FALSE(platform::make_http_client(options)->send({.uri = "https://factory.example.com" + port + "/healthz", .headers = {}, .body = {}}));
    });
    CHECK(code == 0);
}
