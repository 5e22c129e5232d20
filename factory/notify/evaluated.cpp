#include "factory/notify/evaluated.h"

#include <algorithm>
#include <future>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "factory/notify/template.h"
#include "platform/smtp.h"

namespace mill::factory {
namespace {

constexpr std::size_t kMostExpressions = 100, kLongestExpression = 8192;

std::optional<Condition> condition_of(const Json& notifier)
{
    const std::string& when = notifier["when"].as_string();
    if (when.empty()) return std::nullopt;
    auto read = Condition::parse(when);
    return read ? std::optional(std::move(*read)) : std::nullopt;
}

/// All that the notifier has, each once, in the order of its document: the same whenever, since what is compiled is kept under it.
std::vector<std::string> all_expressions(const Json& notifier)
{
    std::vector<std::string> out;
    const auto add = [&](const std::string& text) {
        if (std::find(out.begin(), out.end(), text) == out.end()) out.push_back(text);
    };
    if (const auto when = condition_of(notifier); when && when->needs_evaluation()) add(when->expression());
    for (const auto& [place, value] : template_places(notifier))
        for (const std::string& text : expressions_in(value)) add(text);
    return out;
}

/// What a message about `event` needs: no more, since the message about another may not even have a value then.
std::vector<std::string> needed(const Json& notifier, const std::string& event)
{
    std::vector<std::string> out;
    const std::string own = "chat.messages." + event;
    const bool has_own = !notifier["chat"]["messages"][event].is_null();
    for (const auto& [place, value] : template_places(notifier)) {
        if (place.starts_with("chat.messages.") ? place != own : place == "chat.message" && has_own) continue;
        for (std::string& text : expressions_in(value)) out.push_back(std::move(text));
    }
    return out;
}

std::string place_of(const Json& notifier, const std::string& expression)
{
    if (const auto when = condition_of(notifier); when && when->needs_evaluation() && when->expression() == expression) return "when";
    for (const auto& [place, value] : template_places(notifier)) {
        const auto there = expressions_in(value);
        if (std::find(there.begin(), there.end(), expression) != there.end()) return place;
    }
    return "the notifier";
}

std::string in_words(const Json& notifier, const std::string& expression, const std::string& why)
{
    return fmt::format("{}: `{}`: jq says: {}", place_of(notifier, expression), expression, why);
}

/// As far as the address is written out: deliveries to one receiver share its lanes.
std::string receiver_of(const Json& notifier)
{
    const std::string& type = notifier["type"].as_string();
    if (type == "chat") return notifier["chat"]["baseUrl"].as_string();
    if (type == "mail") {
        const auto server = platform::parse_mail_server(notifier["mail"]["server"].as_string(), notifier["mail"]["tls"].as_string());
        return server ? fmt::format("{}://{}:{}", server->tls == platform::MailServer::Tls::from_start ? "smtps" : "smtp", server->host, server->port) : std::string();
    }
    const std::string& url = notifier["api"]["url"].as_string();
    const auto scheme = url.find("://");
    return scheme == std::string::npos ? url : url.substr(0, url.find_first_of("/?#", scheme + 3));
}

struct Late {
    const std::function<RenderOptions()> options;
    ExpressionEvaluator& evaluator;

    /// The document with what `texts` come to in it.
    Result<Json> evaluated(const Json& notifier, const std::vector<std::string>& all, const std::vector<std::string>& texts, const Json& document) const
    {
        std::vector<std::size_t> which;
        for (std::size_t i = 0; i < all.size(); ++i)
            if (std::find(texts.begin(), texts.end(), all[i]) != texts.end()) which.push_back(i);
        if (which.empty()) return document;
        std::promise<Result<ExpressionValues>> promise;
        auto future = promise.get_future();
        Json bare = document;
        bare.erase(kEvaluated);
        if (!evaluator.evaluate(all, bare, which, [&](Result<ExpressionValues> values) { promise.set_value(std::move(values)); }))
            return fail(Errc::unavailable, "too much waits to be evaluated");
        auto values = future.get();
        if (!values) return fail(fmt::format("the notifier's jq ({})", fmt::join(place_names(notifier, texts), ", ")), values.error());
        if (values->mistake) return fail(Errc::invalid, in_words(notifier, all[values->mistake->index], values->mistake->text));
        Json known = document[kEvaluated].is_object() ? document[kEvaluated] : Json::object();
        for (std::size_t i = 0; i < which.size(); ++i) known.set(all[which[i]], values->values[i]);
        return bare.set(kEvaluated, std::move(known));
    }

