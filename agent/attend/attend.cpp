#include "agent/attend/attend.h"

#include <cstdio>
#include <vector>

#include <fmt/format.h>

#include "agent/attend/form.h"
#include "agent/attend/person_words.h"
#include "agent/complain.h"
#include "platform/base/encode.h"
#include "platform/base/ids.h"
#include "platform/base/printable.h"
#include "platform/base/redact.h"
#include "platform/own_socket.h"
#include "platform/show_page.h"
#include "platform/terminal.h"

namespace mill::agent {
namespace {

using companion::say;

constexpr std::chrono::seconds kFacePatience{20};

Result<platform::Said> call(const std::string& path, const char* method, const std::string& target, const Json& body)
{
    return platform::ask_own_socket(path, method, target, body, kFacePatience);
}

/// Said where there are several factories.
Json at_factory(Json body, const Json& row)
{
    if (const Json& factory = row["factory"]; factory.is_string()) body.set("factory", factory);
    return body;
}

/// The person's conversation with the agent.
class Attend {
public:
    Attend(std::string path, Dialogue dialogue) : path_(std::move(path)), dialogue_(std::move(dialogue)) {}

    /// Until the person leaves. Errors: not_found, denied, … (no agent answers), never cancelled.
    Status run();

private:
    Status on_item(const Item& item);
    Status on_command(const std::string& word);
    Status fill_and_send(const Json& schema, const std::string& target, const std::function<Json(Json)>& body, const std::function<std::string(const Json&)>& done);
    Status post(const std::string& target, const Json& body, const std::string& done);
    std::string words(std::string_view key, std::initializer_list<companion::Argument> with = {}) const { return say(dialogue_.language, key, with); }
    std::string failed(const Json& refusal) const { return words("app.failed", {{"why", one_line(companion::why_not(dialogue_.language, refusal))}}); }
    void print(const std::string& line) const { dialogue_.print(line + "\n"); }
    Result<bool> sure(std::string_view key) const;

