#include "cli/ask_prompt.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>

#include <fmt/format.h>

#include "platform/base/clock.h"
#include "platform/base/encode.h"
#include "platform/base/text.h"
#include "platform/files.h"
#include "platform/terminal.h"
#include "protocol/secret_fields.h"

namespace mill::cli {
namespace {

constexpr std::size_t kMostFile = 600 * 1024;

std::string_view bare(std::string_view text)
{
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) text.remove_suffix(1);
    return text;
}

tl::unexpected<Error> expected(const Json& schema) { return fail(Errc::invalid, fmt::format("expected {}", typed_words(schema))); }

/// By its number, or by its word.
Result<Json> read_choice(std::string_view text, const Json& choices, const Json& schema)
{
    std::size_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const auto same = [&](const Json& each) { return lower_case(each.as_string()) == lower_case(text); };
    if (const auto found = std::find_if(choices.as_array().begin(), choices.as_array().end(), same); found != choices.as_array().end()) return *found;
    if (error == std::errc() && end == text.data() + text.size() && number >= 1 && number <= choices.size()) return choices[number - 1];
    return expected(schema);
}

Result<Json> read_file_answer(std::string_view path)
{
    auto bytes = platform::read_file(std::string(path), kMostFile);
    if (!bytes) return fail(bytes.error());
    return Json::object({{"name", std::filesystem::path(path).filename().string()}, {"content", to_base64(*bytes)}});
}

}  // namespace

std::string typed_words(const Json& schema)
{
    const std::string& kind = schema["x-kind"].as_string();
    if (kind == "confirm") return "yes or no";
    if (kind == "number") return "a number";
    if (kind == "date") return "a date, such as 2026-11-27";
    if (kind == "file") return "the path of a file, of at most 600 KiB";
    if (kind == "choice") return fmt::format("1 to {}, or one of the words", schema["enum"].size());
    if (kind == "several") return fmt::format("numbers from 1 to {} or words, with commas between them; nothing for none", schema["items"]["enum"].size());
    if (kind == "form") return protocol::has_secrets(schema) ? "JSON, which is not shown" : "JSON";
    return "a text";
}

Result<Json> read_typed(std::string_view line, const Json& schema)
{
    constexpr std::array<std::string_view, 2> kYes{"yes", "y"}, kNo{"no", "n"};
    const std::string& kind = schema["x-kind"].as_string();
    const std::string_view text = bare(line);
    if (kind == "confirm") {
        const std::string word = lower_case(text);
        if (std::find(kYes.begin(), kYes.end(), word) != kYes.end()) return Json(true);
        if (std::find(kNo.begin(), kNo.end(), word) != kNo.end()) return Json(false);
        return expected(schema);
    }
    if (kind == "choice") return read_choice(text, schema["enum"], schema);
    if (kind == "several") {
        Json out = Json::array();
        for (std::string_view rest = text; !rest.empty();) {
            const auto comma = rest.find(',');
            auto one = read_choice(bare(rest.substr(0, comma)), schema["items"]["enum"], schema);
            if (!one) return one;
            out.push(std::move(*one));
            rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
        }
        return out;
    }
    if (kind == "file") return read_file_answer(text);
    if (kind == "number" || kind == "form") {
        auto value = parse_json(text);
        if (!value || (kind == "number" && !value->is_number())) return expected(schema);
        return value;
    }
    return Json(text);
}

void AskPrompt::hear(const Json& line)
{
    const Json* ask = line.find("ask");
    if (ask == nullptr) return;
    Console& console = context_.console;
    const Json& schema = (*ask)["schema"];
    for (const Json& mistake : (*ask)["mistakes"].as_array()) console.error(redactor_.apply(printable(mistake.as_string())));
    console.note(fmt::format("{} {}", console.paint_error(Style::busy, "asks"), redactor_.apply(printable((*ask)["text"].as_string()))));
    const Json& choices = schema["x-kind"].as_string() == "several" ? schema["items"]["enum"] : schema["enum"];
    for (std::size_t i = 0; i < choices.size(); ++i) console.note(fmt::format("  {}  {}", i + 1, printable(choices[i].as_string())));
    const Json answered = Json::object({{"question", (*ask)["question"]}});
    const bool hidden = schema["x-kind"].as_string() == "form" && protocol::has_secrets(schema);
    for (;;) {
        const Result<std::string> typed = platform::read_line(hidden, context_.stop, [&] { console.ask(fmt::format("{}> ", typed_words(schema))); });
        if (!typed) {
            if (!context_.stop.stop_requested()) send_(Json::object({{"answered", Json(answered).set("state", "failed").set("why", "the input has ended, and nobody is there to answer")}}));
            return;
        }
        Result<Json> answer = read_typed(*typed, schema);
        if (!answer) {
            console.error(answer.error().what);
            continue;
        }
        return send_(Json::object({{"answered", Json(answered).set("state", "answered").set("answer", std::move(*answer)).set("by", "user").set("at", format_time(system_clock().now()))}}));
    }
}

}  // namespace mill::cli
