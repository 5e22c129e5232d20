// millwright: the person's command line. Options of all commands come from their tables; CLI11 reads them.
#include <cstdlib>
#include <iostream>
#include <set>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "cli/command.h"
#include "cli/suggest.h"
#include "platform/service_host.h"
#include "platform/terminal.h"
#include "protocol/version.h"

namespace {

using namespace mill;
using namespace mill::cli;

struct Globals {
    SettingsInput settings;
    bool json = false;
    std::string colour = "auto";
};

std::string from_environment(const char* name)
{
    const char* value = std::getenv(name);
    return value == nullptr ? std::string() : std::string(value);
}

struct Bound {
    const Command* command = nullptr;
    CLI::App* app = nullptr;
    std::map<std::string, std::vector<std::string>> values;
    std::map<std::string, CLI::Option*> options;
};

std::string footer(const Command& command)
{
    std::string out;
    std::string_view rest = command.examples;
    while (!rest.empty()) {
        const auto end = rest.find('\n');
        out += fmt::format("  {}\n", rest.substr(0, end));
        rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    }
    if (!out.empty()) out = "Examples:\n" + out;
    return command.notes.empty() ? out : fmt::format("{}\n{}", out, command.notes);
}

void bind(Bound& bound)
{
    for (const mill::cli::Option& option : bound.command->options) {
        const std::string key = key_of(option.name);
        CLI::Option* added = nullptr;
        if (option.value.empty() && option.name.starts_with('-')) {
            added = bound.app->add_flag(option.name, option.help);
        } else {
            added = bound.app->add_option(option.name, bound.values[key], option.help);
            added->expected(1, option.many ? CLI::detail::expected_max_vector_size : 1);
            added->allow_extra_args(option.many && !option.name.starts_with('-'));
            if (!option.value.empty()) added->type_name(option.value);
            else added->type_name("");
        }
        if (option.required) added->required();
        bound.options[key] = added;
    }
}

Arguments arguments_of(const Bound& bound)
{
    Arguments out;
    for (const auto& [key, option] : bound.options) {
        if (option->count() == 0) continue;
        const auto values = bound.values.find(key);
        out.set(key, values == bound.values.end() ? std::vector<std::string>{} : values->second);
    }
    return out;
}

int run_command(const Bound& bound, const Globals& globals)
{
    platform::ServiceHost host;
    const bool plain = globals.colour == "never" || (globals.colour == "auto" && (!from_environment("NO_COLOR").empty() ||
                                                                                 from_environment("TERM") == "dumb"));
    const bool always = globals.colour == "always";
    Console console(std::cout, std::cerr,
                    {.json = globals.json,
                     .colour = !plain && (always || platform::is_terminal(platform::Stream::output)),
                     .error_colour = !plain && (always || platform::is_terminal(platform::Stream::error)),
                     .interactive = platform::is_terminal(platform::Stream::input) && platform::is_terminal(platform::Stream::error)});
    SettingsInput input = globals.settings;
    input.environment = from_environment;
    const Result<Settings> settings = find_settings(input);
    if (!settings) {
        console.error(settings.error().what);
        return kUsage;
    }
    Context context(console, *settings, host.stop());
    const Arguments arguments = arguments_of(bound);
    if (const Status paths = check_paths(*bound.command, arguments); !paths) return context.usage(paths.error().what);
    const Result<int> status = bound.command->run(context, arguments);
    console.flush();
    if (status) return *status;
    console.error(status.error().what);
    return context.status_of(status.error());
}

int start(int count, char** words)
{
    Globals globals;
    CLI::App app("millwright: packs, runs and watches automations.");
    app.require_subcommand(1);
    app.fallthrough();
    app.set_version_flag("--version", std::string(protocol::kProgramVersion));
    app.add_option("--factory", globals.settings.factory, "The factory's address (else MILLWRIGHT_FACTORY, else the configuration file)")->type_name("URL");
    app.add_option("--token-file", globals.settings.token_file, "File with the token, mode 0600 (else MILLWRIGHT_TOKEN, else the configuration file)")->type_name("FILE");
    app.add_option("--ca", globals.settings.ca_file, "Certificates of a private authority, PEM")->type_name("FILE");
    app.add_option("--config", globals.settings.config_path, "Configuration file instead of ~/.config/millwright/config.yaml")->type_name("FILE");
    app.add_flag("--json", globals.json, "Show JSON");
    app.add_option("--colour,--color", globals.colour, "Colours: auto, always, never")->check(CLI::IsMember({"auto", "always", "never"}))->type_name("WHEN");
    app.footer("Exit status: 0 done, 1 failed, 2 cancelled, 64 wrong usage or path, 65 invalid input or package, 70 own failure or no factory, 77 refused.\n"
               "`millwright COMMAND --help` shows examples. A JOB is a uid or `last`.");
    app.get_formatter()->column_width(34);

    std::vector<Bound> bounds;
    bounds.reserve(all_commands().size());
    std::map<std::string, CLI::App*> apps;
    for (const Command& command : all_commands()) {
        const auto space = command.name.find(' ');
        CLI::App* parent = &app;
        std::string name = command.name;
        if (space != std::string::npos) {
            CLI::App*& group = apps[name.substr(0, space)];
            if (group == nullptr) {
                group = app.add_subcommand(name.substr(0, space));
                group->require_subcommand(1);
            }
            parent = group;
            name = name.substr(space + 1);
        }
        CLI::App* added = parent->add_subcommand(name, command.summary);
        added->fallthrough();
        added->footer(footer(command));
        apps[command.name] = added;
        bounds.push_back({.command = &command, .app = added, .values = {}, .options = {}});
        bind(bounds.back());
    }
    for (auto& [name, group] : apps)
        if (group->get_description().empty() && name.find(' ') == std::string::npos) {
            std::string kinds;
            for (const CLI::App* sub : group->get_subcommands({})) kinds += fmt::format("{}`{} {}`: {}", kinds.empty() ? "" : "; ", name, sub->get_name(), sub->get_description());
            group->description(kinds);
        }
    try {
        app.parse(count, words);
    } catch (const CLI::CallForHelp&) {
        return app.exit(CLI::CallForHelp());
    } catch (const CLI::CallForVersion&) {
        std::cout << "millwright " << protocol::kProgramVersion << '\n';
        return kDone;
    } catch (const CLI::ParseError& error) {
        std::set<std::string> names;
        for (const Command& command : all_commands()) names.insert(command.name);
        std::cerr << "millwright: " << explain_usage(error.what(), std::vector<std::string>(words + 1, words + count), names) << '\n';
        return kUsage;
    }
    // The deepest command that was named is meant: `deliveries resend`, not `deliveries`.
    const Bound* chosen = nullptr;
    for (const Bound& bound : bounds)
        if (bound.app->parsed() && (chosen == nullptr || bound.command->name.size() > chosen->command->name.size())) chosen = &bound;
    if (chosen == nullptr) {
        std::cout << app.help();
        return kUsage;
    }
    return run_command(*chosen, globals);
}

}  // namespace

int main(int count, char** words)
{
    try {
        return start(count, words);
    } catch (const std::exception& error) {
        std::cerr << "millwright: own failure: " << error.what() << '\n';
        return kInternal;
    }
}
