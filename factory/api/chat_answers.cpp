#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "factory/api/chat_calls.h"
#include "factory/api/question_checks.h"
#include "factory/chat/answer.h"
#include "factory/chat/said_answer.h"
#include "platform/base/encode.h"
#include "platform/base/log.h"
#include "platform/crypto.h"

namespace mill::factory::handler {
namespace {

constexpr std::size_t kOpenLookedAt = 20, kLongestSaidComment = 1000, kShownText = 200;

struct Saying {
    CallPtr call;
    ChatPlatform platform;
    std::shared_ptr<const ChatCall> said;
    QuestionRecord question;
    QuestionAnswer answer;
    Who who;
};
using SayingPtr = std::shared_ptr<Saying>;

std::string shown_text(const std::string& text) { return text.size() <= kShownText ? text : text.substr(0, text.find_last_of(' ', kShownText)) + " …"; }

/// What the person is told. Where the answer to the call is not shown, the question's notifiers say it in the conversation.
void tell_person(Service& service, const Saying& saying, int status, const std::string& text, std::string_view name)
{
    const Json about = Json::object({{"questionId", saying.question.id}, {"jobUid", saying.question.job}});
    if (!saying.said->answer_is_shown && status != 200) {
        const std::string& id = saying.said->id;
        service.core.remind(saying.question.id, text, id.empty() ? to_hex(platform::sha256(text)) : id, [](const Result<Nothing>& told) {
            if (!told) log::warning("chat", "a person was not told that it was no answer: {}", told.error().what);
        });
    }
    saying.call->responder.reply(status == 200 ? chat_answer(saying.platform, *saying.said, text, about) : chat_refusal(saying.platform, saying.said.get(), status, text, name));
}

std::string taken_words(const QuestionRecord& question)
{
    if (question.kind != QuestionKind::approval) return fmt::format("Thank you, that is the answer to: {}", shown_text(question.text));
    if (question.attempt > 0) return fmt::format("{}: {}", question.answer.as_bool() ? "Approved" : "Refused", shown_text(question.text));
    return question.answer.as_bool() ? fmt::format("Approved: job {} may start.", question.job) : fmt::format("Refused: job {} does not start.", question.job);
}

void give(Service& service, const SayingPtr& saying)
{
    service.core.answer_question(saying->answer, saying->who, [&service, saying](const Result<Answered>& answered) {
        using Verdict = Answered::Verdict;
        if (!answered) return tell_person(service, *saying, 503, fmt::format("I could not take that down: {}", answered.error().what), "unavailable");
        saying->question = answered->question;
        if (answered->verdict == Verdict::taken) return tell_person(service, *saying, 200, taken_words(answered->question), {});
        if (answered->verdict == Verdict::known) return saying->call->responder.reply(chat_answer(saying->platform, *saying->said, "I have heard that already."));
        const bool late = answered->verdict == Verdict::answered || answered->verdict == Verdict::over;
        tell_person(service, *saying, late ? 409 : 403, late ? fmt::format("That is too late: {}.", answered->why) : fmt::format("You cannot answer that: {}.", answered->why),
                    late ? "answered" : "not_asked");
    });
}

void no_answer(Service& service, const Saying& saying, const std::string& expected)
{
    tell_person(service, saying, 400, fmt::format("I expected {}. The question is: {}", expected, saying.question.text), "answer");
}

bool names_one(const QuestionRecord& question, const std::vector<std::string>& names)
{
    return std::any_of(question.by.as_array().begin(), question.by.as_array().end(),
                       [&](const Json& one) { return std::find(names.begin(), names.end(), one.as_string()) != names.end(); });
}

Who person(ChatPlatform platform, const ChatCall& said, const std::string& remote)
{
    const Json& user = said.neutral["user"];
    std::string text = fmt::format("{} user", name(platform));
    if (user["id"].is_string()) text += " " + user["id"].as_string();
    if (user["name"].is_string()) text += fmt::format(" ({})", user["name"].as_string());
    return {std::move(text), remote};
}

}  // namespace

bool answer_in_chat(Service& service, const CallPtr& call, const Document& trigger, ChatPlatform platform, const std::shared_ptr<const ChatCall>& said)
{
    QuestionQuery query;
    query.state = QuestionState::open;
    query.conversation = fmt::format("{} {}", trigger.name, said->context["conversationId"].as_string());
    query.limit = kOpenLookedAt;
    auto open = service.core.reader()->questions(query);
    if (!open) return reply_error(*call, open.error()), true;
    if (open->items.empty()) return false;

    std::vector<std::string> names{"conversation"};
    if (const Json& id = said->neutral["user"]["id"]; id.is_string() && !id.as_string().empty()) names.push_back("chat:" + id.as_string());
    // Where the platform does not sign, the caller's own token vouches for the person: then it is them, too, who must not have asked.
    if (const std::string& kind = call->identity.kind; kind == "user" || kind == "admin" || kind == "env") {
        names.push_back(call->who().name);
        if (kind != "env" && !call->identity.subject.empty()) names.push_back("user:" + call->identity.subject);
    }
    std::string text = said->neutral["text"].as_string();
    const std::string mark = take_mark(text);
    std::vector<QuestionRecord> meant;
    for (const QuestionRecord& one : open->items)
        if (names_one(one, names) && (mark.empty() || question_mark(one) == mark)) meant.push_back(one);
    if (meant.empty() && mark.empty() && !read_yes_or_no(text)) return false;   // somebody else says something else
    const bool nothing_fits = meant.empty();
    if (nothing_fits) meant = open->items;

    const auto saying = std::make_shared<Saying>(Saying{call, platform, said, meant.front(), {}, person(platform, *said, call->http.remote)});
    if (nothing_fits && !mark.empty()) return tell_person(service, *saying, 400, fmt::format("No open question here has the mark #{}.", mark), "answer"), true;
    if (meant.size() > 1) {
        std::string list;
        for (auto one = meant.rbegin(); one != meant.rend(); ++one) list += fmt::format("\n#{} {}", question_mark(*one), shown_text(one->text));
        return tell_person(service, *saying, 400, fmt::format("Several questions are open here. Begin with the mark of the one you mean, such as \"#{} yes\":{}", question_mark(meant.back()), list), "answer"),
               true;
    }
    const auto answer = read_answer(text, saying->question.schema);
    if (!answer) return no_answer(service, *saying, answer.error().what), true;
    saying->answer = {.question = saying->question.id, .answer = answer->value, .comment = answer->comment.substr(0, kLongestSaidComment), .way = fmt::format("chat {}", name(platform)),
                      .names = std::move(names), .event_scope = fmt::format("{}\n{}", trigger.name, call->who().name), .event_key = event_key(platform, said->id),
                      .event_sha256 = platform::sha256(event_fingerprint(platform, *said))};
    const bool taken = check_answer(service, saying->question, saying->answer.answer, [&service, saying](const Result<std::vector<std::string>>& mistakes) {
        if (!mistakes) return tell_person(service, *saying, 503, fmt::format("I could not check that: {}", mistakes.error().what), "unavailable");
        if (!mistakes->empty()) return no_answer(service, *saying, fmt::format("{} ({})", expected_words(saying->question.schema), fmt::join(*mistakes, "; ")));
        give(service, saying);
    });
    if (!taken) tell_person(service, *saying, 503, "Too much waits to be checked: please say it again later.", "unavailable");
    return true;
}

}  // namespace mill::factory::handler