    const std::string path_;
    const Dialogue dialogue_;
    Json person_;
};

Status Attend::run()
{
    while (true) {
        auto said = call(path_, "GET", "/v1/person", Json());
        if (!said) return fail(std::move(said.error()));
        if (!said->well()) return fail(Errc::denied, said->body["detail"].as_string());
        person_ = std::move(said->body);
        const auto items = items_of(person_);
        dialogue_.print(text_of(person_, items, dialogue_.language));
        auto line = dialogue_.read(words("attend.prompt"), false);
        Status done;
        if (!line || *line == "q") return {};
        if (line->find_first_not_of("0123456789") == std::string::npos && !line->empty()) {
            const std::size_t number = line->size() > 6 ? 0 : std::stoul(*line);
            if (number >= 1 && number <= items.size()) done = on_item(items[number - 1]);
            else print(words("mistake.choose"));
        } else if (!line->empty()) {
            done = on_command(*line);
        }
        if (!done && done.error().code == Errc::cancelled) return {};
        if (!done) return done;
    }
}

Result<bool> Attend::sure(std::string_view key) const
{
    auto line = dialogue_.read(fmt::format("{} ({}) ", words(key), words("attend.yn")), false);
    if (!line) return fail(std::move(line.error()));
    return !line->empty() && std::string_view("yYjJ").find(line->front()) != std::string_view::npos;
}

Status Attend::post(const std::string& target, const Json& body, const std::string& done)
{
    auto said = call(path_, "POST", target, body);
    if (!said) return fail(std::move(said.error()));
    print(said->well() ? done : failed(said->body));
    return {};
}

/// Until the agent and the factory take it, or the person gives up with an empty line: what was given is kept.
Status Attend::fill_and_send(const Json& schema, const std::string& target, const std::function<Json(Json)>& body, const std::function<std::string(const Json&)>& done)
{
    Json given;
    while (true) {
        auto value = fill_form(schema, given, dialogue_);
        if (!value) return fail(std::move(value.error()));
        given = std::move(*value);
        auto said = call(path_, "POST", target, body(given));
        if (!said) return fail(std::move(said.error()));
        if (said->well()) {
            print(done(said->body));
            return {};
        }
        print(failed(said->body));
        if (said->status != 400 || said->body["mistakes"].empty()) return {};
        for (const Json& mistake : said->body["mistakes"].as_array()) print(fmt::format("  {}: {}", one_line(mistake["path"].as_string()), one_line(mistake["text"].as_string())));
        auto again = sure("attend.again");
        if (!again) return fail(std::move(again.error()));
        if (!*again) return {};
    }
}

Status Attend::on_item(const Item& item)
{
    const Json& value = item.value;
    const std::string id = value["id"].as_string();
    dialogue_.print(details_of(item, dialogue_.language));
    switch (item.kind) {
    case Item::Kind::running: {
        auto yes = sure("running.stop.ask");
        if (!yes) return fail(std::move(yes.error()));
        return *yes ? post("/v1/jobs/" + percent_encode(value["job"].as_string()) + "/cancel", Json::object({{"why", ""}}), words("running.stopped", {{"title", one_line(item.title)}})) : Status();
    }
    case Item::Kind::consent: {
        const auto& choices = value["choices"].as_array();
        for (std::size_t i = 0; i < choices.size(); ++i) print(fmt::format("  {}  {}", i + 1, choice_words(choices[i].as_string(), dialogue_.language)));
        auto number = choose(choices.size(), words("question.answer") + ": ", dialogue_);
        if (!number) return fail(std::move(number.error()));
        if (*number == 0) return {};
        const std::string choice = choices[*number - 1].as_string();
        return post("/v1/consents/" + percent_encode(id), Json::object({{"choice", choice}}), choice_words(choice, dialogue_.language));
    }
    case Item::Kind::question: {
        static const Json kYesNo = Json::object({{"type", "boolean"}});
        return fill_and_send(value["kind"].as_string() == "approval" ? kYesNo : value["schema"], "/v1/questions/" + percent_encode(id),
                             [&value](Json answer) { return at_factory(Json::object({{"answer", std::move(answer)}, {"comment", ""}}), value); }, [this](const Json&) { return words("question.sent"); });
    }
    case Item::Kind::tell: return post("/v1/tells/" + percent_encode(id), Json::object({}), words("tell.seen"));
    case Item::Kind::launchable: {
        if (const std::string why = value["unavailable"].as_string(); !why.empty()) {
            print(one_line(why));
            return {};
        }
        auto yes = sure("attend.start");
        if (!yes) return fail(std::move(yes.error()));
        if (!*yes) return {};
        const std::string uid = new_uid(), trigger = value["trigger"].as_string();
        const Json schema = value["schema"].is_object() ? value["schema"] : Json::object({{"type", "object"}, {"properties", Json::object({})}});
        return fill_and_send(schema, "/v1/launch", [uid, trigger, &value](Json input) { return at_factory(Json::object({{"id", uid}, {"trigger", trigger}, {"input", std::move(input)}}), value); },
                             [this, &item](const Json& said) { return words(said["queued"].as_bool() ? "launch.queued" : "launch.started", {{"title", one_line(item.title)}}); });
    }
    }
    return {};
}

Status Attend::on_command(const std::string& word)
{
    if (word == "s") {
        auto said = call(path_, "POST", "/v1/stop", Json::object({{"way", "terminal"}}));   // at once: nobody is asked whether that is meant
        if (!said) return fail(std::move(said.error()));
        const std::size_t jobs = said->body["stopped"].size();
        print(!said->well() ? failed(said->body) : jobs == 0 ? words("stop.none") : companion::say_count(dialogue_.language, "stop", jobs));
        return {};
    }
    if (word == "p") return post("/v1/pause", Json::object({{"for", "1h"}}), words("pause.done"));
    if (word == "r") return post("/v1/resume", Json::object({}), words("pause.over"));
    if (word == "h") dialogue_.print(history_of(person_, dialogue_.language));
    else print(words("mistake.choose"));
    return {};
}

int no_agent(const Error& error, const std::string& data)
{
    if (error.code == Errc::not_found)
        return complain(kNotRunning, fmt::format("no attended agent runs with the data folder {} (millwright-agent status --data {})", data, data));
    if (error.code == Errc::denied) return complain(kRefused, error.what);
    return complain(kNoAnswer, error.what);
}

}  // namespace

int attend(const AttendOptions& options)
{
    const std::string path = options.data_folder + "/person";
    if (options.json) {
        auto said = call(path, "GET", "/v1/person", Json());
        if (!said) return no_agent(said.error(), options.data_folder);
        if (!said->well()) return complain(kRefused, said->body["detail"].as_string());
        fmt::print("{}\n", dump_json(said->body, 2));
        return 0;
    }
    Dialogue dialogue;
    dialogue.language = companion::session_language();
    dialogue.print = [](const std::string& text) {
        std::fputs(text.c_str(), stdout);
        std::fflush(stdout);
    };
    dialogue.read = [](const std::string& prompt, bool hidden) {
        return platform::read_line(hidden, {}, [&prompt] {
            std::fputs(prompt.c_str(), stdout);
            std::fflush(stdout);
        });
    };
    const Status done = Attend(path, std::move(dialogue)).run();
    return done ? 0 : no_agent(done.error(), options.data_folder);
}

int open_page(const OpenOptions& options)
{
    auto said = call(options.data_folder + "/companion", "POST", "/v1/open", Json::object({{"what", options.what}, {"id", options.id}}));
    if (!said && said.error().code == Errc::not_found)
        return complain(kNotRunning, fmt::format("no companion runs with the data folder {}; in a desktop session: millwright-companion --data {}; in a terminal: millwright-agent attend --data {}",
                                                 options.data_folder, options.data_folder, options.data_folder));
    if (!said) return complain(said.error().code == Errc::denied ? kRefused : kNoAnswer, said.error().what);
    if (!said->well()) return complain(kRefused, said->body["detail"].as_string());
    const std::string url = said->body["url"].as_string();
    if (!url.starts_with("http://127.0.0.1:")) return complain(kRefused, "the companion's link leads elsewhere than to this machine");
    if (options.print) {
        fmt::print("{}\n", url);
        return 0;
    }
    if (auto shown = platform::show_page(url, options.data_folder + "/companion-page.html"); !shown)
        return complain(kNoAnswer, fmt::format("{}; --print prints the link instead", shown.error().what));
    return 0;
}

}  // namespace mill::agent
