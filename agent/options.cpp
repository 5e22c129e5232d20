#include "agent/options.h"

#include <filesystem>
#include <map>
#include <set>

#include "agent/door.h"


namespace mill::agent {
namespace {

using Values = std::map<std::string, std::string, std::less<>>;

/// `--key value` and `--key=value`; a flag of `flags` has no value.
Result<Values> read_values(const std::vector<std::string>& arguments, const std::set<std::string, std::less<>>& keys,
                           const std::set<std::string, std::less<>>& flags)
{
    Values values;
    for (std::size_t i = 1; i < arguments.size(); ++i) {
        std::string key = arguments[i], value;
        const bool flag = flags.contains(key);
        if (const std::size_t equals = key.find('='); key.starts_with("--") && equals != std::string::npos) {
            value = key.substr(equals + 1);
            key.resize(equals);
        } else if (!flag && keys.contains(key)) {
            if (i + 1 == arguments.size()) return fail(Errc::invalid, key + " needs a value");
            value = arguments[++i];
        }
        if (!keys.contains(key) && !flag) return fail(Errc::invalid, "unknown option '" + key.substr(0, 100) + "' of " + arguments[0]);
        if (!values.emplace(key, value).second) return fail(Errc::invalid, key + " is said twice");
    }
    return values;
}

std::string get(const Values& values, std::string_view key)
{
    const auto found = values.find(key);
    return found == values.end() ? std::string() : found->second;
}

/// The agent runs in another folder than the one that a path was typed in.
std::string absolute(const std::string& path)
{
    std::error_code error;
    const auto whole = std::filesystem::absolute(path, error);
    return path.empty() || error ? path : whole.lexically_normal().string();
}

Result<Options> enrol_options(const std::vector<std::string>& arguments)
{
    auto values = read_values(arguments, {"--data", "--config", "--factory", "--code", "--code-file", "--name", "--mode", "--environment", "--socket"}, {"--insecure", "--through-machine"});
    if (!values) return fail(std::move(values.error()));
    Options out;
    out.command = Options::Command::enrol;
    out.enrol.data_folder = get(*values, "--data");
    out.enrol.config_path = get(*values, "--config");
    out.enrol.factory = get(*values, "--factory");
    out.enrol.code = get(*values, "--code");
    out.enrol.name = get(*values, "--name");
    out.enrol.insecure = values->contains("--insecure");
    out.code_file = get(*values, "--code-file");
    if (out.enrol.data_folder.empty()) return fail(Errc::invalid, "enrol needs --data DIR");
    if (values->contains("--through-machine")) {
        for (const char* other : {"--code", "--code-file", "--name", "--mode", "--environment", "--insecure"})
            if (values->contains(other)) return fail(Errc::invalid, std::string(other) + ": with --through-machine the machine's agent and the factory say that");
        out.enrol.through = values->contains("--socket") ? absolute(get(*values, "--socket")) : std::string(kDoorSocket);
        out.enrol.mode = protocol::AgentMode::attended;
        return out;
    }
    if (values->contains("--socket")) return fail(Errc::invalid, "--socket is for --through-machine");
    if (out.enrol.factory.empty()) return fail(Errc::invalid, "enrol needs --factory URL");
    out.enrol.environment = get(*values, "--environment");
    if (!out.enrol.code.empty() && !out.code_file.empty()) return fail(Errc::invalid, "enrol takes --code CODE or --code-file FILE ('-': standard input), not both");
    if (!out.enrol.environment.empty() && values->contains("--code")) return fail(Errc::invalid, "--environment: with a code the invitation says which environment");
    if (!out.enrol.environment.empty() && values->contains("--code-file")) return fail(Errc::invalid, "--environment: with a code the invitation says which environment");
    if (values->contains("--code") && out.enrol.code.empty()) return fail(Errc::invalid, "--code is empty; without a code leave it out, and an administrator admits this machine");
    if (values->contains("--mode")) {
        const auto mode = protocol::parse_mode(get(*values, "--mode"));
        if (!mode) return fail(Errc::invalid, "--mode is 'unattended' or 'attended'");
        out.enrol.mode = *mode;
    }
    return out;
}

/// What is asked of the agent that runs already.
Result<Options> control_options(const std::vector<std::string>& arguments)
{
    const std::string& verb = arguments.front();
    std::set<std::string, std::less<>> keys{"--data"}, flags{"--json"};
    if (verb != "status") flags.insert("--no-wait");
    if (verb == "pause" || verb == "drain") keys.insert({"--why", "--until", "--for"});
    if (verb == "stop") keys.insert({"--why", "--after", "--within"});
    auto values = read_values(arguments, keys, flags);
    if (!values) return fail(std::move(values.error()));
    Options out;
    out.command = Options::Command::control;
    out.control = {verb, absolute(get(*values, "--data")), get(*values, "--why"), get(*values, "--until"), get(*values, "--for"), get(*values, "--after"),
                   get(*values, "--within"), values->contains("--json"), values->contains("--no-wait")};
    if (out.control.data_folder.empty()) return fail(Errc::invalid, verb + " needs --data DIR, the agent's folder");
    return out;
}

Result<Options> service_options(const std::vector<std::string>& arguments)
{
    using Action = ServiceRequest::Action;
    static const std::map<std::string, Action, std::less<>> kActions{{"install", Action::install}, {"uninstall", Action::uninstall}, {"start", Action::start},
                                                                     {"stop", Action::stop}, {"status", Action::status}, {"check", Action::check}};
    const auto action = arguments.size() < 2 ? kActions.end() : kActions.find(arguments[1]);
    if (action == kActions.end()) return fail(Errc::invalid, "service is followed by install, uninstall, start, stop or status");
    const bool install = action->second == Action::install;
    auto values = read_values({arguments.begin() + 1, arguments.end()}, install ? std::set<std::string, std::less<>>{"--data", "--config"} : std::set<std::string, std::less<>>{"--data"},
                              {"--user", "--json"});
    if (!values) return fail(std::move(values.error()));
    Options out;
    out.command = Options::Command::service;
    out.service.action = action->second;
    out.service.scope = values->contains("--user") ? ServiceScope::user : ServiceScope::system;
    out.service.data = absolute(get(*values, "--data"));
    out.service.config = absolute(get(*values, "--config"));
    out.service.json = values->contains("--json");
    return out;
}

/// The faces for the person beside an attended agent.
Result<Options> attend_options(const std::vector<std::string>& arguments)
{
    auto values = read_values(arguments, {"--data"}, {"--json"});
    if (!values) return fail(std::move(values.error()));
    Options out;
    out.command = Options::Command::attend;
    out.attend = {absolute(get(*values, "--data")), values->contains("--json")};
    if (out.attend.data_folder.empty()) return fail(Errc::invalid, "attend needs --data DIR, the agent's folder");
    return out;
}

Result<Options> open_options(std::vector<std::string> arguments)
{
    Options out;
    out.command = Options::Command::open;
    if (arguments.size() > 1 && !arguments[1].starts_with("-")) {
        out.open.what = arguments[1];
        arguments.erase(arguments.begin() + 1);
        static const std::set<std::string, std::less<>> kPages{"launcher", "launch", "question", "consent", "history", "job"};
        if (!kPages.contains(out.open.what)) return fail(Errc::invalid, "open is followed by launcher, launch, question, consent, history or job");
        if (arguments.size() > 1 && !arguments[1].starts_with("-")) {
            out.open.id = arguments[1];
            arguments.erase(arguments.begin() + 1);
        }
    }
    auto values = read_values(arguments, {"--data"}, {"--print"});
    if (!values) return fail(std::move(values.error()));
    out.open.data_folder = absolute(get(*values, "--data"));
    out.open.print = values->contains("--print");
    if (out.open.data_folder.empty()) return fail(Errc::invalid, "open needs --data DIR, the agent's folder");
    return out;
}

}  // namespace

Result<Options> parse_options(const std::vector<std::string>& arguments)
{
    Options out;
    if (arguments.empty()) return fail(Errc::invalid, "say what to do: enrol or run");
    const std::string& verb = arguments.front();
    for (const std::string& argument : arguments)
        if (argument == "--help" || argument == "-h" || verb == "help") return out;
    if (verb == "--version" || verb == "version") {
        out.command = Options::Command::version;
        return out;
    }
    if (verb == "enrol" || verb == "enroll" || verb == "register") return enrol_options(arguments);
    if (verb == "run" || verb == "serve") {
        auto values = read_values(arguments, {"--data", "--config"}, {});
        if (!values) return fail(std::move(values.error()));
        out.command = verb == "run" ? Options::Command::run : Options::Command::serve;
        out.serve.data_folder = absolute(get(*values, "--data"));
        out.serve.config_path = absolute(get(*values, "--config"));
        if (out.serve.data_folder.empty()) return fail(Errc::invalid, verb + " needs --data DIR");
        return out;
    }
    if (verb == "rotate") {
        auto values = read_values(arguments, {"--data", "--config"}, {});
        if (!values) return fail(std::move(values.error()));
        out.command = Options::Command::rotate;
        out.serve.data_folder = absolute(get(*values, "--data"));
        out.serve.config_path = absolute(get(*values, "--config"));
        if (out.serve.data_folder.empty()) return fail(Errc::invalid, "rotate needs --data DIR, the agent's folder");
        return out;
    }
    if (verb == "seal") {
        auto values = read_values(arguments, {"--data"}, {"--undo"});
        if (!values) return fail(std::move(values.error()));
        out.command = Options::Command::seal;
        out.check = values->contains("--undo");
        out.serve.data_folder = absolute(get(*values, "--data"));
        if (out.serve.data_folder.empty()) return fail(Errc::invalid, "seal needs --data DIR, the agent's folder");
        return out;
    }
    if (verb == "once") {
        auto values = read_values(arguments, {"--request"}, {});
        if (!values) return fail(std::move(values.error()));
        out.command = Options::Command::once;
        out.request = get(*values, "--request");
        if (out.request.empty()) return fail(Errc::invalid, "once needs --request FILE");
        return out;
    }
    if (verb == "policy") {
        if (arguments.size() < 3 || arguments[1] != "test" || arguments[2].starts_with("--"))
            return fail(Errc::invalid, "policy is followed by 'test FILE --data DIR'; '-' is standard input");
        auto values = read_values({arguments.begin() + 2, arguments.end()}, {"--data", "--signature"}, {"--json"});
        if (!values) return fail(std::move(values.error()));
        out.command = Options::Command::policy_test;
        out.document = arguments[2];
        out.signatures = get(*values, "--signature");
        out.json = values->contains("--json");
        out.serve.data_folder = get(*values, "--data");
        if (out.serve.data_folder.empty()) return fail(Errc::invalid, "policy test needs --data DIR, the agent's folder");
        return out;
    }
    for (const char* control : {"status", "reload", "renew", "pause", "resume", "drain", "stop"})
        if (verb == control) return control_options(arguments);
    if (verb == "credentials") {
        if (arguments.size() < 2 || (arguments[1] != "list" && arguments[1] != "check"))
            return fail(Errc::invalid, "credentials is followed by 'list --data DIR' or 'check --data DIR'; values are never shown");
        auto values = read_values({arguments.begin() + 1, arguments.end()}, {"--data"}, {"--json"});
        if (!values) return fail(std::move(values.error()));
        out.command = Options::Command::credentials;
        out.check = arguments[1] == "check";
        out.json = values->contains("--json");
        out.serve.data_folder = absolute(get(*values, "--data"));
        if (out.serve.data_folder.empty()) return fail(Errc::invalid, "credentials " + arguments[1] + " needs --data DIR, the agent's folder");
        return out;
    }
    if (verb == "doctor") {
        auto values = read_values(arguments, {"--data", "--config", "--factory"}, {"--json"});
        if (!values) return fail(std::move(values.error()));
        out.command = Options::Command::doctor;
        out.doctor = {absolute(get(*values, "--data")), absolute(get(*values, "--config")), values->contains("--json"), get(*values, "--factory")};
        if (out.doctor.data_folder.empty()) return fail(Errc::invalid, "doctor needs --data DIR, the agent's folder");
        return out;
    }
    if (verb == "service") return service_options(arguments);
    if (verb == "attend") return attend_options(arguments);
    if (verb == "open") return open_options(arguments);
    return fail(Errc::invalid, "unknown command '" + verb.substr(0, 100) + "'; there are enrol, run, rotate, seal, status, pause, resume, drain, stop, reload, renew, policy test, credentials list, credentials check, doctor, service, attend and open");
}

std::string help_text()
{
    return R"(millwright-agent runs a factory's jobs on this machine.

  millwright-agent enrol --data DIR --factory URL [--code CODE|--code-file FILE] [--environment NAME]
                         [--name NAME] [--mode unattended|attended] [--config FILE] [--insecure]
      Makes a key on this machine and swaps a one-use code (millwright agents invite) for an identity. Without a code it
      shows a short one and waits up to 15 minutes for an administrator to admit it (millwright agents admit CODE).
      --through-machine [--socket PATH] [--factory URL] instead: a person's own agent joins without a code. The agent of
      the machine (a service) says who the person is, if an administrator allows that (millwright agents set MACHINE --sessions on).
      A folder whose agent was revoked or deleted, or whose key was copied, is enrolled again in place. Another factory's URL
      adds that factory: one agent may serve several.
      --mode          attended: beside a person (docs/attended.md). Without it as the invitation says (millwright agents invite
                      --mode attended), else unattended; another one than it says is refused
      --code-file -   reads the code from standard input, so that it is in no process list
      --insecure      plain text to a factory on another machine
  millwright-agent run --data DIR [--config FILE]
      Runs until SIGTERM; prints 'ready' when it is subscribed.
  millwright-agent status --data DIR [--json]
      What the running agent is up to: factory, slots, jobs, reports that wait, each loop, and what is wrong; 1 when something is.
  millwright-agent pause|drain --data DIR [--for 2h | --until TIME] [--why TEXT]
      No new jobs, also after a restart; what runs goes on, and `millwright why` says who, why and until when. `drain` waits until nothing runs.
  millwright-agent resume --data DIR
  millwright-agent stop --data DIR [--after job|now] [--within 5m] [--why TEXT]
      Ends the agent: `--after job` lets what runs finish, at most so long; else it is cancelled. What waits
      for a person is left either way, and goes on at the next start.
  millwright-agent reload --data DIR
      Reads config.yaml and policy.yaml anew; when they are wrong, says why and changes nothing. Jobs go on. (SIGHUP does the same.)
  millwright-agent renew --data DIR
      After an upgrade: the new programs take over; jobs go on. The keeper follows as soon as nothing runs.
  millwright-agent rotate --data DIR [--config FILE]
      Another key for a stopped agent, here and at the factory. A running one does it by itself: keyMaxAge: 90d in config.yaml.
  millwright-agent seal --data DIR [--undo]
      As root: the key's file is replaced by one that only this machine's root opens (systemd-creds), in DIR.sealed: a copy of the
      disk's files is of no use elsewhere. The service hands the key to the agent; a rotated one is sealed again.
  millwright-agent policy test FILE --data DIR [--signature FILE.mwp.sig] [--json]
      Says item by item what policy.yaml would admit of a package.yaml or a Deployment ('-': standard input), with --signature
      as it was signed; 77 when something is withheld.
  millwright-agent credentials list|check --data DIR [--json]
      The credentials that this machine holds itself (held: machine), never their values; `check` reads each one and
      says what is wrong and what to type; 78 when something is.
  millwright-agent doctor --data DIR [--config FILE] [--factory ID] [--json]
      Looks at this machine, the folder and the way to the factory (name, proxy, certificate, clock, key, sandbox, disk, …) and says what to
      mend and how; 1 when something is wrong. Changes nothing; the agent may run meanwhile. --factory: of those that it is enrolled at, this one alone.
  millwright-agent service install|uninstall|start|stop|status [--user] [--data DIR] [--config FILE] [--json]
      The agent as a service of systemd. install writes and enables a unit for these programs (not needed, and refused, where the
      package did); --user is for a service of your own, without root. status ends with 0 running, 3 not, 4 not installed.
      --data DIR      the agent's folder (/var/lib/millwright/agent; with --user ~/.local/share/millwright/agent)
      --config FILE   install: settings instead of DIR/config.yaml
      With --user an attended agent's companion starts with the desktop, too; where there is no systemd of your own, it starts the agent.
  millwright-agent attend --data DIR [--json]
      For the person beside an attended agent, in a terminal, also over ssh: what runs here and for whom, what waits for an answer, what can be
      started; numbers choose, s stops everything. --json: all of it as one document, and nothing is asked.
  millwright-agent open [launcher|history] --data DIR [--print]
  millwright-agent open launch|question|consent|job ID --data DIR [--print]
      The same as a page in the browser, served by the companion on this machine alone. --print: the link, good once and for a minute.
  millwright-agent --version

Files in DIR: policy.yaml (what this machine accepts), config.yaml (slots, warm, proxy, caFile, clientCertificate, clientKey,
subscribe, pollInterval, keyMaxAge, quotas, stop, log, metrics, sessions, stopKey),
control (its socket: HTTP, /status, /healthz, /metrics), paused.json,
credentials/NAME.yaml (the values of a credential that this machine holds; mode 600).

Examples
  millwright-agent credentials check --data /var/lib/millwright/agent
  millwright agents invite --approve --for 10m | millwright-agent enrol --data ~/agent --factory http://127.0.0.1:7460 --code-file -
  millwright-agent enrol --data ~/agent --factory http://127.0.0.1:7460
  millwright-agent run --data ~/agent
  millwright-agent policy test reports/package.yaml --data ~/agent
  millwright-agent service install --user && millwright-agent service status --user
  millwright-agent attend --data ~/.local/share/millwright/agent

Exit status: 0 stopped or done, 1 a bug (status: something is wrong), 2 try again, 3 no agent runs there, 64 usage, 77 withheld, 78 bad configuration.
)";
}

}  // namespace mill::agent
