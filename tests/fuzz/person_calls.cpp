// Calls to DIR/person, one after the other, parted by lines of two dashes: METHOD TARGET, then the body. '!' in front: by another user of the machine;
// '+': after an hour; '~': the factory is there. Each gets one answer at most, in JSON, with words when it is a refusal; what a person is shown keeps its
// caps; what was answered with 200 is on the disk; and stop stops, whatever was said before.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>
#include <unistd.h>

#include <fmt/format.h>

#include "agent/person/routes.h"
#include "platform/base/log.h"
#include "platform/files.h"
#include "tests/fuzz/parts.h"
#include "tests/unit/agent/no_ledger.h"

using namespace mill;
using namespace mill::agent;

namespace {

const protocol::AttemptId kRuns{"0192-runs", 1, 1}, kAsked{"0192-asked", 1, 1}, kLet{"0192-let", 1, 1};

Json offer_of(const protocol::AttemptId& id, const std::string& trigger)
{
    protocol::Offer offer;
    offer.id = id;
    offer.package_name = "order-status";
    offer.package_version = "1.0.0";
    offer.package_digest = "sha256:" + std::string(64, 'a');
    offer.workflow = "main";
    offer.deployment = offer.trigger = trigger;
    offer.environment = "default";
    offer.input = offer.variables = offer.credentials = Json::object();
    offer.attempt_token = "mw_attempt_1";
    return to_json(offer).set("consent", Json::object({{"asker", "user otto"}, {"title", "Report"}}));
}

/// The folder of one process; what a call leaves there is of that call.
std::string emptied_folder()
{
    static const std::string folder = fmt::format("{}/mill-fuzz-person-{}", std::filesystem::is_directory("/dev/shm") ? "/dev/shm" : "/tmp", ::getpid());
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
    check(platform::write_file(folder + "/person.json", R"({"user":"anna","version":1,"launchable":[{"trigger":"report","title":"Report"},{"trigger":"other","paused":"at night"}],)"
                                                        R"("jobs":[{"job":"0192-old","trigger":"report","title":"Report","started":null,"ended":null}],"tells":[{"id":"t-1","text":"Done"}]})", 0600).has_value(), "the view is there");
    return folder;
}

struct World {
    std::string folder = emptied_folder();
    FakeClock clock;
    test::NoLedger nothing;
    Changes changes{clock.now()};
    SeenJobs seen{nothing};
    Slots slots{2, clock};
    Desk desk{slots};
    std::size_t cancelled = 0;
    std::optional<Pause> pause;
    PersonRoom room{{clock, changes, seen, [this](Command) { ++cancelled; }, [this] { return pause; }, [this](const Pause& hold) { pause = hold; },
                     [this](std::optional<Pause> wanted) {
                         pause = std::move(wanted);
                         return Status{};
                     }}};
    AtPerson person{AtPerson::Parts{folder, {}, desk, clock, changes, [this] { return room.facts(); }, [this] { return room.session(); }}};
    platform::LaterHandler handler = person_routes(room);

    World()
    {
        room.serve({{&person, "pc-1", "http://127.0.0.1:1"}});
        for (const auto& [id, trigger] : {std::pair(kRuns, "running"), std::pair(kAsked, "asked"), std::pair(kLet, "let")}) {
            const Json said = offer_of(id, trigger);
            if (id == kRuns) {
                (void)seen.taken(id, dump_json(said));
                (void)seen.started(id, protocol::state_event(1, clock.now(), protocol::JobState::running), SteadyTime{1});
            } else {
                (void)person.hear(*protocol::parse_offer(said), said);
            }
        }
        room.tell(Json::object({{"id", "t-2"}, {"text", "Look"}}));
    }
};

void check_shown(const Json& person)
{
    const std::pair<const char*, std::size_t> caps[] = {{"queued", Launches::kMost}, {"faces", 8}, {"tells", 51}, {"history", 20}, {"consents", 2}, {"questions", 0}, {"launchable", 2}, {"running", 1}};
    for (const auto& [list, most] : caps) check(person[list].is_array() && person[list].size() <= most, list);
    check(person["user"] == Json("anna") && person["agent"]["name"] == Json("pc-1"), "whose agent it is nobody changes");
}

void say(World& world, std::string_view text)
{
    std::optional<std::uint32_t> uid = ::getuid();
    for (bool more = true; more && !text.empty();) {
        if (text.front() == '!') uid = 4'000'000'000;
        else if (text.front() == '+') world.clock.advance(std::chrono::hours(1));
        else if (text.front() == '~') world.person.online(true, "");
        else more = false;
        if (more) text.remove_prefix(1);
    }
    const std::string_view line = text.substr(0, text.find('\n'));
    const std::size_t space = std::min(line.find(' '), line.size());
    platform::LocalRequest request{std::string(line.substr(0, space)), std::string(line.substr(std::min(space + 1, line.size()))), std::string(text.substr(std::min(line.size() + 1, text.size()))), "anna", uid, {}};
    if (request.target.empty() || request.target.front() != '/') request.target.insert(0, "/");   // no server takes another
    const auto told = std::make_shared<std::vector<platform::LocalResponse>>();   // it may come after the call
    world.handler(request, [told](platform::LocalResponse response) { told->push_back(std::move(response)); });
    check(told->size() <= 1, "one answer");
    const bool waits = request.method == "GET" ? request.target.starts_with("/v1/changes") : world.person.is_online();
    check(waits || told->size() == 1, "an answer at once where nobody is waited for");
    if (told->empty()) return;
    const auto& [status, body, type, headers] = told->front();
    const auto json = parse_json(body);
    check(json && json->is_object(), "an answer is JSON");
    for (const int known : {400, 403, 404, 405, 409, 410, 503})
        if (status == known) return check(!(*json)["detail"].as_string().empty(), "a refusal has words");
    check(status == 200 && uid == ::getuid(), "and nothing else is answered to others");
    if (request.target == "/v1/person") check_shown(*json);
    if (request.target != "/v1/stop") return;
    check((*json)["stopped"].size() == 1 && world.cancelled > 0, "all that runs is told to end");
    check(world.pause && (!world.pause->until || *world.pause->until > world.clock.now()), "and nothing new begins");
    check(!world.person.may_begin() && world.person.consents().list().empty(), "what was let run and has not begun is for later");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size > 4096) return 0;
    static const bool quiet = [] { log::set_level(log::Level::error); return true; }();
    (void)quiet;
    World world;
    std::string_view rest(reinterpret_cast<const char*>(data), size);
    for (int calls = 0; !rest.empty() && calls < 12; ++calls) {
        const auto [one, more] = fuzz::parts(reinterpret_cast<const std::uint8_t*>(rest.data()), rest.size());
        say(world, one);
        rest = more;
    }
    check_shown(world.room.person());
    // Another agent after this one knows the same.
    const Launches launches(world.folder + "/launches.json", world.clock);
    check(launches.waiting() == world.person.launches().waiting() && launches.failed() == world.person.launches().failed(), "starts that wait are on the disk");
    const Consents consents(world.folder + "/consents.json", {}, world.clock);
    check(consents.list() == world.person.consents().list(), "so is what the person said");
    return 0;
}
