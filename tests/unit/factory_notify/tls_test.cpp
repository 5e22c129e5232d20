#include <filesystem>

#include <catch2/catch.hpp>

#include "factory/notify/egress.h"
#include "tests/unit/factory_http/certificates.h"
#include "tests/unit/factory_notify/receiver.h"

using namespace mill;
using namespace mill::factory;
using mill::test::Receiver;

namespace {

struct Folder {
    Folder()
    {
        char name[] = "/tmp/mill-notify-XXXXXX";
        path = mkdtemp(name);
    }
    ~Folder() { std::filesystem::remove_all(path); }
    std::string path;
};

HttpServerOptions with_tls(const mill::test::Certificates& files)
{
    HttpServerOptions options;
    options.certificate_file = files.certificate;
    options.key_file = files.key;
    return options;
}

Result<std::vector<std::string>> to_loopback(std::string_view) { return std::vector<std::string>{"127.0.0.1"}; }

}  // namespace

TEST_CASE("the way out checks certificates: private authority, right name, pinned address", "[notify][egress][tls]")
{
    const Folder folder;
    const auto files = mill::test::make_certificates(folder.path, "hook.example.com");
    Receiver receiver(with_tls(files));
    receiver.answer("/hook", 200, "over TLS");
    const EgressRules rules = *EgressRules::parse({"https://*.example.com:*"});
    platform::HttpRequest request;
    request.uri = "https://hook.example.com:" + std::to_string(receiver.port()) + "/hook";

    SECTION("trusted by the configured authority, under its name, at the address it was resolved to")
    {
        Egress egress(rules, files.ca, to_loopback);
        const auto response = egress.send(request);
        if (!response) FAIL(response.error().what);
        CHECK(response->body == "over TLS");
        CHECK(receiver.calls().at(0).header("host") == "hook.example.com:" + std::to_string(receiver.port()));
        CHECK(receiver.calls().at(0).tls);
    }
    SECTION("another name for the same receiver is refused before anything is sent")
    {
        Egress egress(rules, files.ca, to_loopback);
        request.uri = "https://other.example.com:" + std::to_string(receiver.port()) + "/hook";
        const auto response = egress.send(request);
        REQUIRE_FALSE(response);
        CHECK(response.error().code == Errc::denied);
        CHECK(receiver.calls().empty());
    }
    SECTION("without the authority it is refused, too")
    {
        Egress egress(rules, {}, to_loopback);
        const auto response = egress.send(request);
        REQUIRE_FALSE(response);
        CHECK(response.error().code == Errc::denied);
        CHECK(receiver.calls().empty());
    }
}
