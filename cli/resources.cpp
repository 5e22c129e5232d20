#include "cli/resources.h"

#include "cli/listing.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "cli/input.h"
#include "platform/base/yaml.h"

namespace mill::cli {

namespace {

namespace fs = std::filesystem;
constexpr std::size_t kMaxFile = 1024 * 1024;

/// The files that a path means, in the order in which they are applied.
Result<std::vector<std::string>> files_of(const std::string& path)
{
    std::error_code error;
    if (path == "-" || !fs::is_directory(path, error)) return std::vector<std::string>{path};
    std::vector<std::string> out;
    for (fs::recursive_directory_iterator at(path, error), end; !error && at != end; at.increment(error)) {
        const std::string extension = at->path().extension().string();
        std::error_code unknown;
        if ((extension == ".yaml" || extension == ".yml") && at->is_regular_file(unknown)) out.push_back(at->path().string());
    }
    if (error) return fail(Errc::unavailable, fmt::format("{}: {}", path, error.message()));
    if (out.empty()) return fail(Errc::invalid, fmt::format("{} holds no .yaml file", path));
    std::sort(out.begin(), out.end());
    return out;
}

std::string value_text(const Json& value)
{
    std::string text = dump_json(value);
    if (text.size() > 200) text = text.substr(0, 197) + "…";
    return text;
}

}  // namespace

Result<std::vector<ResourceDocument>> read_resources(const std::vector<std::string>& paths, std::stop_token stop)
{
    std::vector<ResourceDocument> out;
    std::string mistakes;
    const auto mistake = [&](std::string text) { mistakes += (mistakes.empty() ? "" : "\n") + std::move(text); };
    for (const std::string& path : paths) {
        const Result<std::vector<std::string>> files = files_of(path);
        if (!files) return fail(files.error());
        for (const std::string& file : *files) {
            const Result<std::string> text = read_bytes(file, kMaxFile, stop);
            if (!text) return fail(text.error().code == Errc::cancelled ? Errc::cancelled : Errc::invalid, text.error().what);
            const Result<std::vector<YamlDocument>> documents = parse_yaml_stream(*text);
            if (!documents) {
                mistake(fmt::format("{}:{}", file, documents.error().what));
                continue;
            }
            for (const YamlDocument& document : *documents) {
                if (document.value.is_null()) continue;
                const Mark mark = document.mark("");
                const auto place = [&](Mark at) { return fmt::format("{}:{}:{}", file, at.line, at.column); };
                if (!document.value.is_object()) {
                    mistake(place(mark) + ": a document must be a map with `kind` and `name`");
                    continue;
                }
                for (const char* key : {"kind", "name"})
                    if (document.value[key].as_string().empty()) mistake(fmt::format("{}: the document has no `{}`", place(mark), key));
                Json value = document.value;
                value.erase("status");
                out.push_back({file, mark.line, std::move(value)});
            }
        }
    }
    if (!mistakes.empty()) return fail(Errc::invalid, mistakes);
    if (out.empty()) return fail(Errc::invalid, "there is no document to apply");
    return out;
}

Result<std::string> plural_of_kind(std::string_view kind)
{
    std::string word(kind);
    std::transform(word.begin(), word.end(), word.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (!word.ends_with('s')) word += 's';
    static constexpr std::string_view kKinds[] = {"calendars", "publishers", "environments", "deployments", "triggers", "notifiers", "packages", "agents", "jobs", "credentials", "tokens"};
    if (std::find(std::begin(kKinds), std::end(kKinds), word) != std::end(kKinds)) return word;
    return fail(Errc::invalid, fmt::format("there is no kind '{}': say calendars, publishers, environments, deployments, triggers, notifiers, packages, agents, jobs, "
                                           "credentials or tokens", kind));
}

Result<Json> apply_resources(Api& api, const std::vector<ResourceDocument>& documents, bool dry_run, bool accept, bool force, const std::string& source, bool prune)
{
    Json list = Json::array();
    for (const ResourceDocument& document : documents) list.push(document.document);
    Json request = Json::object({{"documents", list}, {"dryRun", dry_run}, {"accept", accept}});
    if (force) request.set("force", true);   // a factory of an earlier version does not know it
    if (!source.empty()) request.set("source", source);
    if (prune) request.set("prune", true);
    const Result<platform::HttpResponse> answer = api.raw({.method = "POST", .path = "/v1/apply", .body = std::move(request)});
    if (!answer) return fail(answer.error());
    const Result<Json> body = parse_json(answer->body);
    if (answer->status < 400 && body) return (*body)["results"];
    Error error = error_of(answer->status, answer->body, {});
    if (body && !(*body)["errors"].empty()) {
        std::string lines;
        for (const Json& one : (*body)["errors"].as_array()) {
            const auto index = static_cast<std::size_t>(one["index"].as_integer());
            const std::string place = index < documents.size() ? fmt::format("{}:{}: ", documents[index].file, documents[index].line) : "";
            lines += fmt::format("{}{}{} {}: {}", lines.empty() ? "" : "\n", place, one["kind"].as_string(), one["name"].as_string(), one["detail"].as_string());
        }
        error.what = lines + "\nnothing was changed";
    }
    return fail(std::move(error));
}

void show_results(Console& console, const Json& results, bool dry_run)
{
    for (const Json& result : results.as_array()) {
        const std::string& what = result["result"].as_string();
        const Style style = what == "created" ? Style::good : what == "changed" ? Style::busy : what == "deleted" ? Style::bad : Style::dim;
        console.line(fmt::format("{}{} {} {}", dry_run && what != "unchanged" ? "would be " : "", console.paint(style, what),
                                 one_line(result["kind"].as_string()), one_line(result["name"].as_string())));
        if (const Json& source = result["source"]; source.is_object())
            console.line(console.paint(Style::dim, fmt::format("    source {} → {}", source["from"].as_string().empty() ? "none" : one_line(source["from"].as_string()), one_line(source["to"].as_string()))));
        if (const Json& approval = result["approval"]; approval.is_object() && what != "unchanged")
            console.line(fmt::format("  its jobs wait up to {} for the approval of {} (now: {})", one_line(approval["within"].as_string()), one_line(approval["by"].as_string()),
                                     approval["could"].empty() ? std::string("no token") : one_line(joined(approval["could"]))));
        if (what == "created" && !dry_run) continue;
        for (const Json& difference : result["differences"].as_array()) {
            const std::string path = one_line(difference["path"].as_string());
            if (difference.contains("from") && !difference["from"].is_null())
                console.line(console.paint(Style::bad, fmt::format("  - {}: {}", path, one_line(value_text(difference["from"])))));
            if (difference.contains("to") && !difference["to"].is_null())
                console.line(console.paint(Style::good, fmt::format("  + {}: {}", path, one_line(value_text(difference["to"])))));
        }
    }
}

}  // namespace mill::cli
