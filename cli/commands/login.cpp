#include <fmt/format.h>

#include "cli/commands/commands.h"
#include "platform/files.h"
#include "platform/terminal.h"

namespace mill::cli {

namespace {

/// From --token-file (already read), standard input, or typed without being shown.
Result<std::string> ask_token(Context& context, const Settings& known)
{
    if (!known.token.empty() && known.token_from != known.config_path) return known.token;
    Result<std::string> token = platform::read_line(true, context.stop, [&] {
        if (platform::is_terminal(platform::Stream::input)) context.console.note(fmt::format("Token for {} (mw_…, it is not shown):", known.factory));
    });
    if (!token) return fail(Errc::invalid, "no token was given: type it, or say --token-file FILE");
    while (!token->empty() && (token->back() == ' ' || token->back() == '\t')) token->pop_back();
    return token;
}

Result<int> run(Context& context, const Arguments&)
{
    const Settings& known = context.settings;
    if (known.factory.empty()) return context.usage("say which factory: millwright login --factory https://factory.example.com");
    const Result<std::string> token = ask_token(context, known);
    if (!token) return fail(token.error());
    Api api(known.factory, *token, known.ca_file, context.stop);
    const Result<Json> who = api.get("/v1/session");
    if (!who) return fail(fmt::format("nothing is stored; {}", known.factory), who.error());
    Settings stored = known;
    stored.token = *token;
    if (Status written = write_config(known.config_path, stored); !written) return fail(known.config_path, written.error());
    Console& console = context.console;
    if (console.json()) {
        console.document(Json::object({{"factory", known.factory}, {"config", known.config_path}, {"who", *who}}));
        return kDone;
    }
    const std::string& name = (*who)["name"].as_string();
    const std::string& role = (*who)["role"].as_string();
    console.line(fmt::format("logged in to {} as {}{}", known.factory, name.empty() ? (*who)["kind"].as_string() : one_line(name),
                             role.empty() ? "" : " (" + role + ")"));
    console.note("stored in " + known.config_path);
    return kDone;
}

}  // namespace

Command login_command()
{
    return {.name = "login",
            .summary = "Store the factory's address and a token in the configuration file, after trying them",
            .examples = "millwright login --factory https://factory.example.com\nmillwright login --factory http://127.0.0.1:7460 --token-file DATA/admin-token",
            .options = {},
            .run = run};
}

}  // namespace mill::cli
