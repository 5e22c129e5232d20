#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "protocol/secrets.h"

using namespace mill;

TEST_CASE("every text of a credential is a secret but hosts, kind and the user's name", "[protocol][secrets]")
{
    const Json credentials = Json::object({{"erp", Json::object({{"kind", "login"}, {"username", "anna"}, {"password", "hunter2"}, {"hosts", Json::array({"erp.example.com"})}})},
                                           {"keys", Json::object({{"nested", Json::object({{"user", "bob"}, {"list", Json::array({"one-key", 7})}})}})},
                                           {"bare", "just-a-text"}});
    std::vector<std::string> found;
    protocol::each_secret(credentials, [&](const std::string& credential, const std::string& member, const std::string& value) { found.push_back(credential + "." + member + "=" + value); });
    CHECK_THAT(found, Catch::UnorderedEquals(std::vector<std::string>{"erp.password=hunter2", "keys.nested=one-key", "bare.=just-a-text"}));
    CHECK(protocol::redactor_of_credentials(credentials).apply("anna hunter2 one-key bob just-a-text erp.example.com") == "anna *** *** bob *** erp.example.com");
    CHECK(protocol::redactor_of_credentials(Json()).empty());
}
