#include "cli/input.h"

#include "platform/base/yaml.h"
#include "platform/files.h"
#include "platform/terminal.h"

namespace mill::cli {

namespace {

constexpr std::size_t kMaxInput = 16 * 1024 * 1024;

/// "LINE:COLUMN: …" from a parser goes behind the file's name without a space, as editors read it.
Error placed(const std::string& path, Error error)
{
    const bool has_place = !error.what.empty() && error.what.front() >= '0' && error.what.front() <= '9';
    error.what = (path == "-" ? "standard input" : path) + (has_place ? ":" : ": ") + error.what;
    return error;
}

}  // namespace

Result<std::string> read_bytes(const std::string& path, std::size_t max_bytes, std::stop_token stop)
{
    return path == "-" ? platform::read_input(max_bytes, std::move(stop)) : platform::read_file(path, max_bytes);
}

Result<Json> read_value(const std::string& path, std::stop_token stop)
{
    Result<std::string> text = read_bytes(path, kMaxInput, std::move(stop));
    if (!text) return fail(text.error());
    const auto first = text->find_first_not_of(" \t\r\n");
    if (first == std::string::npos) return fail(Errc::invalid, (path == "-" ? "standard input" : path) + " is empty: a JSON value is expected");
    Result<Json> json = parse_json(*text, {.bytes = kMaxInput, .exact = true});
    if (json) return json;
    Result<YamlDocument> yaml = parse_yaml(*text);
    if (yaml) return yaml->value;
    const char start = (*text)[first];
    const bool meant_json = path.ends_with(".json") || start == '{' || start == '[' || start == '"';
    return fail(placed(path, meant_json ? json.error() : yaml.error()));
}

Result<Json> read_object(const std::string& path, std::stop_token stop)
{
    Result<Json> value = read_value(path, std::move(stop));
    if (value && !value->is_object())
        return fail(Errc::invalid, (path == "-" ? "standard input" : path) + " holds " + std::string(value->kind_name()) + "; an object is expected");
    return value;
}

Result<Json> read_pairs(const std::vector<std::string>& pairs, std::string_view option)
{
    Json out = Json::object();
    for (const std::string& pair : pairs) {
        const auto equals = pair.find('=');
        if (equals == std::string::npos || equals == 0)
            return fail(Errc::invalid, std::string(option) + " '" + pair + "' must look like NAME=VALUE");
        out.set(pair.substr(0, equals), pair.substr(equals + 1));
    }
    return out;
}

}  // namespace mill::cli
