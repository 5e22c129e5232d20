#include <catch2/catch.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "agent/broker/archive_reader.h"
#include "agent/broker/effects.h"
#include "platform/base/encode.h"
#include "platform/folder.h"
#include "tests/unit/broker/loopback_server.h"
#include "tests/unit/broker/temp_folder.h"

using namespace mill;
namespace fs = std::filesystem;

namespace {

struct Bench {
    std::shared_ptr<const broker::Grants> grants;
    broker::HttpClients clients;

    explicit Bench(Json permissions, Json credentials = Json::object())
    {
        auto made = broker::make_grants(permissions, std::move(credentials));
        REQUIRE(made);
        grants = *made;
    }
    broker::Outcome<Json> perform(std::string effect, Json with, Milliseconds limit = Milliseconds(20'000))
    {
        broker::EffectContext context{*grants, clients, system_clock().steady() + limit, {}, std::string(std::getenv("MILL_BIN")) + "/millwright-broker"};
        return broker::perform({1, std::move(effect), std::move(with), limit}, context);
    }
};

Json files(std::string kind, std::string path) { return Json::object({{"files", Json::object({{kind, Json::array({path})}})}}); }
Json network(std::string rule) { return Json::object({{"network", Json::array({rule})}}); }

}  // namespace

TEST_CASE("an effect that does not exist is refused by name", "[broker][effects]")
{
    const auto outcome = Bench(Json::object()).perform("disk.format", Json::object());
    REQUIRE_FALSE(outcome);
    CHECK_THAT(outcome.error().detail, Catch::Contains("disk.format"));
}

TEST_CASE("with nothing granted every effect is refused as authorization 403", "[broker][effects]")
{
    Bench bench(Json::object());
    const auto refused = [&](std::string effect, Json with) {
        CAPTURE(effect);
        const auto outcome = bench.perform(effect, std::move(with));
        REQUIRE_FALSE(outcome);
        CHECK(outcome.error().type == "authorization");
        CHECK(outcome.error().status == 403);
    };
    refused("http.request", Json::object({{"method", "get"}, {"uri", "https://tickets.example.com/"}}));
    refused("file.read", Json::object({{"path", "/etc/hostname"}}));
    refused("file.write", Json::object({{"path", "/tmp/x"}, {"content", ""}}));
    refused("file.list", Json::object({{"path", "/etc"}}));
    refused("archive.create", Json::object({{"source", "/etc"}, {"target", "/tmp/x.zip"}}));
    refused("archive.verify", Json::object({{"path", "/tmp/x.zip"}}));
    refused("system.usage", Json::object());
    refused("command.start", Json::object({{"path", "/bin/sh"}}));
}

TEST_CASE("arguments that are wrong or unknown are a validation error that names them", "[broker][effects]")
{
    Bench bench(files("write", "/tmp"));
    for (const char* effect : {"file.read", "file.write", "file.list", "archive.create", "archive.verify", "http.request", "command.start"}) {
        CAPTURE(effect);
        const auto outcome = bench.perform(effect, Json::object({{"surprise", 1}}));
        REQUIRE_FALSE(outcome);
        CHECK(outcome.error().status == 400);
        CHECK_THAT(outcome.error().detail, Catch::Contains("surprise"));
    }
}

TEST_CASE("a secret that a granted file holds, too, is masked in what is read of it", "[broker][effects]")
{
    const TempFolder temp;
    Bench bench(files("write", temp.path()), Json::object({{"erp", Json::object({{"password", "hunter2-long"}})}}));
    const std::string path = temp.path() + "/erp.conf";
    REQUIRE(bench.perform("file.write", Json::object({{"path", path}, {"content", "user=anna\npass=hunter2-long\n"}})));
    CHECK(bench.perform("file.read", Json::object({{"path", path}})) == Json::object({{"content", "user=anna\npass=***\n"}, {"size", 28}}));
    CHECK(bench.perform("file.read", Json::object({{"path", path}, {"encoding", "base64"}}))->find("content")->as_string() == to_base64("user=anna\npass=***\n"));
}

TEST_CASE("a granted folder is written, read and listed", "[broker][effects]")
{
    const TempFolder temp;
    Bench bench(files("write", temp.path()));
    const std::string path = temp.path() + "/report.txt";
    CHECK(bench.perform("file.write", Json::object({{"path", path}, {"content", "one"}})) == Json::object({{"path", path}, {"size", 3}}));
    const auto again = bench.perform("file.write", Json::object({{"path", path}, {"content", "two"}}));
    REQUIRE_FALSE(again);
    CHECK(again.error().status == 409);
    CHECK(bench.perform("file.write", Json::object({{"path", path}, {"content", "+"}, {"mode", "append"}}))->find("size")->as_integer() == 4);
    CHECK(bench.perform("file.read", Json::object({{"path", path}})) == Json::object({{"content", "one+"}, {"size", 4}}));
    CHECK(bench.perform("file.read", Json::object({{"path", path}, {"encoding", "base64"}}))->find("content")->as_string() == to_base64("one+"));
    CHECK(bench.perform("file.write", Json::object({{"path", path}, {"content", to_base64("\xff")}, {"encoding", "base64"}, {"mode", "replace"}})));
    CHECK(bench.perform("file.read", Json::object({{"path", path}})).error().status == 422);
    CHECK(bench.perform("file.read", Json::object({{"path", temp.path() + "/none"}})).error().status == 404);
    fs::create_directory(temp.path() + "/sub");
    std::ofstream(temp.path() + "/sub/b.csv") << "1";
    const auto listed = bench.perform("file.list", Json::object({{"path", temp.path()}, {"recursive", true}, {"pattern", "*.csv"}}));
    REQUIRE(listed);
    REQUIRE((*listed)["entries"].size() == 1);
    CHECK((*listed)["entries"][std::size_t{0}]["path"].as_string() == temp.path() + "/sub/b.csv");
    CHECK((*listed)["entries"][std::size_t{0}]["type"].as_string() == "file");
    CHECK(bench.perform("file.list", Json::object({{"path", temp.path()}}))->find("entries")->size() == 2);
}

TEST_CASE("a pattern of many stars costs no time", "[broker][effects]")
{
    const TempFolder temp;
    std::ofstream(temp.path() + "/" + std::string(250, 'a')) << "1";
    std::string pattern;
    for (int i = 0; i < 100; ++i) pattern += "*a";
    const auto listed = Bench(files("read", temp.path())).perform("file.list", Json::object({{"path", temp.path()}, {"pattern", pattern + "*b"}}));
    REQUIRE(listed);
    CHECK((*listed)["entries"].empty());
}

TEST_CASE("a link inside a granted folder leads nowhere", "[broker][effects]")
{
    const TempFolder temp, outside;
    std::ofstream(outside.path() + "/secret") << "secret";
    fs::create_symlink(outside.path(), temp.path() + "/way");
    Bench bench(files("write", temp.path()));
    for (const auto& [effect, with] : {std::pair{"file.read", Json::object({{"path", temp.path() + "/way/secret"}})},
                                       std::pair{"file.write", Json::object({{"path", temp.path() + "/way/new"}, {"content", "x"}})},
                                       std::pair{"file.list", Json::object({{"path", temp.path() + "/way"}})}}) {
        CAPTURE(effect);
        const auto outcome = bench.perform(effect, with);
        REQUIRE_FALSE(outcome);
        CHECK(outcome.error().status == 403);
    }
    CHECK(fs::directory_iterator(outside.path())->path().filename() == "secret");
}

TEST_CASE("a call goes out with what was asked for, and comes back whole", "[broker][effects]")
{
    LoopbackServer server(http_answer(404, R"({"why":"no such order"})"));
    Bench bench(network("http://127.0.0.1:" + std::to_string(server.port())));
    const auto outcome = bench.perform("http.request", Json::object({{"method", "post"}, {"uri", server.url("/orders")}, {"query", Json::object({{"q", "a b"}})},
                                                                     {"headers", Json::object({{"X-Case", "7"}})}, {"body", Json::object({{"n", 1}})}}));
    REQUIRE(outcome);
    CHECK((*outcome)["status"].as_integer() == 404);
    CHECK((*outcome)["text"].as_string() == R"({"why":"no such order"})");
    CHECK((*outcome)["headers"]["content-type"].as_string() == "application/json");
    const std::string request = server.requests().at(0);
    CHECK_THAT(request, Catch::StartsWith("POST /orders?q=a%20b HTTP/1.1"));
    CHECK_THAT(request, Catch::Contains("X-Case:7") && Catch::Contains("application/json") && Catch::EndsWith("\r\n\r\n{\"n\":1}"));
}

TEST_CASE("an answer is text when it is text, in UTF-8 or the old Western charset, else base64", "[broker][effects]")
{
    const auto [type, body, member, expected] = GENERATE(table<std::string, std::string, std::string, std::string>({
        {"text/plain", "gr\xC3\xBC\xC3\x9F", "text", "gr\xC3\xBC\xC3\x9F"},
        {"text/html; charset=ISO-8859-1", "gr\xFC\xDF", "text", "gr\xC3\xBC\xC3\x9F"},
        {"application/octet-stream", "\xFF\xFE", "base64", "//4="},
    }));
    LoopbackServer server(http_answer(200, body, "Content-Type: " + type + "\r\n"));
    Bench bench(network("http://127.0.0.1:*"));
    const auto outcome = bench.perform("http.request", Json::object({{"method", "get"}, {"uri", server.url()}}));
    REQUIRE(outcome);
    CHECK((*outcome)[member].as_string() == expected);
}

TEST_CASE("an answer that is too large is refused, not cut", "[broker][effects]")
{
    LoopbackServer server("HTTP/1.1 200 X\r\nContent-Length: 99999999999\r\n\r\n" + std::string(100'000, 'x'));
    Bench bench(network("http://127.0.0.1:*"));
    const auto outcome = bench.perform("http.request", Json::object({{"method", "get"}, {"uri", server.url()}}));
    REQUIRE_FALSE(outcome);
    CHECK(outcome.error().type == "communication");
    CHECK(outcome.error().title == "Answer too large");
}

TEST_CASE("localhost is served by whichever of its addresses answers", "[broker][effects]")
{
    LoopbackServer server(http_answer(200, "{}"));
    Bench bench(network("http://localhost:*"));
    const std::string uri = "http://localhost:" + std::to_string(server.port()) + "/";
    CHECK(bench.perform("http.request", Json::object({{"method", "get"}, {"uri", uri}})));
    CHECK(bench.perform("http.request", Json::object({{"method", "post"}, {"uri", uri}, {"body", 1}})));
    CHECK_THAT(server.requests().at(0), Catch::Contains("Host:localhost:" + std::to_string(server.port())));
}

TEST_CASE("another port of a granted host, another spelling of it, and what it redirects to are not reached", "[broker][effects]")
{
    LoopbackServer other(http_answer(200, "secret"));
    LoopbackServer server(http_answer(302, "", "Location: " + other.url() + "\r\n"));
    Bench bench(network("http://127.0.0.1:" + std::to_string(server.port())));
    const std::string port = std::to_string(server.port());
    for (const std::string& uri : std::vector<std::string>{other.url(), "http://localhost:" + port + "/", "http://127.1:" + port + "/", "http://2130706433:" + port + "/",
                                   "http://0x7f.1:" + port + "/", "http://[::ffff:127.0.0.1]:" + port + "/", "http://user@127.0.0.1:" + port + "/",
                                   "file:///etc/passwd", "gopher://127.0.0.1:" + port + "/", "no uri"}) {
        CAPTURE(uri);
        const auto outcome = bench.perform("http.request", Json::object({{"method", "get"}, {"uri", uri}}));
        REQUIRE_FALSE(outcome);
        CHECK((outcome.error().status == 403 || outcome.error().status == 400));
    }
    const auto redirected = bench.perform("http.request", Json::object({{"method", "get"}, {"uri", server.url()}, {"redirect", true}}));
    REQUIRE(redirected);
    CHECK((*redirected)["status"].as_integer() == 302);
    CHECK(other.requests().empty());
}

TEST_CASE("headers cannot smuggle a second request", "[broker][effects]")
{
    LoopbackServer server(http_answer(200, ""));
    Bench bench(network("http://127.0.0.1:" + std::to_string(server.port())));
    for (const auto& [name, value] : {std::pair{"X", "a\r\nHost: evil"}, std::pair{"X\r\nY", "1"}, std::pair{"Host", "evil.example"}, std::pair{"content-length", "0"},
                                      std::pair{"Transfer-Encoding", "chunked"}, std::pair{"", "x"}}) {
        const auto outcome = bench.perform("http.request", Json::object({{"method", "get"}, {"uri", server.url()}, {"headers", Json::object({{name, value}})}}));
        REQUIRE_FALSE(outcome);
        CHECK(outcome.error().status == 400);
    }
    CHECK_FALSE(bench.perform("http.request", Json::object({{"method", "GET / HTTP/1.1\r\nX:"}, {"uri", server.url()}})));
    CHECK(server.requests().empty());
}

TEST_CASE("a credential's value goes to its hosts only, and never comes back", "[broker][effects]")
{
    const std::string secret = "s3cret-token-of-erp";
    LoopbackServer server(http_answer(200, "you said " + secret, "X-Echo: Bearer " + secret + "\r\n"));
    const std::string rule = "http://127.0.0.1:" + std::to_string(server.port());
    const Json permissions = Json::object({{"network", Json::array({rule})}, {"credentials", Json::array({"erp"})}});
    const Json with = Json::object({{"method", "get"}, {"uri", server.url()}, {"authentication", Json::object({{"bearer", Json::object({{"use", "erp"}})}})}});
    Bench bench(permissions, Json::object({{"erp", Json::object({{"token", secret}, {"hosts", Json::array({rule})}})}}));
    const auto outcome = bench.perform("http.request", with);
    REQUIRE(outcome);
    CHECK_THAT(server.requests().at(0), Catch::Contains("Authorization:Bearer " + secret));
    CHECK_THAT(dump_json(*outcome), !Catch::Contains(secret));
    CHECK((*outcome)["text"].as_string() == "you said ***");

    Bench bare(permissions, Json::object({{"erp", Json::object({{"token", secret}, {"hosts", Json::array({"127.0.0.1"})}})}}));
    CHECK(bare.perform("http.request", with));
    Bench elsewhere(permissions, Json::object({{"erp", Json::object({{"token", secret}, {"hosts", Json::array({"https://erp.example.com"})}})}}));
    CHECK(elsewhere.perform("http.request", with).error().status == 403);
    CHECK(Bench(network(rule), Json::object({{"erp", Json::object({{"token", secret}})}})).perform("http.request", with).error().status == 403);
    CHECK(Bench(permissions).perform("http.request", with).error().status == 401);
    CHECK(server.requests().size() == 2);
}

TEST_CASE("a secret in an answer that is no text is masked before it is coded, and counted", "[broker][effects]")
{
    const std::string secret = "s3cret-token-of-erp";
    LoopbackServer server(http_answer(200, "\xff\xfe key=" + secret + "; again " + percent_encode(secret) + "\xfe", "X-Echo: Bearer " + secret + "\r\n"));
    const std::string rule = "http://127.0.0.1:" + std::to_string(server.port());
    const Json permissions = Json::object({{"network", Json::array({rule})}, {"credentials", Json::array({"erp"})}});
    Bench bench(permissions, Json::object({{"erp", Json::object({{"token", secret}})}}));
    broker::EffectContext context{*bench.grants, bench.clients, system_clock().steady() + Milliseconds(20'000), {}};
    const auto outcome = broker::perform({1, "http.request", Json::object({{"uri", server.url()}})}, context);
    REQUIRE(outcome);
    const std::string body = *from_base64((*outcome)["base64"].as_string());
    CHECK_THAT(body, !Catch::Contains(secret) && Catch::Contains("key=***; again ***\xfe"));
    CHECK(context.masked == 3);
    CHECK_THAT(broker::result_text(1, *outcome, context.masked), Catch::EndsWith(R"("masked":3})"));
    CHECK_THAT(broker::result_text(1, *outcome), !Catch::Contains("masked"));
}

TEST_CASE("a secret's handle is filled in inside a request, and only there", "[broker][effects]")
{
    const std::string handle = "\xEE\x80\x80" "erp.password" "\xEE\x80\x81";
    LoopbackServer server(http_answer(200, "{}"));
    const std::string rule = "http://127.0.0.1:" + std::to_string(server.port());
    const TempFolder temp;
    const Json permissions = Json::object({{"network", Json::array({rule})}, {"credentials", Json::array({"erp"})}, {"files", Json::object({{"write", Json::array({temp.path()})}})}});
    const Json credentials = Json::object({{"erp", Json::object({{"username", "anna"}, {"password", "p\"/ s"}})}});
    Bench bench(permissions, credentials);
    const Json with = Json::object({{"method", "post"}, {"uri", server.url("/" + handle)}, {"headers", Json::object({{"X-Key", "k " + handle}})}, {"body", Json::object({{"p", handle}})}});
    REQUIRE(bench.perform("http.request", with));
    CHECK_THAT(server.requests().at(0), Catch::StartsWith("POST /p%22%2F%20s HTTP/1.1") && Catch::Contains("X-Key:k p\"/ s") && Catch::EndsWith(R"({"p":"p\"/ s"})"));
    CHECK(bench.perform("file.write", Json::object({{"path", temp.path() + "/x"}, {"content", handle}})).error().status == 403);
    CHECK(Bench(network(rule), credentials).perform("http.request", with).error().status == 403);
    const Json unknown = Json::object({{"method", "get"}, {"uri", server.url()}, {"headers", Json::object({{"X", "\xEE\x80\x80" "erp.pin\xEE\x80\x81"}})}});
    CHECK(bench.perform("http.request", unknown).error().status == 401);
    CHECK(server.requests().size() == 1);
}

TEST_CASE("basic authentication is made from its two texts", "[broker][effects]")
{
    LoopbackServer server(http_answer(200, "{}"));
    Bench bench(network("http://127.0.0.1:" + std::to_string(server.port())));
    const Json login = Json::object({{"basic", Json::object({{"username", "anna"}, {"password", "pass word"}})}});
    REQUIRE(bench.perform("http.request", Json::object({{"method", "get"}, {"uri", server.url()}, {"authentication", login}})));
    CHECK_THAT(server.requests().at(0), Catch::Contains("Authorization:Basic " + to_base64("anna:pass word")));
    CHECK(bench.perform("http.request", Json::object({{"method", "get"}, {"uri", server.url()}, {"authentication", Json::object({{"ntlm", Json::object()}})}})).error().status == 400);
}

TEST_CASE("a server that does not answer costs its deadline; one that is not there says so", "[broker][effects]")
{
    std::uint16_t closed = 0;
    {
        LoopbackServer gone("");
        closed = gone.port();
    }
    LoopbackServer silent("");
    Bench bench(network("http://127.0.0.1:*"));
    const auto late = bench.perform("http.request", Json::object({{"method", "get"}, {"uri", silent.url()}}), Milliseconds(300));
    REQUIRE_FALSE(late);
    CHECK(late.error().type == "timeout");
    const auto refused = bench.perform("http.request", Json::object({{"method", "get"}, {"uri", "http://127.0.0.1:" + std::to_string(closed) + "/"}}));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().type == "communication");
}

TEST_CASE("a folder is archived and the archive reads back, in both formats", "[broker][effects]")
{
    const std::string format = GENERATE(as<std::string>(), "zip", "tar.gz");
    const TempFolder source, target;
    fs::create_directories(source.path() + "/a/b");
    std::ofstream(source.path() + "/a/b/x.txt") << std::string(200'000, 'x');
    std::ofstream(source.path() + "/\xC3\xA4.txt") << "umlaut";
    fs::create_symlink("/etc/passwd", source.path() + "/link");
    const std::string path = target.path() + "/backup." + format;
    Bench bench(Json::object({{"files", Json::object({{"read", Json::array({source.path()})}, {"write", Json::array({target.path()})}})}}));
    const auto made = bench.perform("archive.create", Json::object({{"source", source.path()}, {"target", path}, {"format", format}}));
    if (!made) FAIL(made.error().detail);
    CHECK((*made)["files"].as_integer() == 2);
    CHECK((*made)["skipped"].as_integer() == 1);
    CHECK((*made)["size"].as_integer() == static_cast<std::int64_t>(fs::file_size(path)));

    auto folder = platform::Folder::open(target.path());
    auto file = folder->open_file("backup." + format);
    REQUIRE(file);
    const auto contents = broker::read_archive(*file);
    REQUIRE(contents);
    CHECK(contents->files == 2);
    CHECK(contents->content == 200'006);
    CHECK(contents->digest == (*made)["digest"].as_string());

    const auto verified = bench.perform("archive.verify", Json::object({{"path", path}, {"digest", contents->digest}}));
    if (!verified) FAIL(verified.error().detail);
    CHECK((*verified)["ok"].as_bool());
    CHECK((*verified)["files"].as_integer() == 2);
    CHECK(bench.perform("archive.verify", Json::object({{"path", path}, {"digest", "sha256:00"}})).error().status == 422);

    std::fstream damage(path, std::ios::in | std::ios::out | std::ios::binary);
    damage.seekp(static_cast<std::streamoff>(fs::file_size(path) / 2));
    damage << "XXXXXXXXXXXXXXXX";
    damage.close();
    const auto damaged = bench.perform("archive.verify", Json::object({{"path", path}}));
    REQUIRE_FALSE(damaged);
    CHECK(damaged.error().status == 422);
}

TEST_CASE("an archive inside its own source does not hold itself", "[broker][effects]")
{
    const TempFolder temp;
    std::ofstream(temp.path() + "/x") << "x";
    Bench bench(files("write", temp.path()));
    const Json with = Json::object({{"source", temp.path()}, {"target", temp.path() + "/all.zip"}});
    CHECK(bench.perform("archive.create", with)->find("files")->as_integer() == 1);
}

TEST_CASE("what is no archive is said to be none", "[broker][effects]")
{
    const TempFolder temp;
    std::ofstream(temp.path() + "/x.zip") << "this is text";
    const auto outcome = Bench(files("read", temp.path())).perform("archive.verify", Json::object({{"path", temp.path() + "/x.zip"}}));
    REQUIRE_FALSE(outcome);
    CHECK(outcome.error().status == 422);
}

TEST_CASE("usage of the machine is given to those who may see it", "[broker][effects]")
{
    Bench bench(Json::object({{"system", Json::array({"usage"})}}));
    const auto usage = bench.perform("system.usage", Json::object({{"disks", Json::array({"/"})}}));
    REQUIRE(usage);
    CHECK((*usage)["memory"]["total"].as_integer() > 0);
    CHECK((*usage)["disks"].size() == 1);
    CHECK(bench.perform("system.usage", Json::object({{"disks", Json::array({"relative"})}})).error().status == 400);
}
