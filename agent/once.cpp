#include "agent/once.h"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <thread>

#include "agent/runs.h"
#include "platform/base/fields.h"
#include "platform/base/ids.h"
#include "platform/base/log.h"
#include "platform/base/redact.h"
#include "platform/files.h"
#include "platform/process.h"
#include "platform/service_host.h"

namespace mill::agent {
namespace {

constexpr int kUsage = 64, kOurs = 70, kRefused = 77;

void print_line(const Json& line)
{
    const std::string text = dump_json(line) + "\n";
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
}

/// What happens goes to the terminal; nothing is kept.
class Printer : public Ledger {
public:
    Status taken(const protocol::AttemptId&, const std::string&) override { return {}; }
    Status started(const protocol::AttemptId&, const protocol::Event& running, SteadyTime) override
    {
        print_line(Json::object({{"event", to_json(running)}}));
        return {};
    }
    Status event(const protocol::AttemptId&, const protocol::Event& event) override
    {
        print_line(Json::object({{"event", to_json(event)}}));
        if (final_state(event)) ended_ = event.body;
        return {};
    }
    Status sync() override { return {}; }
    void extra(const protocol::AttemptId&, const Json& message) override { print_line(message); }
    void ask(const protocol::AttemptId&, const Json& ask) override { print_line(Json::object({{"ask", ask}})); }
    void unask(const protocol::AttemptId&, const std::string& question, const std::string&) override { print_line(Json::object({{"unask", Json::object({{"question", question}})}})); }
    void not_held(const protocol::AttemptId&, const std::string& why) override { problem_ = why; }
    void released(const protocol::AttemptId&) override { over_.request_stop(); }

    std::stop_token over() const { return over_.get_token(); }
    const Json& ended() const { return ended_; }
    const std::string& problem() const { return problem_; }

private:
    std::stop_source over_;
    Json ended_;
    std::string problem_;
};


Result<RunSpec> read_request(const std::string& path)
{
    auto text = platform::read_file(path, 64 * 1024 * 1024);
    if (!text) return fail(path, std::move(text.error()));
    auto json = parse_json(*text, {64 * 1024 * 1024, 128});
    if (!json) return fail(path, std::move(json.error()));
    Fields fields(*json, path);
    RunSpec spec;
    spec.id = {new_uid(), 1, 1};
    spec.package_path = fields.text("package");
    spec.workflow = fields.text("workflow", "main");
    spec.input = fields.any("input", Json());
    spec.variables = fields.object("variables", Json::object());
    spec.credentials = fields.object("secrets", Json::object());
    spec.events = fields.boolean("events", false);
    spec.trace = fields.boolean("trace", false);
    spec.step = fields.boolean("step", false);
    spec.asks = fields.boolean("ask", false) ? "terminal" : "nobody";
    spec.rehearsal = fields.any("rehearsal", Json());
    auto grants = protocol::parse_permissions(fields.object("grants", Json::object()), "grants");
    if (grants) spec.grants = std::move(*grants);
    else fields.mistake("grants", grants.error().what);
    if (auto done = fields.done(); !done) return fail(std::move(done.error()));
    spec.quota = ByteCount{~std::uint64_t{0}};
    return spec;
}

/// The keeper as our child: its descriptor 3 is its end of the channel.
Result<std::pair<std::unique_ptr<platform::Process>, platform::Channel>> start_keeper()
{
    auto ends = platform::Channel::pair();
    if (!ends) return fail(std::move(ends.error()));
    platform::ProcessSpec spec;
    spec.program = platform::sibling_program("millwright-keeper");
    spec.arguments = {"--once"};
    for (const char* name : {"PATH", "HOME", "LANG", "LC_ALL", "XDG_RUNTIME_DIR", "TMPDIR", "http_proxy", "https_proxy", "no_proxy"})
        if (const char* value = std::getenv(name); value != nullptr) spec.environment[name] = value;
    spec.handles = {{3, &ends->second.handle()}};
    spec.inherit_output = true;
    auto process = platform::start_process(spec);
    if (!process) return fail("millwright-keeper", std::move(process.error()));
    return std::pair(std::move(*process), std::move(ends->first));
}

/// Hears the person's steps on descriptor 3 for as long as the run lasts; who goes away has cancelled it.
class Steps {
public:
    Steps(Runs& runs, const protocol::AttemptId& id)
        : thread_([this, &runs, id](const std::stop_token& stop) {
              for (;;) {
                  auto message = channel_.receive({}, stop);
                  if (!message) {
                      if (!stop.stop_requested()) runs.post(command::Cancel{id, "user", "the person at the terminal went away"});
                      return;
                  }
                  auto json = parse_json((*message)->text);
                  if (json && json->contains("answered")) runs.post(command::Answered{id, (*json)["answered"]});
                  if (json && json->contains("step")) runs.post(command::Say{id, std::move(*json)});
              }
          })
    {
    }

private:
    platform::Channel channel_ = platform::Channel::from(platform::Handle(3));
    std::jthread thread_;
};

}  // namespace

int run_once(const std::string& request_path)
{
    auto spec = read_request(request_path);
    if (!spec) {
        std::fprintf(stderr, "millwright-agent: %s\n", spec.error().what.c_str());
        return kUsage;
    }
    platform::ServiceHost host;
    auto keeper = start_keeper();
    if (!keeper) {
        std::fprintf(stderr, "millwright-agent: %s\n", redacted(keeper.error().what).c_str());
        return kOurs;
    }
    Printer printer;
    Runs runs(KeeperClient(std::move(keeper->second)), printer, system_clock());
    const protocol::AttemptId id = spec->id;
    // Ctrl-C asks the run to end; a second one is the terminal's business.
    std::stop_callback on_stop(host.stop(), [&] { runs.post(command::Cancel{id, "user", "interrupted"}); });
    std::optional<Steps> steps;
    if (spec->step || spec->asks == "terminal") steps.emplace(runs, id);
    runs.post(command::Take{id, {}});
    runs.post(command::Start{std::move(*spec), std::nullopt});
    const Status ran = runs.run(printer.over());
    steps.reset();
    (void)runs.stop_keeper();
    if (auto gone = keeper->first->wait(std::chrono::seconds(2)); !gone) log::warning("once", "the keeper does not end: {}", gone.error().what);
    if (!ran) {
        std::fprintf(stderr, "millwright-agent: %s\n", ran.error().what.c_str());
        return kOurs;
    }
    if (printer.ended().is_null()) {
        std::fprintf(stderr, "millwright-agent: %s\n", printer.problem().empty() ? "the run did not start" : printer.problem().c_str());
        return kRefused;
    }
    const Json& body = printer.ended();
    Json ended = Json::object({{"state", body["state"]}, {"reason", body["reason"]}});
    for (const char* member : {"output", "error", "evidence"})
        if (body.contains(member)) ended.set(member, body[member]);
    print_line(Json::object({{"ended", std::move(ended)}}));
    return 0;
}

}  // namespace mill::agent
