// An attempt to say something in a chat; what is said may take the place of what was said before about the same job.
#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "factory/notify/chat.h"
#include "factory/notify/exchange.h"
#include "platform/base/encode.h"

namespace mill::factory {

using enum DeliveryOutcome::Verdict;

namespace {

/// It was overtaken by the message about the job's end, which would go back to what it said before.
bool is_outdated(const Json& request, const Json& kept) { return kept["final"].as_bool() && !request["edit"]["final"].as_bool(); }

Json answer_of(const Result<platform::HttpResponse>& response)
{
    if (!response) return {};
    auto answer = parse_json(response->body, {.bytes = 1024 * 1024, .depth = 64});
    return answer ? std::move(*answer) : Json();
}

}  // namespace

/// chat.update in place of chat.postMessage when there is a message to edit; when Slack lets it not be edited, a new one.
void Deliverer::send_slack(Exchange& exchange, platform::HttpRequest request)
{
    const Json& edit = exchange.request["edit"];
    const platform::HttpRequest fresh = request;
    bool edits = !edit.is_null() && !exchange.kept["ts"].as_string().empty();
    if (edits) {
        auto body = parse_json(request.body);
        if (!body) return exchange.refuse(give_up, body.error().what);
        body->erase("thread_ts");
        body->set("channel", exchange.kept["channel"]).set("ts", exchange.kept["ts"]);
        if (!body->contains("blocks")) body->set("blocks", Json::array());   // else those of the message before would stay
        request.uri = edit["url"].as_string();
        request.body = dump_json(*body);
    }
    while (true) {
        send(exchange, request);
        if (!exchange.response || exchange.response->status != 200) return;
        const auto refusal = slack_refusal(exchange.response->body);
        if (!refusal) break;
        static constexpr std::array kCannotEdit{"message_not_found", "cant_update_message", "edit_window_closed"};
        const std::string error = answer_of(exchange.response)["error"].as_string();
        if (edits && std::find(kCannotEdit.begin(), kCannotEdit.end(), std::string_view(error)) != kCannotEdit.end()) {
            edits = false;
            request = fresh;
            continue;
        }
        return exchange.refuse(refusal->again ? retry : give_up, refusal->why);
    }
    if (edit.is_null()) return;
    const Json answer = answer_of(exchange.response);
    if (answer["ts"].is_string() && answer["channel"].is_string())
        exchange.outcome.kept = Json::object({{"channel", answer["channel"]}, {"ts", answer["ts"]}, {"final", edit["final"]}});
}

/// By Microsoft's bot connector: POST makes an activity, PUT takes its place.
void Deliverer::send_teams_bot(Exchange& exchange)
{
    const Json& rendered = exchange.request;
    const std::string& name = rendered["credentials"].as_string();
    const auto uri = platform::parse_uri(rendered["url"].as_string());
    if (!uri) return exchange.refuse(give_up, uri.error().what);
    const auto credential = use(exchange, name, *uri);
    if (!credential) return exchange.refuse(retry, credential.error().what);
    if (credential->kind != "oauth") return exchange.refuse(retry, fmt::format("credential '{}' is of kind {}, oauth is needed", name, credential->kind));
    const std::string& before = exchange.kept["activity"].as_string();
    const bool edits = !rendered["edit"].is_null() && !before.empty();
    with_token(exchange, *credential, [&](const std::string& token) {
        platform::HttpRequest request;
        request.method = "POST";
        request.uri = rendered["url"].as_string();
        request.body = rendered["body"].as_string();
        request.headers = {{"Content-Type", "application/json; charset=utf-8"}, {"Accept", "application/json"}, {"Authorization", "Bearer " + token}};
        if (edits) {
            platform::HttpRequest change = request;
            change.method = "PUT";
            change.uri += "/" + percent_encode(before);
            send(exchange, std::move(change));
            if (!exchange.response || exchange.response->status != 404) return;   // else somebody has deleted it
        }
        send(exchange, std::move(request));
    }, OAuthClient::Form::bot_framework);
    if (rendered["edit"].is_null() || !exchange.response || exchange.response->status < 200 || exchange.response->status >= 300) return;
    std::string activity = answer_of(exchange.response)["id"].as_string();
    if (activity.empty() && exchange.outcome.attempt.request["method"].as_string() == "PUT") activity = before;
    if (!activity.empty()) exchange.outcome.kept = Json::object({{"activity", Json(activity)}, {"final", rendered["edit"]["final"]}});
}

void Deliverer::send_chat(Exchange& exchange)
{
    const Json& rendered = exchange.request;
    const std::string& platform = rendered["platform"].as_string();
    if (is_outdated(rendered, exchange.kept)) {
        exchange.refuse(delivered, {});
        exchange.outcome.attempt.response = "not sent: the message that it would have changed tells of the job's end already";
        exchange.judged = true;
        return;
    }
    if (platform == "teams-bot") return send_teams_bot(exchange);
    platform::HttpRequest request;
    request.method = "POST";
    request.uri = rendered["url"].as_string();
    request.body = rendered["body"].as_string();
    request.headers = {{"Content-Type", "application/json; charset=utf-8"}};
    for (const auto& [header, value] : rendered["headers"].as_object()) request.headers.emplace_back(header, value.as_string());
    const std::string& name = rendered["credentials"].as_string();
    std::optional<Credential> credential;
    if (!name.empty()) {
        auto known = credentials_(name);   // once: it may change meanwhile
        if (!known) return exchange.refuse(retry, known.error().what);
        credential = std::move(*known);
    }
    if (platform == "teams" && credential) request.uri = credential->values["url"].as_string();   // the address itself is the secret
    const auto uri = platform::parse_uri(request.uri);
    if (!uri) return exchange.refuse(platform == "teams" ? retry : give_up, platform == "teams" ? fmt::format("credential '{}' holds no address", name) : uri.error().what);
    if (credential) {
        if (const auto bound = admit(exchange, *credential, *uri); !bound) return exchange.refuse(retry, bound.error().what);
        const std::string& token = credential->values["token"].as_string();
        if (platform != "teams" && token.empty()) return exchange.refuse(retry, fmt::format("credential '{}' has no member 'token'", name));
        if (platform == "teams") {
            exchange.redactor.add(request.uri);
        } else if (platform == "rasa") {
            exchange.redactor.add(percent_encode(token));
            request.uri += (request.uri.find('?') == std::string::npos ? "?token=" : "&token=") + percent_encode(token);
        } else {
            request.headers.emplace_back("Authorization", "Bearer " + token);
        }
    }
    if (platform == "webhook")
        if (const auto signed_by = sign(exchange, *uri, request); !signed_by) return exchange.refuse(retry, signed_by.error().what);
    if (platform == "slack") return send_slack(exchange, std::move(request));
    send(exchange, std::move(request));
}

}  // namespace mill::factory
