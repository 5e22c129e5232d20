#include "agent/self/doctor.h"

#include <cstdlib>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "agent/config.h"
#include "agent/credentials_command.h"
#include "agent/factory_client.h"
#include "agent/policy.h"
#include "agent/self/control.h"
#include "platform/base/printable.h"
#include "platform/base/redact.h"
#include "platform/files.h"
#include "platform/local_http.h"
#include "platform/machine.h"
#include "platform/privileges.h"
#include "platform/sandbox.h"
#include "protocol/version.h"

namespace mill::agent {
namespace {

constexpr std::int64_t kLittle = 1024LL * 1024 * 1024, kTooLittle = 64LL * 1024 * 1024;
constexpr std::chrono::seconds kAsk{10};

class Report {
public:
    void ok(std::string code, std::string text) { add(std::move(code), "ok", std::move(text), ""); }
    void warning(std::string code, std::string text, std::string fix) { add(std::move(code), "warning", std::move(text), std::move(fix)); }
    void error(std::string code, std::string text, std::string fix) { add(std::move(code), "error", std::move(text), std::move(fix)); }
    std::vector<Finding> take() { return std::move(list_); }

private:
    void add(std::string code, std::string state, std::string text, std::string fix)
    {
        list_.push_back({std::move(code), std::move(state), one_line(redacted(text)), one_line(redacted(fix))});
    }
    std::vector<Finding> list_;
};

void look_at_programs(Report& report)
{
    std::vector<std::string> absent;
    for (const char* program : {"millwright-keeper", "millwright-broker", "millwright-runner"})
        if (!platform::exists(platform::sibling_program(program))) absent.emplace_back(program);
    if (absent.empty()) report.ok("programs", fmt::format("version {}, all in {}", protocol::kProgramVersion, platform::program_folder()));
    else report.error("programs", fmt::format("{} not in {}", fmt::join(absent, ", "), platform::program_folder()), "install the package again, or build the missing programs");
}

void look_at_sandbox(Report& report)
{
    const platform::Isolation found = platform::find_isolation();
    if (!found.problem.empty()) return report.error("sandbox", found.problem, "apt-get install bubblewrap; in a container allow user namespaces");
    report.ok("sandbox", fmt::format("bubblewrap starts; user namespaces {}, seccomp {}, Landlock {}", found.user_namespaces ? "yes" : "no", found.seccomp ? "yes" : "no",
                                     found.landlock > 0 ? fmt::format("ABI {}", found.landlock) : "no"));
    // What is found in this shell need not hold in the service's group: a running agent knows it better, see `running`.
    if (found.memory.starts_with("cgroup")) report.ok("cgroups", fmt::format("memory by {}, processes by {}", found.memory, found.processes));
    else report.warning("cgroups", fmt::format("memory by {}, processes by {}", found.memory, found.processes),
                        "jobs that state a limit for their whole tree are refused here; run it as the service (Delegate=yes), or give it a writable cgroup");
    if (!platform::is_root()) return;
    const bool users = platform::find_user("millwright") && platform::find_user("millwright-broker") && platform::find_user("millwright-run");
    if (users) report.ok("users", "agent, broker and sandboxes have users of their own");
    else report.warning("users", "an agent that root starts here would keep broker or agent as root", "systemd-sysusers, as the package does, or useradd --system millwright, millwright-broker, millwright-run");
}

void look_at_interpreters(Report& report)
{
    const Json facts = platform::find_facts();
    std::vector<std::string> found;
    for (const auto& [name, version] : facts["programs"].as_object()) found.push_back(version.is_string() ? name + " " + version.as_string() : name);
    report.ok("interpreters", found.empty() ? "none found: `run: script` has nothing to run with" : fmt::format("{}", fmt::join(found, ", ")));
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
    auto policy = load_policy(options.data_folder);
    if (!policy) report.error("policy", policy.error().what, "mend policy.yaml");
    else report.ok("policy", "policy.yaml is in order (millwright-agent policy test FILE says what it admits)");
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

void look_at_running(const DoctorOptions& options, Report& report)
{
    auto answer = platform::call_local_socket(control_path(options.data_folder), {"GET", "/status", "", ""}, kAsk);
    if (!answer && answer.error().code == Errc::not_found)
        return report.warning("running", "no agent runs with this folder", "systemctl start millwright-agent, or millwright-agent run --data " + options.data_folder);
    if (!answer) return report.warning("running", answer.error().what, "root and the agent's user may ask it");
    auto status = parse_json(answer->body);
    if (!status) return report.error("running", "its status is no JSON", "start it again");
    if ((*status)["version"].as_string() != protocol::kProgramVersion)
        report.warning("version", fmt::format("the running agent is {}, the programs here are {}", (*status)["version"].as_string(), protocol::kProgramVersion),
                       fmt::format("millwright-agent renew --data {}", options.data_folder));
    std::vector<std::string> problems;
    for (const Json& problem : (*status)["problems"].as_array()) problems.push_back(problem.as_string());
    if (status->contains("paused")) return report.warning("running", (*status)["unable"].as_string(), fmt::format("millwright-agent resume --data {}", options.data_folder));
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

/// Name, way, certificate, and that it is the factory this agent was enrolled at and nobody in between.
void look_at_factory(const Identity& identity, const Config& config, Report& report)
{
    const auto uri = platform::parse_uri(identity.factory_url);
    if (!uri) return report.error("factory", uri.error().what, "millwright-agent enrol again");
    const std::string proxy = config.proxy.empty() ? platform::proxy_for(identity.factory_url) : config.proxy;
    if (proxy.empty()) {
        auto addresses = platform::resolve(uri->host);
        if (!addresses) return report.error("dns", addresses.error().what, "getent hosts " + uri->host + "; mend /etc/resolv.conf or the name in DNS");
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
        return report.error("tls", answer.error().what, "a private authority: caFile in config.yaml; an intercepting proxy: ask for an exception for " + uri->host);
    if (!answer && refusal.status == 407) return report.error("proxy", "it wants to know who asks (407)", "proxy: http://USER:PASSWORD@HOST:PORT in config.yaml (mode 600)");
    if (!answer && refusal.status == 0) return report.error("factory", answer.error().what, "start it, open the way to it (firewall, proxy), or enrol at its new address");
    if (!answer) return report.error("factory", answer.error().what, fmt::format("{} answers, but is no factory, or something in between answers for it", identity.factory_url));
    if (uri->scheme == "https") report.ok("tls", "its certificate is trusted");
    if (!*answer)
        return report.error("factory-key", not_the_factory(identity).what, "another factory answers at this address, or something in between: ask its administrator; enrol again when it was set up anew");
    report.ok("factory", fmt::format("{} answered in {} ms and is the one this agent was enrolled at", identity.factory_url, took.count()));
}

void look_at_identity(const DoctorOptions& options, Report& report)
{
    auto config = load_config(options.config_path, options.data_folder);
    auto ids = enrolled_factories(options.data_folder);
    if (!ids) return report.error("identity", ids.error().what, "run this as root or the agent's user; a damaged folder: enrol again");
    if (ids->empty()) return report.error("identity", "not enrolled at a factory", fmt::format("millwright-agent enrol --data {} --factory URL", options.data_folder));
    for (const std::string& id : *ids) {
        auto identity = load_identity(options.data_folder, id);
        if (!identity) {
            report.error("identity", identity.error().what, fmt::format("millwright-agent enrol --data {} --factory URL", options.data_folder));
            continue;
        }
        report.ok("identity", fmt::format("{} in environment {} of {}", identity->name, identity->environment, identity->factory_url));
        if (config) look_at_factory(*identity, *config, report);
    }
}

}  // namespace

std::vector<Finding> examine(const DoctorOptions& options)
{
    Report report;
    look_at_programs(report);
    look_at_sandbox(report);
    look_at_interpreters(report);
    if (platform::is_folder(options.data_folder)) look_at_credentials(options, report);
    // As the agent sees it from here on, and so that what lies there leads root nowhere.
    if (auto ok = platform::become_owner_of(options.data_folder); !ok) report.error("folder", ok.error().what, "run this as root, or as the agent's user");
    look_at_folder(options, report);
    if (!platform::is_folder(options.data_folder)) return report.take();
    look_at_disk(options.data_folder, report);
    look_at_settings(options, report);
    look_at_identity(options, report);
    look_at_running(options, report);
    return report.take();
}

int run_doctor(const DoctorOptions& options)
{
    const std::vector<Finding> findings = examine(options);
    bool well = true;
    Json list = Json::array();
    for (const Finding& found : findings) {
        well = well && found.state != "error";
        if (options.json) {
            list.push(Json::object({{"check", found.code}, {"state", found.state}, {"text", found.text}, {"fix", found.fix}}));
            continue;
        }
        fmt::print("{:<8} {:<13} {}\n", found.state, found.code, found.text);
        if (!found.fix.empty()) fmt::print("{:<22} → {}\n", "", found.fix);
    }
    if (options.json) fmt::print("{}\n", dump_json(Json::object({{"ok", well}, {"checks", std::move(list)}})));
    return well ? 0 : 1;
}

}  // namespace mill::agent
