// cli/command.h -- one command of `millwright`: its options as values, its help, and what it does.
#pragma once

#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "cli/api.h"
#include "cli/console.h"
#include "cli/settings.h"

namespace mill::cli {

/// `name` is "--input" or "-f,--follow" (an option), or "NAME" (an argument by its position).
struct Option {
    std::string name;
    std::string value;  ///< what stands for the value in help ("FILE"); empty: a flag
    std::string help;
    bool required = false;
    bool many = false;
    enum class Path { none, file, file_or_folder, output } path = Path::none;   ///< a path on this machine, looked at before the command runs
};
inline Option with_path(Option option, Option::Path path)
{
    option.path = path;
    return option;
}
inline Option reads_file(Option option) { return with_path(std::move(option), Option::Path::file); }   ///< "-" is standard input
inline Option reads_path(Option option) { return with_path(std::move(option), Option::Path::file_or_folder); }
inline Option writes_file(Option option) { return with_path(std::move(option), Option::Path::output); }

/// What the person typed for one command.
class Arguments {
public:
    void set(const std::string& name, std::vector<std::string> values) { values_[name] = std::move(values); }
    bool has(std::string_view name) const { return values_.find(name) != values_.end(); }
    std::string text(std::string_view name, std::string_view fallback = {}) const;
    std::vector<std::string> texts(std::string_view name) const;

private:
    std::map<std::string, std::vector<std::string>, std::less<>> values_;
};

/// The exit statuses of design.md 7. kUsage is for what was typed, paths included; kInvalid for what is in a file, package or answer.
enum Exit : int { kDone = 0, kFaulted = 1, kCancelled = 2, kUsage = 64, kInvalid = 65, kInternal = 70, kRefused = 77 };
int exit_code(const Error& error);
/// Of a job or local run that ended in `state` for `reason` (their spelling on the wire).
int exit_code(std::string_view state, std::string_view reason);

/// What every command stands on. Thread: the main one.
class Context {
public:
    Context(Console& to, const Settings& from, std::stop_token on_stop) : console(to), settings(from), stop(std::move(on_stop)) {}

    /// The factory's API with the person's token. Errors: invalid (no factory or token known; says how to give one).
    Result<Api*> api();
    /// Says what was typed wrongly. Returns the exit status of that.
    int usage(std::string_view what)
    {
        console.error(what);
        return kUsage;
    }
    /// As exit_code(error), but that no factory is known is a matter of what was typed.
    int status_of(const Error& error) const;

    Console& console;
    const Settings& settings;
    std::stop_token stop;  ///< Ctrl-C

private:
    std::unique_ptr<Api> api_;
    bool unconfigured_ = false;
};

struct Command {
    std::string name;  ///< "jobs", "agents invite"
    std::string summary;
    std::string examples;  ///< one a line
    std::vector<Option> options;
    Result<int> (*run)(Context& context, const Arguments& arguments);
    std::string notes{};  ///< at the end of its help
};

/// Looks at every path that was typed before anything is done. Errors: invalid ("--input: FILE: No such file or directory").
Status check_paths(const Command& command, const Arguments& arguments);

/// "--input" of "-i,--input"; a name without dashes is an argument by position.
std::string key_of(std::string_view option_name);

/// All commands, in the order in which help shows them.
const std::vector<Command>& all_commands();

}  // namespace mill::cli
