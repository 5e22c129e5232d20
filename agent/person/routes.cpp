#include "agent/person/routes.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "platform/base/fields.h"
#include "platform/base/ids.h"
#include "platform/machine.h"

namespace mill::agent {
namespace {

using platform::LocalAnswer;
using platform::LocalRequest;
using platform::LocalResponse;

constexpr std::chrono::seconds kParked{25};
constexpr std::size_t kMostComment = 2000, kMostProblems = 20;

LocalResponse told(const Told& said) { return {said.status, dump_json(said.body) + "\n"}; }
LocalResponse yes(const Json& value) { return {200, dump_json(value) + "\n"}; }
LocalResponse no(int status, std::string_view code, std::string detail) { return told(told_no(status, code, std::move(detail))); }
/// Of the caller, not of the person in front of it.
LocalResponse wrong(std::string detail) { return no(400, "invalid_request", std::move(detail)); }

struct Path {
    std::vector<std::string_view> parts;
    std::string_view query;
};

Path take_apart(std::string_view target)
{
    Path out;
    if (const std::size_t mark = target.find('?'); mark != target.npos) {
        out.query = target.substr(mark + 1);
        target = target.substr(0, mark);
    }
    while (!target.empty()) {
        target.remove_prefix(1);   // the slash
        const std::size_t end = target.find('/');
        out.parts.push_back(target.substr(0, end));
        target = end == target.npos ? std::string_view() : target.substr(end);
    }
    return out;
}

/// Ids are ours or the factory's: letters, digits, '.', '-', '_'.
bool is_id(std::string_view text)
{
    return !text.empty() && text.size() <= 200 && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
    });
}

Result<Json> body_of(const LocalRequest& request)
{
    if (request.body.empty()) return Json::object({});
    auto json = parse_json(request.body);
    if (!json) return fail(Errc::invalid, "the body is no JSON: " + json.error().what);
    if (!json->is_object()) return fail(Errc::invalid, "the body is no JSON object");
    return json;
}

/// What a route is given.
struct Call {
    PersonRoom& room;
    ChangesTimer* timer;
    const LocalRequest& request;
    std::string id;               ///< of a route with one
    std::string_view query;
    Json body;
    LocalAnswer answer;

    Tell tell() const
    {
        return [answer = answer](Told said) { answer(told(said)); };
    }
};

void on_person(Call& call) { call.answer(yes(call.room.person())); }

void on_changes(Call& call)
{
    std::int64_t after = -1;
    if (std::string_view text = call.query; text.starts_with("after=")) {
        text.remove_prefix(6);
        if (const auto read = std::from_chars(text.data(), text.data() + text.size(), after); read.ec != std::errc() || read.ptr != text.data() + text.size()) after = -2;
    } else if (!text.empty()) {
        after = -2;
    }
    if (after < -1) return call.answer(wrong("GET /v1/changes?after=VERSION"));
    const auto answer = call.answer;
    const bool first = call.room.changes().wait(after, call.room.clock().steady() + kParked, [answer](std::int64_t version) { answer(yes(Json::object({{"version", version}}))); });
    if (first && call.timer != nullptr) call.timer->look();
}

void on_job(Call& call)
{
    const auto job = call.room.job(call.id);
    call.answer(job ? yes(*job) : no(404, "unknown", "no such job ran here or was started from here"));
}

void on_launch(Call& call)
{
    Fields fields(call.body, "launch");
    Launch launch{fields.text("id", new_uid()), fields.text("trigger"), "", fields.any("input", Json::object({})), call.room.clock().now(), ""};
    const std::string factory = fields.text("factory", "");
    if (!is_id(launch.id)) fields.mistake("id", "is a name that the caller makes, of letters, digits and '-'");
    if (auto ok = fields.done(); !ok) return call.answer(wrong(ok.error().what));
    call.room.launch(std::move(launch), factory, call.tell());
}

