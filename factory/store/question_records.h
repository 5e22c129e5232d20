// factory/store/question_records.h -- what the store keeps of questions to people, and of jobs that other jobs' ends started.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>

#include "platform/base/clock.h"
#include "platform/base/json.h"

namespace mill::factory {

/// Numbers stand in the store: append only. Withdrawn: its job ended, or went on without it.
enum class QuestionState { open, answered, expired, withdrawn };
std::string_view name(QuestionState state);
std::optional<QuestionState> parse_question_state(std::string_view text);

/// Approval: yes or no; before the job starts, when no attempt asks. Tell asks nothing, and is not stored.
enum class QuestionKind { approval, ask, tell };
std::string_view name(QuestionKind kind);

struct QuestionRecord {
    std::string id, job, trigger;    ///< uid of the job; name of its trigger
    std::uint32_t attempt = 0;       ///< that asked; 0: the factory asks, before there is one
    QuestionKind kind = QuestionKind::approval;
    std::string text;
    Json schema;                     ///< of the answer; null: any
    Json by;                         ///< ["role:operator", "user:anna", "token:ID", "chat:USER", "conversation"]: one of them has to be the answerer's
    Json not_by;                     ///< names of those who asked for the job themselves
    Json at_deadline;                ///< {answer: …}: what holds when nobody answered in time; null: nothing does
    Milliseconds starts_within{0};   ///< of an approval: how long its job may wait afterwards; 0: for ever
    std::string conversation;        ///< in which it may be answered ("TRIGGER ID"), or empty
    WallTime created;
    std::optional<WallTime> deadline;
    QuestionState state = QuestionState::open;
    Json answer;
    std::string comment, answered_by, way;   ///< way: "api", "chat slack", "deadline"
    std::optional<WallTime> closed;
    std::string why;                 ///< of one that was withdrawn
};

/// "role operator, user anna or the conversation", of QuestionRecord::by.
std::string who_words(const Json& by);
/// By which an answer in a chat says which of several questions it means: the end of its id.
inline std::string question_mark(const QuestionRecord& question) { return question.id.substr(question.id.size() - std::min<std::size_t>(question.id.size(), 4)); }

struct QuestionQuery {
    std::optional<QuestionState> state;
    std::string job, conversation;   ///< empty: any
    std::string cursor;
    std::size_t limit = 50;          ///< newest first
};

}  // namespace mill::factory
