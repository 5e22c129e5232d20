// What a `run: shell` or `run: script` means as programs and arguments.
#include <optional>

#include <fmt/core.h>

#include "agent/runner/commands.h"
#include "platform/base/fields.h"
#include "platform/folder.h"

namespace mill::runner {
namespace {

constexpr std::size_t kMaxCommand = 64 * 1024;

std::string scalar(const Json& value) { return value.is_string() ? value.as_string() : dump_json(value); }

/// The words of a command that means the same without a shell: plain words, and quotes around plain text. Nothing otherwise.
std::optional<std::vector<std::string>> plain_words(std::string_view command)
{
    std::vector<std::string> words;
    bool open = false;
    for (std::size_t at = 0; at < command.size(); ++at) {
        const char c = command[at];
        if (c == ' ' || c == '\t') {
            open = false;
            continue;
        }
        if (std::string_view("|&;<>()$`\\*?[]#~!{}\n\r").find(c) != std::string_view::npos) return std::nullopt;
        if (!open) words.emplace_back();
        open = true;
        if (c == '\'' || c == '"') {
            const std::size_t end = command.find(c, at + 1);
            if (end == std::string_view::npos) return std::nullopt;
            const std::string_view quoted = command.substr(at + 1, end - at - 1);
            if (c == '"' && quoted.find_first_of("$`\\!") != std::string_view::npos) return std::nullopt;
            words.back() += quoted;
            at = end;
        } else {
            words.back() += c;
        }
    }
    if (words.empty() || words.front().empty() || words.front().find('=') != std::string::npos) return std::nullopt;
    return words;
}

/// A list as it stands; of a map `key` or `key=value`.
std::vector<std::string> read_arguments(Fields& fields)
{
    std::vector<std::string> out;
    if (!fields.has("arguments")) return out;
    const Json given = fields.any("arguments", Json());
    for (const Json& item : given.as_array()) out.push_back(scalar(item));
    for (const auto& [key, value] : given.as_object()) out.push_back(value.is_null() ? key : key + "=" + scalar(value));
    if (!given.is_null() && !given.is_array() && !given.is_object()) fields.mistake("arguments", "is neither a list nor a map");
    for (const std::string& item : out)
        if (item.find('\0') != std::string::npos) fields.mistake("arguments", "holds a zero byte");
    return out;
}

void read_common(Fields& fields, CommandRequest& request)
{
    const Json environment = fields.object("environment", Json::object());
    for (const auto& [name, value] : environment.as_object()) {
        const std::string text = scalar(value);
        if (name.empty() || name.find('=') != std::string::npos || name.find('\0') != std::string::npos || text.find('\0') != std::string::npos)
            fields.mistake("environment", "holds a name or value that no environment can hold");
        request.environment[name] = text;
    }
    request.input = fields.text("stdin", "");
    request.returns = fields.one_of("return", {"stdout", "stderr", "code", "all", "none"}, "stdout");
    fields.boolean("await", true);
    (void)fields.any("reveal", Json());  // secrets_of_command has read it
}

/// True when the command says itself where its arguments go ($1, ${2}, $@, $*, $#), or is a script of several lines. What stands
/// in single quotes is not the shell's: awk '{print $1}'.
bool places_arguments(std::string_view command)
{
    if (command.find('\n') != std::string_view::npos) return true;
    bool single = false, twice = false;
    for (std::size_t at = 0; at < command.size(); ++at) {
        const char c = command[at];
        if (c == '\'' && !twice) single = !single;
        else if (single) continue;
        else if (c == '"') twice = !twice;
        else if (c == '\\') ++at;
        else if (c == '$') {
            const std::size_t name = at + (command.substr(at + 1).starts_with('{') ? 2 : 1);
            if (name < command.size() && std::string_view("123456789@*#").find(command[name]) != std::string_view::npos) return true;
        }
    }
    return false;
}

tl::unexpected<workflows::Fault> wrong(const Error& error) { return tl::unexpected(fault("validation", 400, "Bad command", error.what)); }

}  // namespace

Outcome<CommandRequest> plan_shell(const Json& with)
{
    Fields fields(with, "shell");
    const std::string command = fields.text("command");
    CommandRequest request;
    const std::vector<std::string> arguments = read_arguments(fields);
    read_common(fields, request);
    if (command.empty() || command.find('\0') != std::string::npos || command.size() > kMaxCommand)
        fields.mistake("command", fmt::format("is empty, longer than {} bytes or holds a zero byte", kMaxCommand));
    if (auto ok = fields.done(); !ok) return wrong(ok.error());
    if (auto words = plain_words(command)) {
        CommandPlan direct{words->front(), {words->begin() + 1, words->end()}};
        direct.arguments.insert(direct.arguments.end(), arguments.begin(), arguments.end());
        request.plans.push_back(std::move(direct));
    }
    std::string_view line = command;
    while (line.ends_with('\n') || line.ends_with(' ')) line.remove_suffix(1);
    CommandPlan shell{"sh", {"-c", arguments.empty() || places_arguments(line) ? command : fmt::format("{} \"$@\"", line), "sh"}};
    shell.arguments.insert(shell.arguments.end(), arguments.begin(), arguments.end());
    request.plans.push_back(std::move(shell));
    return request;
}

Outcome<CommandRequest> plan_script(const Json& with, const std::string& workspace, std::uint64_t number)
{
    Fields fields(with, "script");
    const std::string language = fields.one_of("language", {"js", "javascript", "python", "sh"});
    const std::string code = fields.text("code");
    CommandRequest request;
    const Json given = fields.has("arguments") ? with["arguments"] : Json();
    const std::vector<std::string> arguments = read_arguments(fields);
    read_common(fields, request);
    if (auto ok = fields.done(); !ok) return wrong(ok.error());

    auto folder = platform::Folder::open(workspace);
    if (!folder) return tl::unexpected(fault("runtime", 500, "Script not written", folder.error().what));
    const bool js = language == "js" || language == "javascript", python = language == "python";
    const std::string name = fmt::format("script-{}.{}", number, js ? "js" : python ? "py" : "sh");
    const std::string path = fmt::format("{}/{}", workspace, name);
    auto written = folder->write(name, code, platform::WriteMode::replace);
    // A map of arguments becomes global variables of the script, whose own lines keep their numbers.
    const bool variables = given.is_object() && !given.empty() && (js || python);
    if (written && variables) written = folder->write(name + ".json", dump_json(given), platform::WriteMode::replace);
    if (!written) return tl::unexpected(fault("runtime", 500, "Script not written", written.error().what));

    CommandPlan plan{js ? "node" : python ? "python3" : "sh", {path}};
    if (variables && python)
        plan.arguments = {"-c",
                          "import json, sys\nwith open(sys.argv[1] + '.json') as f: g = dict(json.load(f), __name__='__main__')\n"
                          "with open(sys.argv[1]) as f: c = compile(f.read(), sys.argv[1], 'exec')\nexec(c, g)", path};
    else if (variables)
        plan.arguments = {"-e", "Object.assign(globalThis, require(process.argv[1] + '.json')); require(process.argv[1])", path};
    else
        plan.arguments.insert(plan.arguments.end(), arguments.begin(), arguments.end());
    request.plans.push_back(std::move(plan));
    return request;
}

}  // namespace mill::runner
