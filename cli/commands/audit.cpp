#include <fmt/format.h>

#include "cli/commands/commands.h"
#include "cli/listing.h"
#include "platform/files.h"
#include "platform/process.h"

namespace mill::cli {

namespace {

constexpr std::size_t kMaxLine = 64 * 1024;
constexpr std::chrono::seconds kGrace{20};

std::vector<std::string> row(const Json& item, WallTime now)
{
    const Json& detail = item["detail"];
    return {std::to_string(item["id"].as_integer()), show_time(item["time"].as_string(), now), item["who"].as_string(), item["action"].as_string(),
            fmt::format("{}/{}", item["kind"].as_string(), item["subject"].as_string()), item["remote"].as_string(), detail.is_null() ? "" : one_line(dump_json(detail))};
}

Result<int> list(Context& context, const Arguments& arguments)
{
    const std::string what = arguments.text("--what");
    const auto slash = what.find('/');
    return show_listing(context, {.path = "/v1/audit",
                                  .query = {{"who", arguments.text("--who")}, {"action", arguments.text("--action")}, {"kind", what.substr(0, slash)},
                                            {"subject", slash == std::string::npos ? "" : what.substr(slash + 1)}, {"since", arguments.text("--since")},
                                            {"until", arguments.text("--until")}, {"limit", arguments.text("--limit")}, {"cursor", arguments.text("--cursor")}},
                                  .headings = {"ID", "TIME", "WHO", "ACTION", "WHAT", "FROM", "DETAIL"},
                                  .row = row,
                                  .none = "nothing that fits is in the audit log",
                                  .more = "millwright audit --cursor"});
}

int show_verdict(Console& console, const Json& verdict)
{
    const bool ok = verdict["ok"].as_bool();
    if (console.json()) console.document(verdict);
    else if (ok) console.line(fmt::format("{}: {} rows are as they were written; the last has the hash {}", console.paint(Style::good, "the audit log holds"), verdict["rows"].as_integer(), one_line(verdict["head"].as_string())));
    else console.line(fmt::format("{}: {}", console.paint(Style::bad, "the audit log was changed"), one_line(verdict["wrong"]["text"].as_string())));
    if (ok) console.note("Keep the hash elsewhere: `millwright audit verify --head HASH` then also finds a log whose end was cut off.");
    return ok ? kDone : kInvalid;
}

/// A folder or backup is the factory's: its own program reads it.
Result<Json> verify_folder(Context& context, const std::string& folder, const std::string& head)
{
    platform::ProcessSpec spec;
    spec.program = platform::sibling_program("millwright-factory");
    spec.arguments = {"audit", "--data", folder, "--json"};
    if (!head.empty()) spec.arguments.insert(spec.arguments.end(), {"--head", head});
    spec.environment = {{"PATH", "/usr/bin:/bin"}, {"LANG", "C.UTF-8"}};
    std::string said;
    const auto ending = platform::run_lines(spec, [&](std::string_view line) { said = line; }, kMaxLine, kGrace, context.stop);
    if (!ending) return fail("starting " + spec.program, ending.error());
    auto verdict = parse_json(said);
    if (!verdict || !verdict->contains("ok")) return fail(Errc::invalid, fmt::format("{} could not read it (exit {})", spec.program, ending->exit_code));
    return verdict;
}

Result<int> verify(Context& context, const Arguments& arguments)
{
    const std::string head = arguments.text("--head");
    if (arguments.has("--data")) {
        const auto verdict = verify_folder(context, arguments.text("--data"), head);
        if (!verdict) return fail(verdict.error());
        return show_verdict(context.console, *verdict);
    }
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());
    const Result<Json> verdict = (*api)->send({.method = "GET", .path = "/v1/audit/verify", .query = {{"head", head}}, .timeout = std::chrono::minutes(10)});
    if (!verdict) return fail(verdict.error());
    return show_verdict(context.console, *verdict);
}

}  // namespace

Command audit_command()
{
    return {.name = "audit",
            .summary = "Show who changed what and which credential went where, newest first; `audit verify` says whether the log was changed",
            .examples = "millwright audit --since 24h\nmillwright audit --who 'user anna' --what Trigger/order-status-api\nmillwright audit --action use --what Credential",
            .options = {{"--since", "TIME", "At or after: 2h, 2026-11-27T06:00:00Z"},
                        {"--until", "TIME", "Before"},
                        {"--who", "WHO", "As the list shows it: admin, 'user anna', 'agent srv-1'"},
                        {"--what", "KIND[/NAME]", "Credential, Trigger/order-status-api, Token/3dc1yq7mtao9"},
                        {"--action", "WORD", "put, delete, use, cancel, …"},
                        {"--limit", "N", "At most so many, up to 1000 (100)"},
                        {"--cursor", "CURSOR", "Go on where a list ended"}},
            .run = list};
}

Command audit_verify_command()
{
    return {.name = "audit verify",
            .summary = "Say whether the audit log is as it was written, and name the first row that is not",
            .examples = "millwright audit verify\nmillwright audit verify --head 9f2c…\nmillwright audit verify --data /backup/millwright-monday",
            .options = {{"--head", "HASH", "A hash that an earlier `audit verify` printed: it must be in the log, so that a cut end is found"},
                        reads_path({"--data", "DIR", "A factory's data folder or a backup, instead of a running factory"})},
            .run = verify};
}

}  // namespace mill::cli
