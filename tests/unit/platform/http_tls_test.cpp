// The HTTP client over TLS and through a proxy.
#include <cstdlib>

#include "platform/files.h"
#include "platform/process.h"
#include "tests/unit/platform/http_server.h"

using namespace mill;
using namespace mill::platform;
using namespace mill::platform::test;

namespace {

/// A private authority, a server's certificate for "localhost", and a client's.
struct Certificates {
    std::string folder;
    Certificates()
    {
        char name[] = "/tmp/mill-tls-XXXXXX";
        folder = mkdtemp(name);
        const std::string script =
            "set -e; cd " + folder + "; q='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2';"
            "openssl req -x509 $q -keyout ca.key -out ca.pem -subj /CN=authority;"
            "for n in server client; do openssl req $q -keyout $n.key -out $n.csr -subj /CN=$n;"
            "echo subjectAltName=DNS:localhost > ext; openssl x509 -req -in $n.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out $n.pem; done";
        ProcessSpec spec;
        spec.program = "/bin/sh";
        spec.arguments = {"-c", script};
        spec.environment = {{"PATH", "/usr/bin:/bin"}};
        const auto done = run_process(spec, "", 100'000, 20s);
        REQUIRE(done);
        INFO(done->err);
        REQUIRE(done->ending.exit_code == 0);
    }
    ~Certificates() { (void)remove_tree(folder); }
    SSL_CTX* server(bool ask_client) const
    {
        SSL_CTX* context = SSL_CTX_new(TLS_server_method());
        REQUIRE(SSL_CTX_use_certificate_chain_file(context, (folder + "/server.pem").c_str()) == 1);
        REQUIRE(SSL_CTX_use_PrivateKey_file(context, (folder + "/server.key").c_str(), SSL_FILETYPE_PEM) == 1);
        if (ask_client) {
            SSL_CTX_load_verify_locations(context, (folder + "/ca.pem").c_str(), nullptr);
            SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
        }
        return context;
    }
};

}  // namespace

TEST_CASE("TLS: a private authority and the right name are needed, and a client's certificate where it is asked for", "[platform][http]")
{
    const Certificates made;
    SSL_CTX* open_context = made.server(false);
    SSL_CTX* strict_context = made.server(true);
    {
        const Server server(echo, open_context), strict(echo, strict_context);
        HttpOptions options;
        const auto untrusted = make_http_client(options)->send(get(server.uri("/", "localhost")));
        REQUIRE_FALSE(untrusted);
        CHECK(untrusted.error().code == Errc::denied);
        CHECK_THAT(untrusted.error().what, Catch::Contains("unable to get local issuer certificate"));
        options.ca_file = made.folder + "/ca.pem";
        const auto good = make_http_client(options)->send(get(server.uri("/", "localhost")));
        INFO((good ? std::string() : good.error().what));
        REQUIRE(good);
        CHECK(good->status == 200);
        const auto wrong_name = make_http_client(options)->send(get(server.uri("/", "127.0.0.1")));
        REQUIRE_FALSE(wrong_name);
        CHECK(wrong_name.error().code == Errc::denied);
        CHECK_THAT(wrong_name.error().what, Catch::Contains("mismatch"));
        const auto no_certificate = make_http_client(options)->send(get(strict.uri("/", "localhost")));
        REQUIRE_FALSE(no_certificate);
        INFO(no_certificate.error().what);
        CHECK((no_certificate.error().code == Errc::denied || no_certificate.error().code == Errc::unavailable));
        options.certificate_file = made.folder + "/client.pem";
        options.key_file = made.folder + "/client.key";
        CHECK(make_http_client(options)->send(get(strict.uri("/", "localhost"))));

        options = {};
        options.ca_file = made.folder + "/ca.pem";
        options.pinned_address = "127.0.0.1";
        const auto pinned = make_http_client(options)->send(get(server.uri("/", "localhost")));
        INFO((pinned ? std::string() : pinned.error().what));
        CHECK(pinned);
        CHECK(make_http_client(options)->send(get(server.uri("/", "other.invalid"))).error().code == Errc::denied);
    }
    SSL_CTX_free(open_context);
    SSL_CTX_free(strict_context);
}

TEST_CASE("a plain server where TLS is expected is an error, not a wait", "[platform][http]")
{
    const Server server([](const Connection& connection, int) {
        (void)connection.read_some();
        connection.write("HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    const auto response = make_http_client()->send(get("https://127.0.0.1:" + std::to_string(server.port) + "/"));
    REQUIRE_FALSE(response);
    CHECK((response.error().code == Errc::denied || response.error().code == Errc::unavailable));
}

TEST_CASE("a proxy gets the request with its user and password", "[platform][http]")
{
    const Server proxy(echo);
    HttpOptions options;
    options.proxy = "http://user:p%40ss@127.0.0.1:" + std::to_string(proxy.port);
    const auto response = make_http_client(options)->send(get("http://somewhere.invalid/path"));
    REQUIRE(response);
    CHECK_THAT(response->body, Catch::StartsWith("GET http://somewhere.invalid:80/path HTTP/1.1") || Catch::StartsWith("GET http://somewhere.invalid/path HTTP/1.1"));
    CHECK_THAT(response->body, Catch::Contains("Proxy-Authorization: Basic dXNlcjpwQHNz"));
}
