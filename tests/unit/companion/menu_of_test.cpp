#include "agent/companion/menu_of.h"

#include <catch2/catch.hpp>

#include <functional>

using namespace mill;
using namespace mill::companion;
using platform::MenuItem;
using platform::TrayLook;

namespace {

Json parsed(const char* text)
{
    auto json = parse_json(text);
    REQUIRE(json);
    return *json;
}

/// All items' names, in order, those below an item behind it.
std::vector<std::string> names(const std::vector<MenuItem>& menu)
{
    std::vector<std::string> out;
    for (const MenuItem& item : menu) {
        if (!item.name.empty()) out.push_back(item.name);
        for (const std::string& below : names(item.items)) out.push_back(below);
    }
    return out;
}

constexpr const char* kQuiet = R"({"agent":{"state":"online"},"running":[],"questions":[],"consents":[],"paused":null})";

}  // namespace

TEST_CASE("the tray says the most urgent of what there is", "[companion][menu]")
{
    const auto look = [](const char* text) { return look_of(parsed(text), Language::english); };
    CHECK(look(kQuiet).state == TrayLook::State::idle);
    CHECK(look(kQuiet).title == "Millwright: nothing runs");
    const TrayLook working = look(R"({"agent":{"state":"online"},"running":[{"job":"a","title":"Invoices","for":"user otto","mine":false,"progress":{"percent":50,"text":""}}]})");
    CHECK(working.state == TrayLook::State::working);
    CHECK(working.text == "Invoices, for user otto: 50 %");
    CHECK(look(R"({"agent":{"state":"online"},"running":[{"job":"a","mine":true}],"questions":[{"id":"q"}],"consents":[{"id":"c"}]})").title == "Millwright: 2 things wait for you");
    CHECK(look(R"({"agent":{"state":"offline","why":"no route"}})").text == "no route");
    CHECK(look(R"({"agent":{"state":"online"},"paused":{"until":null}})").title == "Millwright: paused");
    CHECK(look_of(Json(), Language::english).state == TrayLook::State::away);
}

TEST_CASE("the menu stops each and all, pauses, goes on, and opens", "[companion][menu]")
{
    const auto menu = [](const char* text) { return menu_of(parsed(text), Language::english); };
    CHECK(names(menu(kQuiet)) == std::vector<std::string>{"open", "stop", "pause/1h", "pause/day", "pause/open"});
    CHECK(names(menu(R"({"running":[{"job":"a","title":"A","mine":true,"state":"running"}],"questions":[{"id":"q","text":"Which?"}],"consents":[{"id":"c","title":"B","asker":"user otto"}]})")) ==
          std::vector<std::string>{"open", "open/consent/c", "open/question/q", "open/job/a", "stop/a", "stop", "pause/1h", "pause/day", "pause/open"});
    CHECK(names(menu(R"({"paused":{"until":"2026-11-27T13:05:00Z"}})")) == std::vector<std::string>{"open", "stop", "resume"});
    CHECK(names(menu_of(Json(), Language::english)) == std::vector<std::string>{"open"});
    const auto stopping = menu(R"({"running":[{"job":"a","state":"cancelling"}]})");
    CHECK_FALSE(stopping[2].items[1].enabled);
}

TEST_CASE("every item that can be chosen asks for something", "[companion][menu]")
{
    const WallTime now = *parse_time("2026-11-27T13:05:00Z");
    const Json busy = parsed(R"({"running":[{"job":"a b","state":"running"}],"questions":[{"id":"q"}],"consents":[{"id":"c"}],"paused":null})");
    for (const std::string& name : names(menu_of(busy, Language::english))) {
        INFO(name);
        CHECK(deed_of(name, now));
    }
    CHECK(deed_of("stop", now) == post("/v1/stop", Json::object({{"way", "tray"}})));
    CHECK(deed_of("stop/a b", now)->target == "/v1/jobs/a%20b/cancel");
    CHECK(deed_of("pause/1h", now) == post("/v1/pause", Json::object({{"for", "1h"}})));
    CHECK(deed_of("pause/open", now) == post("/v1/pause"));
    CHECK(parse_time(deed_of("pause/day", now)->body["until"].as_string()).value() > now);
    CHECK(deed_of("open/job/x/y", now) == open_page("job", "x/y"));
    CHECK_FALSE(deed_of("format-disk", now));
    CHECK_FALSE(deed_of("", now));
}

TEST_CASE("a thousand jobs make no menu that leaves the screen", "[companion][menu]")
{
    Json running = Json::array();
    for (int i = 0; i < 1000; ++i) running.push(Json::object({{"job", std::to_string(i)}, {"title", std::string(5000, 'x')}}));
    const auto menu = menu_of(Json::object({{"running", running}}), Language::english);
    CHECK(menu.size() < 20);
    for (const MenuItem& item : menu) CHECK(item.label.size() < 300);
}
