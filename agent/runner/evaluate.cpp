// jq for the factory: the expressions of one notifier, evaluated on one document after the other.
#include <new>

#include "agent/runner/check.h"
#include "platform/base/json.h"
#include "platform/channel.h"
#include "workflows/expression.h"

namespace mill::runner {
namespace {

constexpr std::size_t kMostDocument = platform::Channel::kMaxMessage;
constexpr std::size_t kDeepestDocument = 128;
constexpr std::size_t kMostValues = 1024UL * 1024;   // of all values together, as text

/// What the factory's message says, as a program; its mistakes when it is none.
struct Evaluated {
    std::vector<workflows::Expression> expressions;
    std::unique_ptr<workflows::Program> program;

    Json compile(const Json& texts)
    {
        Json mistakes = Json::array();
        const auto note = [&](std::size_t index, const std::string& text) { mistakes.push(Json::object({{"index", Json(index)}, {"text", Json(text)}})); };
        for (const Json& text : texts.as_array()) expressions.emplace_back().text = text.as_string();
        std::vector<workflows::Expression*> prepared;
        for (std::size_t i = 0; i < expressions.size(); ++i) {
            if (const auto ready = workflows::prepare(expressions[i], {}); !ready) note(i, ready.error().what);
            else prepared.push_back(&expressions[i]);
        }
        std::vector<workflows::CompileError> errors;
        program = workflows::compile(prepared, errors);
        for (const workflows::CompileError& error : errors) note(static_cast<std::size_t>(error.expression - expressions.data()), error.what);
        return Json::object({{"mistakes", std::move(mistakes)}});
    }

    Json evaluate(const Json& document, const Json& which)
    {
        const auto refuse = [](std::size_t index, Errc code, const std::string& text) {
            return Json::object({{"error", Json::object({{"index", Json(index)}, {"code", Json(name(code))}, {"text", Json(text)}})}});
        };
        const workflows::Value data(document);
        Json values = Json::array();
        std::size_t bytes = 0;
        for (const Json& wanted : which.as_array()) {
            const auto index = static_cast<std::size_t>(wanted.as_integer());
            if (index >= expressions.size() || !program) return refuse(index, Errc::internal, "there is no such expression");
            const auto value = program->evaluate(expressions[index], data, {}, workflows::kExpressionPatience);
            if (!value) {
                // The lines behind the first show expression and place as a package has them.
                std::string text = value.error().what.substr(0, value.error().what.find('\n'));
                if (const std::string_view lead = "the expression failed: "; text.starts_with(lead)) text.erase(0, lead.size());
                return refuse(index, value.error().code, text);
            }
            Json json = value->json();
            bytes += dump_json(json).size();
            if (bytes > kMostValues) return refuse(index, Errc::too_large, "its value is too large: the values of one delivery may have 1 MiB together");
            values.push(std::move(json));
        }
        return Json::object({{"values", std::move(values)}});
    }
};

}  // namespace

int evaluate()
try {
    if (!confined()) return kNotConfined;
    platform::Channel channel = platform::Channel::from(platform::Handle(3));
    Evaluated evaluated;
    while (true) {
        auto asked = channel.receive();
        if (!asked) return asked.error().code == Errc::unavailable ? 0 : kOwnFailure;   // the factory needs it no longer
        if (!*asked) continue;
        const auto json = parse_json((*asked)->text, {kMostDocument, kDeepestDocument});
        if (!json) return kDataError;
        const Json answer = json->contains("expressions") ? evaluated.compile((*json)["expressions"]) : evaluated.evaluate((*json)["document"], (*json)["which"]);
        if (auto sent = channel.send(dump_json(answer)); !sent) return kOwnFailure;
    }
} catch (const std::bad_alloc&) {
    return no_memory();
}

}  // namespace mill::runner