void on_question(Call& call)
{
    Fields fields(call.body, "answer");
    Json answer = fields.any("answer");
    std::string comment = fields.text("comment", "");
    const std::string factory = fields.text("factory", "");
    if (comment.size() > kMostComment) fields.mistake("comment", fmt::format("is longer than {} bytes", kMostComment));
    if (auto ok = fields.done(); !ok) return call.answer(wrong(ok.error().what));
    call.room.answer(call.id, factory, std::move(answer), std::move(comment), call.tell());
}

void on_consent(Call& call)
{
    Fields fields(call.body, "consent");
    const std::string choice = fields.one_of("choice", {"now", "later", "not_today"});
    if (auto ok = fields.done(); !ok) return call.answer(wrong(ok.error().what));
    call.answer(told(call.room.choose(call.id, choice, call.request.user)));
}

void on_tell(Call& call) { call.answer(call.room.dismiss(call.id) ? yes(Json::object({})) : no(404, "expired", "nothing of that name is shown")); }

void on_cancel(Call& call)
{
    Fields fields(call.body, "cancel");
    std::string why = fields.text("why", "").substr(0, 500);
    if (auto ok = fields.done(); !ok) return call.answer(wrong(ok.error().what));
    call.room.cancel(call.id, std::move(why), call.request.user, call.tell());
}

void on_stop(Call& call)
{
    // Whatever else is in the body: who presses this key gets what it says.
    const std::string& said = call.body["way"].as_string();
    const bool known = said == "key" || said == "tray" || said == "page" || said == "terminal";
    Json jobs = Json::array();
    for (std::string& job : call.room.stop(known ? said : "socket", call.request.user)) jobs.push(Json(std::move(job)));
    call.answer(yes(Json::object({{"stopped", std::move(jobs)}})));
}

void on_pause(Call& call)
{
    Fields fields(call.body, "pause");
    const WallTime now = call.room.clock().now();
    std::optional<WallTime> until;
    if (fields.has("for") && fields.has("until")) fields.mistake("until", "say either for or until");
    if (fields.has("for")) {
        if (auto time = parse_duration(fields.text("for"))) until = now + *time;
        else fields.mistake("for", time.error().what);
    } else if (fields.has("until")) {
        if (auto time = parse_time(fields.text("until")); !time) fields.mistake("until", time.error().what);
        else if (*time <= now) fields.mistake("until", "is over already");
        else until = *time;
    }
    if (auto ok = fields.done(); !ok) return call.answer(wrong(ok.error().what));
    auto done = call.room.pause(until, call.request.user);
    call.answer(done ? yes(Json::object({{"until", until ? Json(format_time(*until)) : Json()}})) : no(503, "not_kept", done.error().what));
}

void on_resume(Call& call)
{
    auto done = call.room.resume();
    call.answer(done ? yes(Json::object({})) : no(503, "not_kept", done.error().what));
}

/// An X server of this machine: ":0", ":0.1"; not one at the other end of a tunnel.
bool is_display_here(std::string_view text)
{
    return text.size() >= 2 && text.size() <= 16 && text.front() == ':' && text.find_first_not_of("0123456789.", 1) == text.npos;
}

void on_faces(Call& call)
{
    Fields fields(call.body, "face");
    fields.ignore_unknown();   // a companion of another version
    const std::int64_t process = fields.integer("pid", 1, INT32_MAX);
    Json problems = Json::array();
    const std::vector<std::string> said = fields.texts("problems");
    for (const std::string& problem : said)
        if (problems.size() < kMostProblems) problems.push(Json(problem.substr(0, 500)));
    Json face = Json::object({{"kind", fields.text("kind").substr(0, 50)}, {"pid", process}, {"notifications", fields.boolean("notifications", false)}, {"tray", fields.boolean("tray", false)},
                              {"stopKey", Json()}, {"page", Json()}, {"problems", std::move(problems)}});
    for (const char* member : {"stopKey", "page"})
        if (const std::string text = fields.text(member, ""); !text.empty()) face.set(member, text.substr(0, 200));
    const platform::DesktopPlace place{fields.text("display", ""), fields.text("authority", "")};
    if (auto ok = fields.done(); !ok) return call.answer(wrong(ok.error().what));
    call.room.set_face(process, std::move(face), is_display_here(place.display) ? place : platform::DesktopPlace{});
    call.answer(yes(Json::object({})));
}

