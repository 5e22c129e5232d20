#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>

#include <catch2/catch.hpp>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include "factory/http/server.h"
#include "tests/unit/factory_http/certificates.h"
#include "tests/unit/factory_http/raw_client.h"

using namespace mill;
using namespace mill::factory;
using namespace std::chrono_literals;
using test::RawClient;

namespace {

struct Folder {
    Folder()
    {
        char name[] = "/tmp/mill-tls-XXXXXX";
        path = mkdtemp(name);
    }
    ~Folder() { std::filesystem::remove_all(path); }
    std::string path;
};

/// A client that trusts one authority and expects one name.
class TlsClient {
public:
    TlsClient(std::uint16_t port, const std::string& ca, const char* name, int max_version = 0) : raw_(port), context_(SSL_CTX_new(TLS_client_method()), SSL_CTX_free)
    {
        SSL_CTX_load_verify_locations(context_.get(), ca.c_str(), nullptr);
        SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, nullptr);
        SSL_CTX_set_security_level(context_.get(), 0);
        if (max_version) SSL_CTX_set_max_proto_version(context_.get(), max_version);
        if (max_version) SSL_CTX_set_min_proto_version(context_.get(), TLS1_VERSION);
        const timeval wait{5, 0};
        setsockopt(raw_.native(), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
        ssl_.reset(SSL_new(context_.get()));
        SSL_set_fd(ssl_.get(), raw_.native());
        SSL_set1_host(ssl_.get(), name);
        connected_ = SSL_connect(ssl_.get()) == 1;
    }
    bool connected() const { return connected_; }
    long verdict() const { return SSL_get_verify_result(ssl_.get()); }
    bool send(std::string_view text) { return SSL_write(ssl_.get(), text.data(), static_cast<int>(text.size())) == static_cast<int>(text.size()); }
    std::string read_until(std::string_view wanted)
    {
        std::string out;
        char piece[16384];
        while (out.find(wanted) == std::string::npos) {
            const int got = SSL_read(ssl_.get(), piece, sizeof piece);
            if (got <= 0) break;
            out.append(piece, static_cast<std::size_t>(got));
        }
        return out;
    }
    void close()
    {
        SSL_shutdown(ssl_.get());
        raw_.close();
    }
    RawClient& raw() { return raw_; }

private:
    RawClient raw_;
    std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_;
    std::unique_ptr<SSL, decltype(&SSL_free)> ssl_{nullptr, SSL_free};
    bool connected_ = false;
};

}  // namespace

TEST_CASE("TLS: a client that trusts the private authority is served", "[http][tls]")
{
    const Folder folder;
    const auto files = test::make_certificates(folder.path, "127.0.0.1");
    HttpServerOptions options;
    options.certificate_file = files.certificate;
    options.key_file = files.key;
    options.header_deadline = 500ms;
    options.body_limit = [](std::string_view, std::string_view) -> std::size_t { return 10'000'000; };
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<Responder> parked;
    int gone = 0;
    auto server = start_http_server(options, [&](HttpCall call, Responder responder) {
        if (call.path == "/poll") {
            responder.on_gone([&] {
                const std::scoped_lock lock(mutex);
                ++gone;
                changed.notify_all();
            });
            const std::scoped_lock lock(mutex);
            parked.push_back(std::move(responder));
            changed.notify_all();
            return;
        }
        HttpReply reply;
        reply.body = (call.tls ? "tls " : "plain ") + std::to_string(call.body.size()) + " " + std::string(call.path == "/big" ? 3'000'000 : 0, 'b') + "END";
        responder.reply(std::move(reply));
    });
    REQUIRE(server);
    const auto port = (*server)->port();

    SECTION("requests, large both ways, on one connection")
    {
        TlsClient client(port, files.ca, "127.0.0.1");
        REQUIRE(client.connected());
        REQUIRE(client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
        CHECK_THAT(client.read_until("END"), Catch::Contains("tls 0"));
        REQUIRE(client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n" + std::string(2'000'000, 'x')));
        CHECK_THAT(client.read_until("END"), Catch::Contains("tls 2000000"));
        REQUIRE(client.send("GET /big HTTP/1.1\r\nHost: x\r\n\r\n"));
        CHECK(client.read_until("END").size() > 3'000'000);
    }
    SECTION("a wrong name and another authority are refused by the client's check")
    {
        TlsClient wrong(port, files.ca, "factory.example.com");
        CHECK_FALSE(wrong.connected());
        CHECK((wrong.verdict() == X509_V_ERR_IP_ADDRESS_MISMATCH || wrong.verdict() == X509_V_ERR_HOSTNAME_MISMATCH));
        const Folder elsewhere;
        const auto other = test::make_certificates(elsewhere.path, "127.0.0.1");
        TlsClient stranger(port, other.ca, "127.0.0.1");
        CHECK_FALSE(stranger.connected());
    }
    SECTION("TLS 1.1 is not spoken, 1.2 is")
    {
        CHECK_FALSE(TlsClient(port, files.ca, "127.0.0.1", TLS1_1_VERSION).connected());
        CHECK(TlsClient(port, files.ca, "127.0.0.1", TLS1_2_VERSION).connected());
    }
    SECTION("plain HTTP on the TLS port, and a handshake that never comes, are closed")
    {
        RawClient plain(port), silent(port);
        plain.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        CHECK(plain.closed_within(2s));
        CHECK(silent.closed_within(2s));
    }
    SECTION("a parked call is woken, and a peer that leaves is noticed")
    {
        TlsClient stays(port, files.ca, "127.0.0.1"), leaves(port, files.ca, "127.0.0.1");
        REQUIRE(stays.send("GET /poll HTTP/1.1\r\nHost: x\r\n\r\n"));
        REQUIRE(leaves.send("GET /poll HTTP/1.1\r\nHost: x\r\n\r\n"));
        {
            std::unique_lock lock(mutex);
            REQUIRE(changed.wait_for(lock, 5s, [&] { return parked.size() == 2; }));
            CHECK_FALSE(changed.wait_for(lock, 100ms, [&] { return gone > 0; }));
        }
        leaves.close();
        {
            std::unique_lock lock(mutex);
            CHECK(changed.wait_for(lock, 2s, [&] { return gone == 1; }));
            for (const Responder& each : parked) each.reply({.status = 200, .body = "woken END"});
        }
        CHECK_THAT(stays.read_until("END"), Catch::Contains("woken"));
        parked.clear();
    }
    (*server)->stop();
    parked.clear();
}

TEST_CASE("TLS: files that are missing or do not belong together are clear errors", "[http][tls]")
{
    const Folder one, two;
    const auto files = test::make_certificates(one.path, "a.example.com"), others = test::make_certificates(two.path, "b.example.com");
    HttpServerOptions options;
    options.certificate_file = files.certificate;
    options.key_file = others.key;
    const auto mixed = start_http_server(options, [](HttpCall, const Responder&) {});
    REQUIRE_FALSE(mixed);
    CHECK(mixed.error().code == Errc::invalid);
    CHECK_THAT(mixed.error().what, Catch::Contains(others.key));
    options.certificate_file = one.path + "/none.pem";
    const auto missing = start_http_server(options, [](HttpCall, const Responder&) {});
    REQUIRE_FALSE(missing);
    CHECK_THAT(missing.error().what, Catch::Contains("none.pem"));
    options.key_file.clear();
    CHECK_FALSE(start_http_server(options, [](HttpCall, const Responder&) {}));
}
