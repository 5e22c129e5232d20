#include <catch2/catch.hpp>

#include <string>

#include "agent/companion/page_routes.h"

using namespace mill::companion;

TEST_CASE("the page asks what is on the list, and in its way", "[companion][page]")
{
    CHECK(page_route("GET", "/v1/person") == PageRoute::forward);
    CHECK(page_route("GET", "/v1/changes?after=12") == PageRoute::changes);
    CHECK(page_route("GET", "/v1/jobs/0192-ab_C") == PageRoute::forward);
    for (const char* target : {"/v1/launch", "/v1/questions/q1", "/v1/consents/c1", "/v1/tells/t1", "/v1/jobs/j1/cancel", "/v1/stop", "/v1/pause", "/v1/resume"}) {
        CHECK(page_route("POST", target) == PageRoute::forward);
        if (std::string_view(target) != "/v1/jobs/j1/cancel") CHECK(page_route("GET", target) == PageRoute::wrong_method);
    }
    CHECK(page_route("POST", "/v1/person") == PageRoute::wrong_method);
    CHECK(page_route("DELETE", "/v1/jobs/j1") == PageRoute::wrong_method);
}

TEST_CASE("nothing else goes through to the agent", "[companion][page]")
{
    for (const char* target : {"", "/", "/v1", "/v1/", "/v1/faces", "/v1/person/", "/v1/person?x=1", "/v1/jobs/", "/v1/jobs/a/b", "/v1/jobs/../stop", "/v1/jobs/..", "/v1/jobs/a%2Fb", "/v1/jobs/a?b",
                               "/v1/jobs//cancel", "/v1/questions/a b", "/v1/questions/a\r\nX: y", "/v1/changes", "/v1/changes?after=", "/v1/changes?after=-1", "/v1/changes?after=1&x", "/v1/changes?after=1234567890123456789"})
        for (const char* method : {"GET", "POST"}) CHECK(page_route(method, target) == PageRoute::unknown);
    CHECK(page_route("GET", "/v1/jobs/" + std::string(64, 'a')) == PageRoute::forward);
    CHECK(page_route("GET", "/v1/jobs/" + std::string(65, 'a')) == PageRoute::unknown);
}
