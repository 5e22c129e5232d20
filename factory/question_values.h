// factory/question_values.h -- what the core is asked and told of questions to people.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "factory/store/question_records.h"
#include "platform/base/clock.h"
#include "protocol/event.h"

namespace mill::factory {

constexpr std::size_t kOpenQuestions = 100;   ///< of one job

/// A running attempt asks. `id` is the asker's own (a uid): said again it is the same question.
struct AskRequest {
    std::string id;
    protocol::AttemptId attempt;
    QuestionKind kind = QuestionKind::ask;
    std::string text;
    Json schema, by;                       ///< as QuestionRecord has them; `by` empty: whoever the job is for
    bool not_requester = false;            ///< whoever asked for the job may not answer
    std::optional<Milliseconds> within;
    Json at_deadline;
};

struct QuestionAnswer {
    std::string question;                  ///< id
    Json answer;                           ///< fits the question's schema: the caller has looked
    std::string comment, way;              ///< way: as QuestionRecord has it
    std::vector<std::string> names;        ///< what the answerer goes by: as QuestionRecord::by
    std::string event_scope, event_key, event_sha256;   ///< of an event of a chat, as `accept_run` keeps them: it counts once
    std::string agent{};                   ///< name of the one at whose desktop it was given
};

struct Answered {
    /// taken; known: this event of the chat was heard before; answered, over: too late; own: asked for the job; not_asked: nothing in `by` is the answerer's.
    enum class Verdict { taken, known, answered, over, own, not_asked } verdict = Verdict::taken;
    QuestionRecord question;
    std::string why;                       ///< a sentence, of what was not taken
};

}  // namespace mill::factory
