#include <catch2/catch.hpp>

#include "tests/support/package_folder.h"
#include "tests/support/workflow_run.h"

using namespace mill;
using namespace mill::testing;
using Catch::Contains;

namespace {

std::string words(const std::string& body) { return all_findings(*lone(body)); }
std::string http(const std::string& more) { return words("do: [ { a: { call: http, with: { method: post, endpoint: 'https://h.test/', " + more + " } } } ]"); }
std::string with_default(const std::string& name, const std::string& value)
{
    PackageFolder folder;
    folder.file("package.yaml", "name: flow\nversion: 1.0.0\nvariables: { " + name + ": { type: string, default: '" + value + "' } }\n")
        .file("workflow.yaml", "document: { dsl: 1.0.3, namespace: test, name: flow, version: 1.0.0 }\ndo: [ { a: { set: { v: '${ $runtime.metadata.variables }' } } } ]");
    return all_findings(*workflows::load_package(folder.path()));
}

// Put together here, so that no scanner takes this file for a leak.
const std::string kJwt = "eyJhbGciOiJIUzI1NiJ9" + std::string(".eyJzdWIiOiIxMjM0NTYifQ.") + "c2lnbmF0dXJlLW9mLXRlc3Q";
const std::string kCloudKey = std::string("AK") + "IA" + "ABCDEFGHIJKLMNOP";

}  // namespace

TEST_CASE("a secret in clear text is found by its name, its form or its address, and never shown", "[workflows][check]")
{
    for (const std::string& leak : {std::string("body: { user: ada, password: correct-horse }"), std::string("body: { client_secret: correct-horse }"), std::string("headers: { X-Api-Key: 8c1f0b7de2a94c55 }"),
                                    std::string("headers: { authorization: 'Bearer 8c1f0b7de2a94c55aa' }"), std::string("headers: { Authorization: 'Basic YWRhOmNvcnJlY3QtaG9yc2U=' }"),
                                    "body: { note: '" + kJwt + "' }", "body: { id: " + kCloudKey + " }", std::string("query: { access_token: 8c1f0b7de2a94c55 }"),
                                    std::string("body: '${ {user: .u, password: \"correct-horse\"} }'"), std::string("body: '-----BEGIN PRIVATE KEY-----'")}) {
        INFO(leak);
        const std::string found = http(leak);
        CHECK_THAT(found, Contains("[clear-secret]") && Contains("warning: ") && Contains("$secrets.NAME."));
        CHECK_THAT(found, !Contains("correct-horse") && !Contains("8c1f0b7de2a94c55") && !Contains(kJwt) && !Contains(kCloudKey));
    }
    const auto to = [](const std::string& endpoint) { return words("do: [ { a: { call: http, with: { method: get, endpoint: '" + endpoint + "' } } } ]"); };
    CHECK_THAT(to("https://ada:correct-horse@h.test/"), Contains("an address with a password in it stands here") && !Contains("correct-horse"));
    CHECK_THAT(to("https://h.test/x?api_key=8c1f0b7de2a94c55"), Contains("an address with a secret in its query"));
    CHECK_THAT(words("use: { authentications: { l: { bearer: { token: 8c1f0b7de2a94c55 } } } }\ndo: [ { a: { call: http, with: { method: get, endpoint: { uri: 'https://h.test', authentication: { use: l } } } } } ]"), Contains("[clear-secret]"));
    CHECK_THAT(words("do: [ { a: { call: http, with: { method: get, endpoint: { uri: 'https://h.test', authentication: { basic: { username: ada, password: correct-horse } } } } } } ]"), Contains("flow.yaml:2:") && Contains("('password')"));
    CHECK_THAT(words("use: { authentications: { l: { oauth2: { authority: 'https://h.test', grant: client_credentials, client: { id: robot, secret: correct-horse } } } } }\ndo: [ { a: { call: http, with: { method: get, endpoint: { uri: 'https://h.test', authentication: { use: l } } } } } ]"), Contains("[clear-secret]") && Contains("$secrets.NAME.clientSecret"));
    CHECK_THAT(words("do: [ { a: { run: { shell: { command: ls, environment: { DB_PASSWORD: correct-horse } } } } } ]"), Contains("[clear-secret]"));
    CHECK_THAT(with_default("erpPassword", "correct-horse"), Contains("package.yaml:3:") && Contains("the default of the variable 'erpPassword'"));
    CHECK_THAT(with_default("url", "https://ada:correct-horse@h.test"), Contains("[clear-secret]"));
}

TEST_CASE("what only looks like a secret is left alone", "[workflows][check]")
{
    for (const char* fine : {"body: { password: '${ $secrets.erp.password }' }", "headers: { authorization: '${ \"Bearer \\($secrets.erp.token)\" }' }", "body: { pageToken: 8c1f0b7de2a94c55 }", "query: { token: '${ .next }' }",
                             "body: { password: '' }", "body: { password: '***' }", "body: { password: '<your password>' }", "body: { token: next }", "body: { passwordHint: maiden-name }",
                             "body: { secret: true }", "body: { text: 'the password is in the vault' }", "body: { tokens: 500 }", "body: { authorization: required }", "body: { digest: 'sha256:0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9' }",
                             "body: { id: 123e4567-e89b-12d3-a456-426614174000 }", "body: { password: '{password}' }", "body: '${ .password }'", "body: '${ {password: .p, type: \"password\"} }'", "body: { mail: 'ada@h.test' }", "body: { key: name }",
                             "body: { sort_key: customer-number-1 }", "body: { note: 'Basic training' }", "body: { note: 'the bearer of this letter' }"}) {
        INFO(fine);
        CHECK_THAT(http(fine), !Contains("[clear-secret]"));
    }
    for (const char* endpoint : {"https://h.test/?q=a&page=2&token={token}", "https://h.test:8443/a@b", "https://ada@h.test/", "https://h.test/reset-password"}) {
        INFO(endpoint);
        CHECK_THAT(words("do: [ { a: { call: http, with: { method: get, endpoint: '" + std::string(endpoint) + "' } } } ]"), !Contains("[clear-secret]"));
    }
    CHECK(with_default("ticketsUrl", "https://tickets.example.com") == "");
    CHECK(with_default("passwordPolicy", "strict") == "");
    CHECK(with_default("token", "none") == "");
}