struct Route {
    std::string_view method, head, tail;   ///< /v1/HEAD[/ID[/TAIL]]
    bool with_id;
    void (*action)(Call&);
};
constexpr Route kRoutes[] = {
    {"GET", "person", "", false, on_person},   {"GET", "changes", "", false, on_changes},  {"GET", "jobs", "", true, on_job},
    {"POST", "launch", "", false, on_launch},  {"POST", "questions", "", true, on_question}, {"POST", "consents", "", true, on_consent},
    {"POST", "tells", "", true, on_tell},      {"POST", "jobs", "cancel", true, on_cancel}, {"POST", "stop", "", false, on_stop},
    {"POST", "pause", "", false, on_pause},    {"POST", "resume", "", false, on_resume},   {"POST", "faces", "", false, on_faces},
};

void dispatch(PersonRoom& room, ChangesTimer* timer, const LocalRequest& request, LocalAnswer answer)
{
    // The socket's mode says the same; the kernel's word about the caller does not depend on a file.
    if (request.uid && !platform::is_this_user_or_root(*request.uid)) return answer(no(403, "not_your_agent", "this socket is for the person whose agent this is"));
    const Path path = take_apart(request.target);
    const std::size_t size = path.parts.size();
    const Route* of_other_method = nullptr;
    for (const Route& route : kRoutes) {
        const std::size_t wanted = route.with_id ? route.tail.empty() ? 3 : 4 : 2;
        if (size != wanted || path.parts[0] != "v1" || path.parts[1] != route.head || (size == 4 && path.parts[3] != route.tail)) continue;
        if (request.method != route.method) {
            of_other_method = &route;
            continue;
        }
        if (route.with_id && !is_id(path.parts[2])) return answer(no(404, "unknown", "that is no id"));
        auto body = body_of(request);
        if (!body && route.action == on_stop) body = Json::object({});
        if (!body) return answer(wrong(body.error().what));
        Call call{room, timer, request, route.with_id ? std::string(path.parts[2]) : std::string(), path.query, std::move(*body), std::move(answer)};
        return route.action(call);
    }
    if (of_other_method != nullptr) return answer(no(405, "invalid_request", fmt::format("{} wants {}", request.target.substr(0, 100), of_other_method->method)));
    answer(no(404, "invalid_request", "there are GET /v1/person, /v1/changes, /v1/jobs/JOB, and by POST /v1/launch, /v1/questions/ID, /v1/consents/ID, /v1/tells/ID, /v1/jobs/JOB/cancel, /v1/stop, /v1/pause, /v1/resume, /v1/faces"));
}

}  // namespace

std::string person_path(const std::string& data_folder) { return data_folder + "/person"; }

platform::LaterHandler person_routes(PersonRoom& room)
{
    return [&room](const LocalRequest& request, LocalAnswer answer) { dispatch(room, nullptr, request, std::move(answer)); };
}

ChangesTimer::ChangesTimer(Changes& changes, const Clock& clock) : changes_(changes), clock_(clock)
{
    thread_ = std::jthread([this](std::stop_token stop) {
        while (!stop.stop_requested()) {
            changes_.give_up(clock_.steady());
            if (const auto next = changes_.next()) (void)poke_.receive_for(std::max(Microseconds(0), *next - clock_.steady()), stop);
            else (void)poke_.receive(stop);
        }
    });
}

ChangesTimer::~ChangesTimer() = default;

Result<PersonSocket> serve_person(const std::string& data_folder, PersonRoom& room)
{
    PersonSocket out;
    out.timer = std::make_unique<ChangesTimer>(room.changes(), room.clock());
    auto server = platform::serve_local_socket(person_path(data_folder), platform::LaterHandler([&room, timer = out.timer.get()](const LocalRequest& request, LocalAnswer answer) {
                                                   dispatch(room, timer, request, std::move(answer));
                                               }));
    if (!server) return fail(std::move(server.error()));
    out.server = std::move(*server);
    return out;
}

}  // namespace mill::agent
