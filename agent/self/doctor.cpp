#include "agent/self/doctor.h"

#include <algorithm>
#include <cstdlib>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "agent/config.h"
#include "agent/credentials_command.h"
#include "agent/factory_client.h"
#include "agent/policy.h"
#include "agent/sealed_keys.h"
#include "agent/self/control.h"
#include "platform/files.h"
#include "platform/fitness.h"
#include "platform/local_http.h"
#include "platform/machine.h"
#include "platform/privileges.h"
#include "protocol/version.h"

namespace mill::agent {
namespace {

constexpr std::int64_t kLittle = 1024LL * 1024 * 1024, kTooLittle = 64LL * 1024 * 1024;
constexpr std::chrono::seconds kAsk{10};

using Report = Findings;

/// What an agent that runs with the folder says of itself; nothing when none answers.
struct Running {
    Json status;
    std::optional<Error> problem;   ///< not_found: none runs
};

Running ask_running(const DoctorOptions& options)
{
    auto answer = platform::call_local_socket(control_path(options.data_folder), {"GET", "/status", "", ""}, kAsk);
    if (!answer) return {{}, answer.error()};
    auto status = parse_json(answer->body);
    if (!status) return {{}, Error{Errc::corrupt, "its status is no JSON"}};
    return {std::move(*status), std::nullopt};
}

void look_at_disk(const std::string& folder, Report& report)
{
    auto usage = platform::system_usage({folder});
    if (!usage) return report.warning("disk", usage.error().what, "");
    for (const Json& disk : (*usage)["disks"].as_array()) {
        const std::int64_t free = disk["free"].as_integer();
        const std::string text = fmt::format("{} free at {}", format_bytes(ByteCount{static_cast<std::uint64_t>(std::max<std::int64_t>(free, 0))}), folder);
        if (free < kTooLittle) report.error("disk", text, "make room: no new job is taken when reports cannot be written");
        else if (free < kLittle) report.warning("disk", text, "make room, or lower `quotas: { packages }` in config.yaml");
        else report.ok("disk", text);
    }
}

/// A file of DIR that only its owner may read.
void look_at_folder(const DoctorOptions& options, Report& report)
{
    if (!platform::is_folder(options.data_folder))
        return report.error("folder", options.data_folder + " is no folder", fmt::format("millwright-agent enrol --data {} --factory URL", options.data_folder));
    if (auto list = platform::read_file(options.data_folder + "/policy.yaml", 1024 * 1024); !list && list.error().code == Errc::denied)
        return report.error("folder", options.data_folder + ": " + list.error().what, "run this as root or as the agent's user (millwright)");
    report.ok("folder", options.data_folder);
}

void look_at_settings(const DoctorOptions& options, Report& report)
{
    auto config = load_config(options.config_path, options.data_folder);
    if (const Status files = config ? check_files(*config) : Status(); !files) report.error("settings", files.error().what, "correct the path in config.yaml, then: millwright-agent reload");
    else if (config) report.ok("settings", "config.yaml is in order");
    else report.error("settings", config.error().what, "mend the file; a running agent keeps the settings of before until: millwright-agent reload");
    const auto policy = options.factory.empty() ? load_policy_of_folder(options.data_folder) : load_policy(options.data_folder, options.factory);
    if (!policy) return report.error("policy", policy.error().what, "mend policy.yaml");
    std::vector<std::string> publishers, missing;
    for (const auto& [name, keys] : policy->signing.publishers) {
        const auto counts = std::count_if(keys.begin(), keys.end(), [&](const std::string& key) { return !policy->signing.revoked.contains(key); });
        publishers.push_back(fmt::format("{} ({} of {} keys count)", name, counts, keys.size()));
    }
    for (const auto& demand : policy->signing.demands)
        for (const std::string& name : demand.signed_by)
            if (!policy->signing.publishers.contains(name)) missing.push_back(name);
    if (!missing.empty())
        report.warning("policy", fmt::format("policy.yaml demands signatures of {}, of whom no key is known here: such packages are refused", fmt::join(missing, ", ")),
                       "'publishers: { NAME: \"ed25519:…\" }' in policy.yaml (millwright keys FILE prints the line), then: millwright-agent reload");
    else if (!policy->signing.unsigned_packages && publishers.empty())
        report.warning("policy", "policy.yaml admits no package that nobody signed, and no publisher's key is known here: no job but a canary (millwright canary agent/NAME) runs here",
                       "'publishers' or 'unsigned: true' in policy.yaml, then: millwright-agent reload");
    else
        report.ok("policy", fmt::format("policy.yaml is in order (millwright-agent policy test FILE says what it admits){}{}",
                                        publishers.empty() ? "" : "; publishers: ", fmt::join(publishers, ", ")));
}

void look_at_credentials(const DoctorOptions& options, Report& report)
{
    std::vector<std::string> wrong;
    std::size_t count = 0;
    for (const HeldCredential& held : held_credentials(secret_places(options.data_folder), false)) {
        ++count;
        if (!held.wrong.empty()) wrong.push_back(held.name + ": " + held.wrong);
    }
    if (!wrong.empty()) report.warning("credentials", fmt::format("{}", fmt::join(wrong, "; ")), fmt::format("millwright-agent credentials check --data {}", options.data_folder));
    else report.ok("credentials", fmt::format("{} held by this machine", count));
}

/// Its address, of a factory that the running agent serves.
std::string url_of(const Json& status, const std::string& factory_id)
{
    for (const Json& factory : status["factories"].as_array())
        if (factory["factory"].as_string() == factory_id) return factory["url"].as_string();
    return {};
}

/// Of an attended agent: whether the person is reached at all.
void look_at_faces(const DoctorOptions& options, const Json& person, Report& report)
{
    const std::string start = fmt::format("millwright-companion --data {} in the person's session (a desktop starts it by itself at the next sign-in), or millwright-agent attend --data {}", options.data_folder, options.data_folder);
    if (person["user"].as_string().empty())
        report.warning("person", "the factory names no user of this agent: nobody can start anything from here, or answer", "an administrator: millwright agents set NAME --user NAME");
    if (person["faces"].empty()) return report.warning("companion", "no companion runs: jobs go on, and the person here is asked nothing and shown nothing", start);
    std::string problems;
    for (const Json& face : person["faces"].as_array())
        for (const Json& problem : face["problems"].as_array()) problems += (problems.empty() ? "" : "; ") + problem.as_string();
    if (problems.empty()) report.ok("companion", fmt::format("{} face(s) of the agent run in the person's session", person["faces"].size()));
    else report.warning("companion", problems, start);
}

void look_at_running(const DoctorOptions& options, const Running& running, Report& report)
{
    if (running.problem && running.problem->code == Errc::not_found)
        return report.warning("running", "no agent runs with this folder", "systemctl start millwright-agent, or millwright-agent run --data " + options.data_folder);
    if (running.problem && running.problem->code == Errc::corrupt) return report.error("running", running.problem->what, "start it again");
    if (running.problem) return report.warning("running", running.problem->what, "root and the agent's user may ask it");
    const Json* status = &running.status;
    if ((*status)["version"].as_string() != protocol::kProgramVersion)
        report.warning("version", fmt::format("the running agent is {}, the programs here are {}", (*status)["version"].as_string(), protocol::kProgramVersion),
                       fmt::format("millwright-agent renew --data {}", options.data_folder));
    if (status->contains("person")) look_at_faces(options, (*status)["person"], report);
    if (status->contains("paused")) return report.warning("running", (*status)["unable"].as_string(), fmt::format("millwright-agent resume --data {}", options.data_folder));
    std::vector<std::string> problems;
    if (options.factory.empty()) {
        for (const Json& problem : (*status)["problems"].as_array()) problems.push_back(problem.as_string());
    } else {
        // What the machine as a whole lacks, and the loops of this factory: the list above names others, too.
        if (status->contains("unable")) problems.push_back((*status)["unable"].as_string());
        const std::string url = url_of(*status, options.factory);
        for (const Json& loop : (*status)["loops"].as_array()) {
            if (const std::string& whose = loop["of"].as_string(); !whose.empty() && whose != url) continue;
            if (loop["state"].as_string() == "overdue") problems.push_back(fmt::format("the loop '{}' does not go on", loop["name"].as_string()));
            if (loop.contains("lastError")) problems.push_back(fmt::format("{}: {}", loop["name"].as_string(), loop["lastError"]["why"].as_string()));
        }
    }
    if (problems.empty()) report.ok("running", fmt::format("process {}, {} of {} slots taken", (*status)["pid"].as_integer(), (*status)["slots"]["taken"].as_integer(), (*status)["slots"]["total"].as_integer()));
    else report.error("running", fmt::format("{}", fmt::join(problems, "; ")), "see the other lines; millwright-agent status shows each loop");
}

void look_at_clock(const Refusal& answer, Report& report)
{
    if (!answer.date) return;
    const std::int64_t seconds = (system_clock().now() - *answer.date).count() / 1'000'000;
    const std::int64_t off = std::abs(seconds);
    if (off <= 5) return report.ok("clock", "agrees with the factory's");
    const std::string fix = "timedatectl set-ntp true";
    if (off <= 60) report.warning("clock", clock_words(seconds), fix);
    else report.error("clock", clock_words(seconds), fix);
}

bool not_there(Report& report, std::string code, std::string text, std::string fix)
{
    report.error(std::move(code), std::move(text), std::move(fix));
    return false;
}

/// Name, way, certificate, and that it is the factory this agent was enrolled at and nobody in between. False when it is not there, or another.
bool look_at_factory(const Identity& identity, const Config& config, Report& report)
{
    const auto uri = platform::parse_uri(identity.factory_url);
    if (!uri) return not_there(report, "factory", uri.error().what, "millwright-agent enrol again");
    const std::string proxy = config.proxy.empty() ? platform::proxy_for(identity.factory_url) : config.proxy;
    if (proxy.empty()) {
        auto addresses = platform::resolve(uri->host);
        if (!addresses) return not_there(report, "dns", addresses.error().what, "getent hosts " + uri->host + "; mend /etc/resolv.conf or the name in DNS");
        report.ok("dns", fmt::format("{}: {}", uri->host, fmt::join(*addresses, ", ")));
    } else {
        const auto through = platform::parse_uri(proxy);
        report.ok("proxy", through ? fmt::format("{}:{} ({})", through->host, through->port, config.proxy.empty() ? "from the environment" : "from config.yaml") : "is no URI");
    }
    auto client = platform::make_http_client(http_options(config, identity.factory_url));
    Refusal refusal;
    const SteadyTime begun = system_clock().steady();
    const auto answer = ask_for_proof(*client, identity, kAsk, {}, refusal);
    const auto took = std::chrono::ceil<Milliseconds>(system_clock().steady() - begun);
    look_at_clock(refusal, report);
    if (!answer && answer.error().code == Errc::denied && refusal.status == 0)
        return not_there(report, "tls", answer.error().what, "a private authority: caFile in config.yaml; an intercepting proxy: ask for an exception for " + uri->host);
    if (!answer && refusal.status == 407) return not_there(report, "proxy", "it wants to know who asks (407)", "proxy: http://USER:PASSWORD@HOST:PORT in config.yaml (mode 600)");
    if (!answer && refusal.status == 0) return not_there(report, "factory", answer.error().what, "start it, open the way to it (firewall, proxy), or enrol at its new address");
    if (!answer) return not_there(report, "factory", answer.error().what, fmt::format("{} answers, but is no factory, or something in between answers for it", identity.factory_url));
    if (uri->scheme == "https") report.ok("tls", "its certificate is trusted");
    if (!*answer)
        return not_there(report, "factory-key", not_the_factory(identity).what, "another factory answers at this address, or something in between: ask its administrator; enrol again when it was set up anew");
    report.ok("factory", fmt::format("{} answered in {} ms and is the one this agent was enrolled at", identity.factory_url, took.count()));
    return true;
}

/// That the factory gives a session for this agent's key. Of an agent that runs its own session says it; else a token is asked for, as that agent
/// would at its start. Never beside a running one: what is signed is counted, and a number that is said twice freezes the agent.
void look_at_key(const DoctorOptions& options, const Identity& identity, const Config& config, const Running& running, Report& report)
{
    if (!running.problem) {
        const std::string url = url_of(running.status, identity.factory_id);
        if (url.empty()) return;   // enrolled, and not served: `running` has the reason
        for (const Json& loop : running.status["loops"].as_array()) {
            if (const std::string& whose = loop["of"].as_string(); loop["name"].as_string() != "link" || (!whose.empty() && whose != url)) continue;
            if (loop.contains("lastError")) report.error("key", loop["lastError"]["why"].as_string(), "the text says what mends it");
            else if (loop.contains("lastGood")) report.ok("key", fmt::format("the factory accepted it; the session answered last at {}", loop["lastGood"].as_string()));
            else report.warning("key", "the running agent has no session yet", "wait, or: millwright-agent status");
        }
        return;
    }
    auto lock = lock_data_folder(options.data_folder);
    if (!lock) return report.warning("key", "not tried: " + lock.error().what, "ask again when the agent answers");
    Config mine = config;
    mine.key_max_age = Milliseconds(0);   // looked at, not changed
    Tokens tokens(identity, mine, system_clock());
    if (auto token = tokens.get({}); token) report.ok("key", "the factory gives a session for this agent's key");
    else report.error("key", token.error().what, "the text says what mends it");
}

void look_at_identity(const DoctorOptions& options, const Running& running, Report& report)
{
    auto config = load_config(options.config_path, options.data_folder);
    auto ids = enrolled_factories(options.data_folder);
    if (!ids) return report.error("identity", ids.error().what, "run this as root or the agent's user; a damaged folder: enrol again");
    if (ids->empty()) return report.error("identity", "not enrolled at a factory", fmt::format("millwright-agent enrol --data {} --factory URL", options.data_folder));
    for (const std::string& id : *ids) {
        if (!options.factory.empty() && id != options.factory) continue;
        auto identity = load_identity(options.data_folder, id);
        if (!identity) {
            report.error("identity", identity.error().what, fmt::format("millwright-agent enrol --data {} --factory URL", options.data_folder));
            continue;
        }
        report.ok("identity", fmt::format("{} in environment {} of {}", identity->name, identity->environment, identity->factory_url));
        if (platform::exists(identity->folder + "/key.sealed") && platform::exists(identity->folder + "/key"))
            report.warning("key-file", identity->folder + "/key holds the key although it is to be sealed to this machine", fmt::format("sudo millwright-agent seal --data {}; then: millwright-agent reload --data {}", options.data_folder, options.data_folder));
        else if (platform::exists(identity->folder + "/key")) report.ok("key-file", "the key is a file of mode 600; `millwright-agent seal` binds it to this machine");
        else report.ok("key-file", "the key is sealed to this machine");
        if (config && look_at_factory(*identity, *config, report)) look_at_key(options, *identity, *config, running, report);
    }
}

}  // namespace

std::vector<Finding> examine(const DoctorOptions& options)
{
    Report report;
    const Running running = ask_running(options);
    // What is found in this shell need not hold in the service's group: the keeper of a running agent knows it better.
    platform::look_at_machine(report, running.problem ? std::nullopt : platform::isolation_of(running.status["isolation"]));
    if (platform::is_folder(options.data_folder)) look_at_credentials(options, report);
    // As the agent sees it from here on, and so that what lies there leads root nowhere.
    open_sealed_keys(options.data_folder);
    if (auto ok = platform::become_owner_of(options.data_folder); !ok) report.error("folder", ok.error().what, "run this as root, or as the agent's user");
    look_at_folder(options, report);
    if (!platform::is_folder(options.data_folder)) return report.take();
    look_at_disk(options.data_folder, report);
    look_at_settings(options, report);
    look_at_identity(options, running, report);
    look_at_running(options, running, report);
    return report.take();
}

int run_doctor(const DoctorOptions& options)
{
    const std::vector<Finding> findings = examine(options);
    const bool well = all_well(findings);
    if (options.json) {
        fmt::print("{}\n", dump_json(Json::object({{"ok", well}, {"time", format_time(system_clock().now())}, {"checks", to_json(findings)}})));
        return well ? 0 : 1;
    }
    for (const Finding& found : findings) {
        fmt::print("{:<8} {:<13} {}\n", found.state, found.code, found.text);
        if (!found.fix.empty()) fmt::print("{:<22} → {}\n", "", found.fix);
    }
    return well ? 0 : 1;
}

}  // namespace mill::agent
