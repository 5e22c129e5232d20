#include "agent/companion/companion.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include <fmt/format.h>

#include "agent/companion/faces.h"
#include "agent/companion/own_agent.h"
#include "agent/companion/page_server.h"
#include "agent/companion/stop_key.h"
#include "platform/base/fields.h"
#include "platform/base/log.h"
#include "platform/base/printable.h"
#include "platform/base/yaml.h"
#include "platform/files.h"
#include "platform/own_user.h"
#include "platform/service_host.h"
#include "platform/show_page.h"

namespace mill::companion {
namespace {

namespace fs = std::filesystem;
using platform::LocalRequest;
using platform::LocalResponse;

constexpr int kBadConfiguration = 78;
constexpr std::size_t kMostFile = 1024 * 1024;

int complain(const std::string& words)
{
    std::fprintf(stderr, "millwright-companion: %s\n", one_line(words).c_str());
    return kBadConfiguration;
}

std::string environment(const char* name)
{
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

/// Some factory knows this agent as one beside a person.
bool is_attended(const std::string& data)
{
    std::error_code error;
    for (fs::directory_iterator at(data + "/factories", error), end; !error && at != end; at.increment(error))
        if (const auto text = platform::read_file(at->path().string() + "/agent.json", kMostFile))
            if (parse_json(*text).value_or(Json())["mode"].as_string() == "attended") return true;
    return false;
}

/// Nothing: this person wants none. Errors: invalid, naming the file.
Result<std::optional<platform::KeyCombination>> stop_key_of(const Options& options)
{
    const std::string file = options.config.empty() ? options.data + "/config.yaml" : options.config;
    std::string said = "Ctrl+Alt+Pause";
    if (auto text = platform::read_file(file, kMostFile)) {
        auto document = parse_yaml(*text);
        if (!document) return fail(Errc::invalid, file + ": " + document.error().what);
        if (const Json* key = document->value.find("stopKey")) said = key->as_string();
    } else if (!options.config.empty() || text.error().code != Errc::not_found) {
        return fail(file, std::move(text.error()));
    }
    if (said == "none") return std::nullopt;
    auto keys = platform::parse_key_combination(said);
    if (!keys) return fail(Errc::invalid, fmt::format("{}: stopKey: {}, or none", file, keys.error().what));
    return std::optional(std::move(*keys));
}

/// POST /v1/open {what, id} -> {url}
LocalResponse on_open(PageServer* page, const std::string& no_page, const LocalRequest& request)
{
    const auto no = [](int status, const std::string& detail) { return LocalResponse{status, dump_json(Json::object({{"detail", detail}})) + "\n"}; };
    if (request.uid && *request.uid != 0 && *request.uid != platform::own_user()) return no(403, "this companion is another person's");
    if (request.target != "/v1/open") return no(404, "there is POST /v1/open alone");
    if (request.method != "POST") return no(405, "POST /v1/open");
    auto body = request.body.empty() ? Result<Json>(Json::object({})) : parse_json(request.body);
    if (!body) return no(400, "the body is no JSON: " + body.error().what);
    Fields fields(*body, "open");
    const std::string what = fields.one_of("what", {"launcher", "launch", "question", "consent", "history", "job"}, "launcher"), id = fields.text("id", "");
    if (id.size() > 500) fields.mistake("id", "is too long");
    if (auto done = fields.done(); !done) return no(400, done.error().what);
    if (page == nullptr) return no(503, no_page);
    return {200, dump_json(Json::object({{"url", page->link(what, id)}})) + "\n"};
}

/// Values and calls from other threads to the loop's.
class Inbox {
public:
    void put(std::function<void()> call)
    {
        (void)calls_.try_send(std::move(call));
        wake_.ring();
    }
    void read()
    {
        wake_.hear();
        for (const auto& call : calls_.drain()) call();
    }
    const platform::Wake& wake() const { return wake_; }

private:
    platform::Wake wake_;
    Mailbox<std::function<void()>> calls_{4096};
};

/// One loop; returns when the session is over or a signal came.
void serve(platform::ServiceHost& host, platform::SessionBus* bus, Inbox& inbox, Errands& errands, OwnAgent* agent, const bool& over)
{
    while (!over) {
        const platform::Handle* ended = agent != nullptr ? agent->ended() : nullptr;
        const std::vector<const platform::Handle*> others{&host.signals(), &inbox.wake().handle(), ended};
        if (bus != nullptr) {
            if (auto served = bus->serve(others, std::nullopt); !served) return log::info("session", "{}: the session is over", served.error().what);
        } else if (!platform::wait_handles(others, std::nullopt)) {
            return;
        }
        if (host.take_signals().stop) return;
        inbox.read();
        errands.finish();
        if (ended != nullptr)
            if (auto ready = platform::wait_handles({ended}, std::chrono::milliseconds(0)); ready && !ready->empty()) agent->on_ended();
    }
}

}  // namespace

int run_companion(const Options& options)
{
    platform::ServiceHost host(platform::ServiceHost::Mode::polled);   // before any thread: they are to leave the signals alone
    if (options.autostart && !is_attended(options.data)) return 0;
    if (!platform::is_folder(options.data)) return complain(fmt::format("{} is no folder: millwright-agent enrol --data {} --mode attended …", options.data, options.data));
    const auto keys = stop_key_of(options);
    if (!keys) return complain(keys.error().what);
    auto lock = platform::lock_file(options.data + "/companion.lock");
    if (!lock && lock.error().code == Errc::conflict) {
        std::fprintf(stderr, "millwright-companion: one runs already beside %s (%s)\n", options.data.c_str(), one_line(lock.error().what).c_str());
        return 0;
    }
    if (!lock) return complain(lock.error().what);

    auto bus = platform::SessionBus::open();
    const bool wayland = !environment("WAYLAND_DISPLAY").empty(), x11 = !environment("DISPLAY").empty() && !wayland;
    if (!bus && !x11) return complain(fmt::format("there is no desktop session here ({}); in a terminal: millwright-agent attend --data {}", bus.error().what, options.data));

    const PersonClient client(options.data + "/person");
    PagePorts ports;
    ports.forward = [&client](const LocalRequest& request, std::chrono::milliseconds wait) { return client.forward(request, wait); };
    auto page = start_page(std::move(ports));
    if (!page) log::warning("page", "{}", page.error().what);
    const std::string link_file = options.data + "/companion-page.html", no_page = page ? "" : page.error().what;

    Inbox inbox;
    Errands errands(inbox.wake());
    FacesParts parts{session_language(), client, errands, bus ? bus->get() : nullptr, bus ? "" : bus.error().what, *keys, wayland, environment("DISPLAY"), environment("XAUTHORITY"), page ? (*page)->address() : "", no_page, {}};
    parts.show_page = [&](const std::string& what, const std::string& id) -> Status {
        if (!page) return fail(Errc::not_found, no_page);
        return platform::show_page((*page)->link(what, id), link_file);
    };
    Faces faces(std::move(parts));
    auto door = platform::serve_local_socket(options.data + "/companion", [&](const LocalRequest& request) { return on_open(page ? page->get() : nullptr, no_page, request); });
    if (!door) log::error("companion", "{}: millwright-agent open will not work", door.error().what);

    OwnAgent agent(options.data, options.config);
    if (options.with_agent) agent.start();

    bool over = false;
    std::jthread watcher([&](std::stop_token stop) {
        watch_person(client, [&](News news) { inbox.put([&faces, &page, news = std::move(news)] {
                                                  faces.hear(news);
                                                  if (page && !news.person.is_null()) (*page)->changed(news.person["version"].as_integer());
                                              }); }, stop);
    });
    std::jthread key;
    if (*keys && x11)
        key = std::jthread([&](std::stop_token stop) {
            run_stop_key(**keys, client, {[&](const Error& why) { inbox.put([&faces, why] { faces.key_works_not(why); }); }, [&] { inbox.put([&faces] { faces.key_works(); }); },
                                          [&](const Result<Said>& how) { inbox.put([&faces, how] { faces.stopped(how); }); }, [&] { inbox.put([&over] { over = true; }); }}, stop);
        });
    log::info("companion", "beside {}", options.data);
    host.ready("beside the person");
    std::puts("ready");
    std::fflush(stdout);
    serve(host, bus ? bus->get() : nullptr, inbox, errands, options.with_agent ? &agent : nullptr, over);

    host.stopping();
    faces.clear();
    if (bus) (void)(*bus)->serve({}, std::chrono::milliseconds(0));
    if (door) door->reset();
    std::error_code ignored;
    fs::remove(link_file, ignored);
    if (options.with_agent) agent.end();
    // A parked request to the agent is not waited for: the kernel closes it.
    std::_Exit(0);
}

}  // namespace mill::companion
