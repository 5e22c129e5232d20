#include "agent/service_command.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>

#include <fmt/format.h>

#include "agent/companion_autostart.h"
#include "agent/identity.h"
#include "platform/files.h"

namespace mill::agent {
namespace {

using Action = ServiceRequest::Action;

constexpr int kNotEnrolled = 1, kInactive = 3, kNoUnit = 4, kNotAllowed = 77, kCannot = 78;
constexpr const char* kName = "millwright-agent.service";
constexpr std::size_t kMaxUnit = 64 * 1024, kMaxOutput = 64 * 1024;
constexpr std::chrono::seconds kSystemPatience{100};

struct Unit {
    std::string path, text;
    bool ours = false;      ///< written by `install`
    bool packaged = false;
};

/// The unit that the manager would take: its folders' order. Nothing: there is none.
std::optional<Unit> find_unit(const ServiceWorld& world)
{
    const auto look = [&](const std::string& folder, bool packaged) -> std::optional<Unit> {
        const std::string path = folder + "/" + kName;
        if (!platform::exists(path)) return std::nullopt;
        Unit unit{path, platform::read_file(path, kMaxUnit).value_or(""), false, packaged};
        unit.ours = !packaged && is_written_here(unit.text);
        return unit;
    };
    if (auto unit = look(world.unit_folder, false)) return unit;
    for (const std::string& folder : world.package_folders)
        if (auto unit = look(folder, true)) return unit;
    return std::nullopt;
}

std::string data_of(const ServiceRequest& request, const ServiceWorld& world, const std::optional<Unit>& unit)
{
    if (!request.data.empty()) return request.data;
    const std::string said = unit ? data_of_unit(unit->text) : std::string();
    return said.empty() ? world.usual_data : said;
}

std::string command_of(const ServiceRequest& request, std::string_view action)
{
    return fmt::format("millwright-agent service {}{}", action, request.scope == ServiceScope::user ? " --user" : "");
}

/// As a shell takes it.
std::string shell_word(const std::string& path)
{
    if (path.find_first_of(" \t'\"\\$`&|;<>()*?[]#~") == std::string::npos) return path;
    std::string out = "'";
    for (const char c : path) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return out + "'";
}

std::string how_to_enrol(const std::string& data)
{
    return fmt::format("`millwright agents invite` prints a code, then: millwright-agent enrol --data {} --factory URL --code-file -", shell_word(data));
}

/// Errors: what systemctl said.
Status control(const ServiceWorld& world, const std::vector<std::string>& words)
{
    auto done = world.systemctl(words);
    if (!done) return fail("systemctl " + words.front(), std::move(done.error()));
    if (done->ending.signal == 0 && done->ending.exit_code == 0) return {};
    std::string said = done->err.empty() ? done->out : done->err;
    while (!said.empty() && said.back() == '\n') said.pop_back();
    return fail(Errc::unavailable, fmt::format("systemctl {}: {}", words.front(), said.empty() ? "failed without a word" : said));
}

ServiceAnswer refuse(int status, std::string_view text) { return {status, fmt::format("millwright-agent: {}\n", text), true}; }

/// The agent's users have to reach the program that root starts. Empty: they do.
std::string closed_to_others(const std::string& program)
{
    namespace fs = std::filesystem;
    std::error_code error;
    const auto open = [&](const fs::path& path) { return (fs::status(path, error).permissions() & fs::perms::others_exec) != fs::perms::none; };
    if (!open(program)) return program;
    for (fs::path folder = fs::path(program).parent_path(); folder.has_relative_path(); folder = folder.parent_path())
        if (!open(folder)) return folder.string();
    return {};
}

std::string autostart_path(const ServiceWorld& world) { return world.autostart_folder + "/millwright-companion.desktop"; }

/// The companion with the person's desktop; what to say of it. Errors: why not.
Result<std::string> install_companion(const ServiceRequest& request, const ServiceWorld& world, const std::string& data, bool with_agent)
{
    if (request.scope != ServiceScope::user || world.companion.empty()) return "";
    const std::string path = autostart_path(world);
    const auto there = platform::read_file(path, kMaxUnit);
    if (there && !is_autostart_of_ours(*there)) return fmt::format("{} was not written by this command and stays as it is\n", path);
    const auto text = autostart_text({world.companion, data, request.config, with_agent});
    if (!text) return fail(text.error());
    if (!there || *there != *text) {
        if (auto made = platform::make_folder(world.autostart_folder); !made) return fail(std::move(made.error()));
        if (auto written = platform::write_file(path, *text, 0644); !written) return fail(std::move(written.error()));
    }
    return fmt::format("{} {}: {} starts with your desktop, when this agent is an attended one\n", path, there && *there == *text ? "is as it was" : "is written",
                       with_agent ? "the companion, and the agent with it," : "the companion");
}

/// Empty: there was none of ours.
std::string uninstall_companion(const ServiceRequest& request, const ServiceWorld& world)
{
    const auto there = request.scope == ServiceScope::user ? platform::read_file(autostart_path(world), kMaxUnit) : fail(Errc::not_found, "");
    std::error_code error;
    if (!there || !is_autostart_of_ours(*there) || !std::filesystem::remove(autostart_path(world), error)) return {};
    return fmt::format("{} is gone\n", autostart_path(world));
}

ServiceAnswer install(const ServiceRequest& request, const ServiceWorld& world)
{
    const bool user = request.scope == ServiceScope::user;
    const auto there = find_unit(world);
    if (there && there->packaged)
        return refuse(kCannot, fmt::format("{} belongs to an installed package, which makes the service; `{}` and `stop` act on it", there->path, command_of(request, "start")));
    if (there && !there->ours) return refuse(kCannot, fmt::format("{} was not written by this command; remove it first if it is to be replaced", there->path));
    const std::string data = data_of(request, world, there);
    const auto text = unit_text({request.scope, world.program, data, request.config});
    if (!text) return refuse(kCannot, text.error().what);
    if (!user) {
        if (const std::string closed = closed_to_others(world.program); !closed.empty())
            return refuse(kCannot, fmt::format("the agent runs as a user of its own, to whom {} is closed: put the programs into a folder that all may enter, such as "
                                               "/usr/local/bin, and install from there", closed));
        if (auto made = world.make_users(users_text()); !made)
            return refuse(kCannot, "the users millwright, millwright-broker and millwright-run could not be made: " + made.error().what);
    }
    const bool same = there && there->text == *text;
    const std::string path = world.unit_folder + "/" + kName;
    if (!same) {
        if (auto made = platform::make_folder(world.unit_folder); !made) return refuse(kCannot, made.error().what);
        if (auto written = platform::write_file(path, *text, 0644); !written) return refuse(kCannot, written.error().what);
    }
    for (const auto& words : {std::vector<std::string>{"daemon-reload"}, std::vector<std::string>{"enable", kName}})
        if (auto done = control(world, words); !done) return refuse(kCannot, done.error().what);
    ServiceAnswer answer;
    answer.text = fmt::format("{} {}; it is enabled\n", path, same ? "is as it was" : "is written");
    if (there && !same) answer.text += "what runs goes on as it was started; stop and start it to take the new unit over\n";
    const auto enrolled = enrolled_factories(data);
    if (enrolled && enrolled->empty()) answer.text += fmt::format("next: {}\n", how_to_enrol(data));
    answer.text += fmt::format("{}: {}\n", enrolled && enrolled->empty() ? "then" : "next", command_of(request, "start"));
    const auto companion = install_companion(request, world, data, false);
    if (!companion) return refuse(kCannot, "the companion: " + companion.error().what);
    answer.text += *companion;
    if (user) answer.text += "it ends when you log out, unless an administrator says: loginctl enable-linger USER\n";
    return answer;
}

ServiceAnswer uninstall(const ServiceRequest& request, const ServiceWorld& world)
{
    const auto there = find_unit(world);
    const std::string companion = uninstall_companion(request, world);
    if (!there) return {0, companion + fmt::format("there is no {}/{}{}\n", world.unit_folder, kName, companion.empty() ? ": nothing to do" : ""), false};
    if (there->packaged) return refuse(kCannot, fmt::format("{} belongs to an installed package: apt remove millwright-agent", there->path));
    if (!there->ours) return refuse(kCannot, fmt::format("{} was not written by `{}`; remove it by hand", there->path, command_of(request, "install")));
    if (auto done = control(world, {"disable", "--now", kName}); !done) return refuse(kCannot, done.error().what);
    std::error_code error;
    if (!std::filesystem::remove(there->path, error) && error) return refuse(kCannot, fmt::format("{}: {}", there->path, error.message()));
    if (auto done = control(world, {"daemon-reload"}); !done) return refuse(kCannot, done.error().what);
    return {0, companion + fmt::format("{} is gone; the data folder {} stays{}\n", there->path, data_of(request, world, there),
                           request.scope == ServiceScope::system ? ", and so do the users" : ""), false};
}

ServiceAnswer start_or_stop(const ServiceRequest& request, const ServiceWorld& world)
{
    const bool start = request.action == Action::start;
    const auto there = find_unit(world);
    if (!there) return refuse(kCannot, fmt::format("there is no {}: {}", kName, command_of(request, "install")));
    const std::string data = data_of(request, world, there);
    const auto enrolled = enrolled_factories(data);
    if (start && enrolled && enrolled->empty()) return refuse(kCannot, fmt::format("{} is not enrolled at a factory: {}", data, how_to_enrol(data)));
    if (auto done = control(world, {start ? "start" : "stop", kName}); !done) return refuse(kCannot, done.error().what);
    return {0, start ? "started\n" : "stopped\n", false};
}

std::map<std::string, std::string> properties(std::string_view text)
{
    std::map<std::string, std::string> out;
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        const std::string_view line = text.substr(0, end);
        if (const std::size_t equals = line.find('='); equals != std::string_view::npos) out.emplace(line.substr(0, equals), line.substr(equals + 1));
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return out;
}

/// [{name, environment, factory}]; null: this user may not look.
Json enrolments(const std::string& data)
{
    // A folder that one may not enter looks like one that is not there.
    if (auto may = platform::may_read(data); !may && may.error().code == Errc::denied) return Json();
    const auto ids = enrolled_factories(data);
    if (!ids) return Json();
    Json out = Json::array();
    for (const std::string& id : *ids) {
        // Not load_identity: root looks at files of the user millwright here, and needs no key.
        Json one = Json::object({{"factoryId", id}});
        const auto text = platform::read_file(fmt::format("{}/factories/{}/agent.json", data, id), kMaxUnit);
        const auto agent = text ? parse_json(*text) : Result<Json>(fail(Errc::not_found, ""));
        if (agent && agent->is_object())
            one.set("name", (*agent)["name"]).set("environment", (*agent)["environment"]).set("factory", (*agent)["factoryUrl"]);
        out.push(std::move(one));
    }
    return out;
}

std::string enrolled_words(const Json& enrolled, const std::string& data)
{
    if (enrolled.is_null()) return "not to be seen by this user";
    std::string out;
    for (const Json& one : enrolled.as_array())
        out += (out.empty() ? "" : "; ") + (one["name"].as_string().empty() ? "at " + one["factoryId"].as_string()
                                            : fmt::format("as {} in environment {} of {}", one["name"].as_string(), one["environment"].as_string(), one["factory"].as_string()));
    return out.empty() ? "no: " + how_to_enrol(data) : out;
}

ServiceAnswer show_status(const ServiceRequest& request, const ServiceWorld& world)
{
    auto shown = world.systemctl({"show", "--property=LoadState,ActiveState,SubState,ActiveEnterTimestamp,MainPID,UnitFileState,StatusText,FragmentPath", kName});
    if (!shown) return refuse(kNoUnit, "systemctl show: " + shown.error().what);
    if (shown->ending.exit_code != 0 || shown->ending.signal != 0) return refuse(kNoUnit, "systemctl show: " + shown->err);
    auto found = properties(shown->out);
    const bool installed = found["LoadState"] != "not-found" && !found["LoadState"].empty(), active = found["ActiveState"] == "active";
    const std::string& path = found["FragmentPath"];
    std::optional<Unit> unit;
    if (!path.empty()) unit = Unit{path, platform::read_file(path, kMaxUnit).value_or(""), false, false};
    const std::string data = data_of(request, world, unit);
    const std::string pid = found["MainPID"] == "0" ? std::string() : found["MainPID"];
    const Json enrolled = enrolments(data);
    ServiceAnswer answer{!installed ? kNoUnit : active ? 0 : kInactive, {}, false};
    if (request.json) {
        Json out = Json::object({{"installed", installed}, {"active", active}, {"state", found["ActiveState"]}, {"data", data}, {"enrolled", enrolled}});
        if (installed) out.set("unit", path).set("enabled", found["UnitFileState"] == "enabled");
        if (active) out.set("since", found["ActiveEnterTimestamp"]).set("status", found["StatusText"]);
        if (!pid.empty()) out.set("pid", static_cast<std::int64_t>(std::strtoll(pid.c_str(), nullptr, 10)));
        answer.text = dump_json(out) + "\n";
        return answer;
    }
    if (!installed) {
        answer.text = fmt::format("millwright-agent: no service is installed; {}\n", command_of(request, "install"));
        return answer;
    }
    answer.text = fmt::format("millwright-agent: {}{}{}{}\n", found["ActiveState"],
                              found["SubState"] == "running" || found["SubState"] == "dead" ? "" : " (" + found["SubState"] + ")",
                              active ? " since " + found["ActiveEnterTimestamp"] : "", pid.empty() ? "" : ", process " + pid);
    if (active && !found["StatusText"].empty()) answer.text += fmt::format("  says      {}\n", found["StatusText"]);
    answer.text += fmt::format("  unit      {} ({})\n  data      {}\n  enrolled  {}\n", path, found["UnitFileState"].empty() ? "not enabled" : found["UnitFileState"],
                               data, enrolled_words(enrolled, data));
    return answer;
}

ServiceAnswer check(const ServiceRequest& request, const ServiceWorld& world)
{
    const std::string data = data_of(request, world, std::nullopt);
    const auto enrolled = enrolled_factories(data);
    if (!enrolled || !enrolled->empty()) return {0, {}, false};  // what is wrong with it the agent says itself
    return refuse(kNotEnrolled, fmt::format("this machine is not enrolled at a factory, so the agent is not started. {}; then: {}", how_to_enrol(data),
                                            command_of(request, "start")));
}

}  // namespace

std::string how_to_run(const std::string& data)
{
    std::error_code error;
    const std::string whole = std::filesystem::absolute(data, error).lexically_normal().string();
    for (const ServiceScope scope : {ServiceScope::system, ServiceScope::user})
        if (const auto unit = find_unit(service_world(scope)); unit && data_of_unit(unit->text) == whole)
            return fmt::format("{}millwright-agent service start{}", scope == ServiceScope::system && !platform::is_root() ? "sudo " : "",
                               scope == ServiceScope::user ? " --user" : "");
    return "millwright-agent run --data " + shell_word(data);
}

ServiceWorld service_world(ServiceScope scope)
{
    ServiceWorld world;
    const bool user = scope == ServiceScope::user;
    const auto variable = [](const char* name) {
        const char* value = std::getenv(name);
        return std::string(value == nullptr ? "" : value);
    };
    const std::string home = platform::home_folder(), config = variable("XDG_CONFIG_HOME"), share = variable("XDG_DATA_HOME"), runtime = variable("XDG_RUNTIME_DIR");
    world.root = platform::is_root();
    world.program = platform::sibling_program("millwright-agent");
    if (user) {
        world.unit_folder = (config.empty() ? home + "/.config" : config) + "/systemd/user";
        world.package_folders = {"/usr/local/lib/systemd/user", "/usr/lib/systemd/user"};
        world.autostart_folder = (config.empty() ? home + "/.config" : config) + "/autostart";
        if (const std::string companion = platform::sibling_program("millwright-companion"); platform::exists(companion)) world.companion = companion;
        world.usual_data = (share.empty() ? home + "/.local/share" : share) + "/millwright/agent";
        world.systemd = !runtime.empty() && platform::exists(runtime + "/systemd");
    } else {
        world.unit_folder = "/etc/systemd/system";
        world.package_folders = {"/usr/local/lib/systemd/system", "/lib/systemd/system", "/usr/lib/systemd/system"};
        world.usual_data = "/var/lib/millwright/agent";
        world.systemd = platform::exists("/run/systemd/system");
    }
    const auto run = [](std::initializer_list<const char*> places, std::vector<std::string> words, std::string_view input) -> Result<platform::Captured> {
        for (const char* place : places) {
            if (!platform::exists(place)) continue;
            platform::ProcessSpec spec;
            spec.program = place;
            spec.arguments = std::move(words);
            spec.environment = platform::environment_for_children();
            spec.environment["LC_ALL"] = "C";
            return platform::run_process(spec, input, kMaxOutput, kSystemPatience);
        }
        return fail(Errc::not_found, fmt::format("there is no {}", *places.begin()));
    };
    world.systemctl = [run, user](const std::vector<std::string>& words) {
        std::vector<std::string> all{"--no-pager", "--quiet"};
        if (user) all.emplace_back("--user");
        all.insert(all.end(), words.begin(), words.end());
        return run({"/usr/bin/systemctl", "/bin/systemctl"}, std::move(all), {});
    };
    world.make_users = [run](const std::string& users) -> Status {
        auto done = run({"/usr/bin/systemd-sysusers", "/bin/systemd-sysusers"}, {"-"}, users);
        if (!done) return fail(std::move(done.error()));
        if (done->ending.signal != 0 || done->ending.exit_code != 0) return fail(Errc::unavailable, done->err.empty() ? "systemd-sysusers failed" : done->err);
        return {};
    };
    return world;
}

ServiceAnswer run_service(const ServiceRequest& request, const ServiceWorld& world)
{
    const bool user = request.scope == ServiceScope::user;
    if (request.action == Action::check) return check(request, world);
    if (!world.systemd && user && request.action == Action::install && !world.companion.empty()) {
        const std::string data = data_of(request, world, std::nullopt);
        const auto done = install_companion(request, world, data, true);
        return done ? ServiceAnswer{0, *done + "you have no systemd of your own here (systemctl --user), so the agent runs as long as your desktop's session\n", false}
                    : refuse(kCannot, "the companion: " + done.error().what);
    }
    if (!world.systemd && request.action == Action::uninstall)
        if (const std::string gone = uninstall_companion(request, world); !gone.empty()) return {0, gone, false};
    if (!world.systemd)
        return refuse(request.action == Action::status ? kNoUnit : kCannot,
                      user ? "you have no systemd of your own here (systemctl --user); log in on the machine itself, or: millwright-agent run --data DIR"
                           : "systemd does not run here; have what does start: millwright-agent run --data DIR");
    if (request.action == Action::status) return show_status(request, world);
    if (!user && !world.root) return refuse(kNotAllowed, "the machine's services are root's: use sudo, or say --user for a service of your own");
    switch (request.action) {
    case Action::install: return install(request, world);
    case Action::uninstall: return uninstall(request, world);
    default: return start_or_stop(request, world);
    }
}

int service_command(const ServiceRequest& request)
{
    const ServiceAnswer answer = run_service(request, service_world(request.scope));
    std::fputs(answer.text.c_str(), answer.refused ? stderr : stdout);
    return answer.status;
}

}  // namespace mill::agent
