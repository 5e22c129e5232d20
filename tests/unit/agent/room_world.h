// tests/unit/agent/room_world.h -- a person's room with its faces' routes: nothing runs, what it says is kept.
#pragma once
#include "agent/person/routes.h"
#include "platform/machine.h"
#include "tests/unit/agent/agent_world.h"
#include "tests/unit/agent/no_ledger.h"

namespace mill::test {

using namespace mill::agent;

struct RoomWorld {
    std::vector<platform::DesktopPlace> places;
    TemporaryFolder folder;
    FakeClock clock;
    NoLedger nothing;
    Changes changes{clock.now()};
    SeenJobs seen{nothing};
    agent::Slots slots{2, clock};
    Desk desk{slots};
    std::vector<Command> said;
    std::optional<Pause> pause;
    std::vector<std::string> order;   // what a stop did, in its order
    PersonRoom room{{clock, changes, seen,
                     [this](Command command) {
                         said.push_back(std::move(command));
                         order.emplace_back("cancel");
                     },
                     [this] { return pause; },
                     [this](const Pause& hold) {
                         pause = hold;
                         order.emplace_back("hold");
                     },
                     [this](std::optional<Pause> wanted) {
                         pause = std::move(wanted);
                         order.emplace_back("disk");
                         return Status{};
                     },
                     [this](const platform::DesktopPlace& place) { places.push_back(place); }}};
    AtPerson person{AtPerson::Parts{folder.path, {}, desk, clock, changes, [this] { return room.facts(); }, [this] { return room.session(); }}};
    platform::LaterHandler handler = person_routes(room);

    RoomWorld()
    {
        seen.on_change([this] { changes.bump(); });
        seen.on_tell([this](Json tell) { room.tell(std::move(tell)); });
        room.serve({{&person, "pc-1", "http://127.0.0.1:1"}});
    }
    platform::LocalResponse ask(const std::string& method, const std::string& target, const std::string& body = "", std::optional<std::uint32_t> uid = {})
    {
        std::optional<platform::LocalResponse> out;
        handler({method, target, body, "anna", uid, {}}, [&](platform::LocalResponse response) { out = std::move(response); });
        return out.value_or(platform::LocalResponse{0, "not yet"});
    }
    /// Of a refusal.
    std::string code(const std::string& target, const std::string& body, std::optional<std::uint32_t> uid = {})
    {
        const auto answer = parse_json(ask("POST", target, body, uid).body);
        return answer && !(*answer)["detail"].as_string().empty() ? (*answer)["code"].as_string() : "";
    }
    Json get(const std::string& target)
    {
        const auto response = ask("GET", target);
        REQUIRE(response.status == 200);
        return *parse_json(response.body);
    }
    void run(const AttemptId& id)
    {
        Json offer = offer_json(id).set("consent", Json::object({{"asker", "user otto"}, {"title", "Report"}}));
        offer.set("permissions", Json::object({{"files", Json::object({{"write", Json::array({"/srv/reports"})}})}}));
        REQUIRE(seen.taken(id, dump_json(offer)));
        REQUIRE(seen.started(id, protocol::state_event(1, clock.now(), JobState::running), SteadyTime{1}));
    }
    void event(const AttemptId& id, std::uint64_t sequence, protocol::EventKind kind, Json body) { REQUIRE(seen.event(id, {sequence, clock.now(), kind, std::move(body)})); }
};

}  // namespace mill::test