    static std::vector<std::string> place_names(const Json& notifier, const std::vector<std::string>& texts)
    {
        std::vector<std::string> out;
        for (const std::string& text : texts)
            if (const std::string place = place_of(notifier, text); std::find(out.begin(), out.end(), place) == out.end()) out.push_back(place);
        return out;
    }

    Result<Rendered> operator()(const std::string& delivery, const Json& waiting) const
    {
        const Notification notification{delivery, waiting["event"].as_string(), waiting["document"], waiting["spec"]};
        const Json& notifier = notification.notifier;
        const auto all = all_expressions(notifier);
        Json document = notification.job;
        if (const auto when = condition_of(notifier)) {
            if (when->needs_evaluation()) {
                auto with = evaluated(notifier, all, {when->expression()}, document);
                if (!with) return fail(std::move(with.error()));
                document = std::move(*with);
            }
            if (!when->holds(document)) return Rendered{false, {}};
        }
        auto with = evaluated(notifier, all, needed(notifier, notification.event), document);
        if (!with) return fail(std::move(with.error()));
        return fill_in(notification, *with, options());
    }
};

}  // namespace

std::vector<std::pair<std::string, Json>> template_places(const Json& notifier)
{
    static constexpr std::pair<const char*, const char*> kPlaces[] = {
        {"api", "url"}, {"api", "headers"}, {"api", "body"}, {"mail", "to"}, {"mail", "cc"}, {"mail", "subject"}, {"mail", "text"}, {"mail", "html"},
        {"chat", "conversation"}, {"chat", "serviceUrl"}, {"chat", "message"}, {"chat", "memory"}};
    std::vector<std::pair<std::string, Json>> out;
    for (const auto& [part, member] : kPlaces)
        if (const Json& value = notifier[part][member]; !value.is_null()) out.emplace_back(fmt::format("{}.{}", part, member), value);
    for (const auto& [event, message] : notifier["chat"]["messages"].as_object()) out.emplace_back("chat.messages." + event, message);
    return out;
}

std::optional<Json> unrendered(const Notification& notification, const Json& document)
{
    const Json& notifier = notification.notifier;
    if (all_expressions(notifier).empty()) return std::nullopt;
    Json spec = Json::object();
    for (const char* member : {"name", "type", "when", "api", "chat", "mail"})
        if (const Json& value = notifier[member]; !value.is_null()) spec.set(member, value);
    return Json::object({{"kind", "unrendered"}, {"notifier", notifier["name"]}, {"url", Json(receiver_of(notifier))}, {"event", Json(notification.event)}, {"document", document}, {"spec", std::move(spec)}});
}

bool is_unrendered(const Json& request) { return request["kind"].as_string() == "unrendered"; }

bool compile_notifier(ExpressionEvaluator& evaluator, const Json& notifier, std::function<void(Status)> done)
{
    auto all = all_expressions(notifier);
    if (all.empty()) return done({}), true;
    const auto refuse = [&](std::string why) { return done(fail(Errc::invalid, std::move(why))), true; };
    if (all.size() > kMostExpressions) return refuse(fmt::format("it has {} jq expressions, and {} are the most", all.size(), kMostExpressions));
    for (const std::string& text : all)
        if (text.size() > kLongestExpression) return refuse(fmt::format("{}: the expression is longer than {} bytes", place_of(notifier, text), kLongestExpression));
    return evaluator.compile(all, [all, notifier, done = std::move(done)](const Result<std::vector<ExpressionMistake>>& mistakes) {
        if (!mistakes) return done(fail(mistakes.error()));
        std::vector<std::string> words;
        for (const ExpressionMistake& each : *mistakes) words.push_back(in_words(notifier, all[each.index], each.text));
        done(words.empty() ? Status() : Status(fail(Errc::invalid, fmt::format("{}", fmt::join(words, "; ")))));
    });
}

LateRenderer make_late_renderer(std::function<RenderOptions()> options, ExpressionEvaluator& evaluator)
{
    return Late{std::move(options), evaluator};
}

}  // namespace mill::factory
