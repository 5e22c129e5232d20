// Questions to people, and which job's end started which job: read and written.
#include <fmt/format.h>

#include "factory/store/sqlite_reader.h"
#include "factory/store/sqlite_writer.h"

namespace mill::factory {

namespace {
constexpr std::string_view kQuestionStates[] = {"open", "answered", "expired", "withdrawn"};
constexpr std::string_view kQuestionKinds[] = {"approval", "ask", "tell"};
}  // namespace

std::string_view name(QuestionState state)
{
    const auto index = static_cast<std::size_t>(state);
    return index < std::size(kQuestionStates) ? kQuestionStates[index] : "?";
}

std::optional<QuestionState> parse_question_state(std::string_view text)
{
    for (std::size_t i = 0; i < std::size(kQuestionStates); ++i)
        if (kQuestionStates[i] == text) return static_cast<QuestionState>(i);
    return std::nullopt;
}

std::string_view name(QuestionKind kind)
{
    const auto index = static_cast<std::size_t>(kind);
    return index < std::size(kQuestionKinds) ? kQuestionKinds[index] : "?";
}

std::string who_words(const Json& by)
{
    std::string out;
    for (std::size_t i = 0; i < by.size(); ++i) {
        std::string one = by[i].as_string();
        if (one == "conversation") one = "anybody in the conversation";
        else if (const auto colon = one.find(':'); colon != std::string::npos) one = (one.starts_with("chat:") ? "the chat's user" : one.substr(0, colon)) + " " + one.substr(colon + 1);
        out += (i == 0 ? "" : i + 1 == by.size() ? " or " : ", ") + one;
    }
    return out;
}

namespace sqlite {
namespace {

constexpr std::string_view kQuestionColumns =   // of questions q join jobs j join names n
    "q.id, q.uid, j.uid, n.name, q.attempt, q.kind, q.asked, q.conversation, q.created, q.deadline, q.state, q.answer, q.comment, q.answered_by, q.way, q.closed, q.why";
constexpr std::string_view kQuestionTables = "questions q {} join jobs j on j.id = q.job join names n on n.id = j.trigger_id";

QuestionRecord question_row(const Rows& rows)
{
    const Json asked = rows.json(6);
    return {.id = rows.string(1), .job = rows.string(2), .trigger = rows.string(3), .attempt = static_cast<std::uint32_t>(rows.integer(4)),
            .kind = static_cast<QuestionKind>(rows.integer(5)), .text = asked["text"].as_string(), .schema = asked["schema"], .by = asked["by"], .not_by = asked["notBy"],
            .at_deadline = asked["atDeadline"], .starts_within = Milliseconds(asked["startsWithinMs"].as_integer()), .conversation = rows.string(7), .created = rows.time(8),
            .deadline = rows.optional_time(9), .state = static_cast<QuestionState>(rows.integer(10)), .answer = rows.json(11), .comment = rows.string(12),
            .answered_by = rows.string(13), .way = rows.string(14), .closed = rows.optional_time(15), .why = rows.string(16)};
}

}  // namespace

Result<QuestionRecord> SqliteReader::question(std::string_view id)
{
    static const std::string sql = fmt::format("select {} from {} where q.uid = ?1", kQuestionColumns, fmt::format(fmt::runtime(kQuestionTables), ""));
    Rows rows = db_.query(sql.c_str(), id);
    if (!rows.next()) return none(rows, "question", id);
    return question_row(rows);
}

Result<Page<QuestionRecord>> SqliteReader::questions(const QuestionQuery& query)
{
    const auto cursor = read_cursor(query.cursor);
    if (!cursor) return fail(cursor.error());
    std::optional<std::int64_t> state, job;
    if (query.state) state = static_cast<std::int64_t>(*query.state);
    if (!query.job.empty()) {
        const auto key = job_key(query.job);
        if (!key) return fail(key.error());
        job = *key;
    }
    static const auto made = [](std::string_view index, std::string_view condition) {
        return fmt::format("select {} from {} where {} and (?2 = 0 or q.id < ?2) and (?3 is null or q.state = ?3) and (?1 is null or q.job = ?1) "
                           "and (?4 = '' or q.conversation = ?4) order by q.id desc limit ?5",
                           kQuestionColumns, fmt::format(fmt::runtime(kQuestionTables), index), condition);
    };
    // Those that are open are few: all there ever were are not read for them.
    static const std::string kAll = made("", "true"), kOfJob = made("indexed by questions_job", "q.job = ?1"), kOpen = made("indexed by questions_open", "q.state = 0"),
                             kConversation = made("indexed by questions_conversation", "q.state = 0 and q.conversation = ?4");
    const bool open = query.state == QuestionState::open;
    const std::string& sql = job ? kOfJob : open && !query.conversation.empty() ? kConversation : open ? kOpen : kAll;
    Rows rows = db_.query(sql.c_str(), job, *cursor, state, query.conversation, std::uint64_t{query.limit});
    Page<QuestionRecord> page;
    std::int64_t last = 0;
    while (rows.next()) {
        page.items.push_back(question_row(rows));
        last = rows.integer(0);
    }
    if (!rows.status()) return fail(rows.status().error());
    if (query.limit > 0 && page.items.size() == query.limit) page.next = std::to_string(last);
    return page;
}

Status SqliteWriter::insert_question(JobKey job, const QuestionRecord& q)
{
    const Json asked = Json::object({{"text", q.text}, {"schema", q.schema}, {"by", q.by}, {"notBy", q.not_by}, {"atDeadline", q.at_deadline},
                                     {"startsWithinMs", q.starts_within.count()}});
    std::optional<std::string_view> conversation;
    if (!q.conversation.empty()) conversation = q.conversation;
    return db_->run("insert into questions(uid, job, attempt, kind, asked, conversation, created, deadline) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)", q.id, job, q.attempt,
                    static_cast<int>(q.kind), asked, conversation, q.created, q.deadline);
}

Status SqliteWriter::close_question(const QuestionRecord& q)
{
    // The condition is the promise that the first answer stays.
    if (auto ok = db_->run("update questions set state = ?2, answer = ?3, comment = ?4, answered_by = ?5, way = ?6, closed = ?7, why = ?8 where uid = ?1 and state = 0", q.id,
                           static_cast<int>(q.state), q.answer, q.comment, q.answered_by, q.way, q.closed, q.why);
        !ok)
        return ok;
    if (db_->changes() != 1) return fail(Errc::internal, fmt::format("question {} was not open", q.id));
    return {};
}

Result<std::vector<Writer::OpenQuestion>> SqliteWriter::open_questions()
{
    Rows rows = db_->query("select uid, job, attempt from questions indexed by questions_open where state = 0 order by id");
    std::vector<OpenQuestion> out;
    while (rows.next()) out.push_back({rows.string(0), rows.integer(1), static_cast<std::uint32_t>(rows.integer(2))});
    if (!rows.status()) return fail(rows.status().error());
    return out;
}

Result<std::vector<Writer::OpenQuestion>> SqliteWriter::answered_questions()
{
    Rows rows = db_->query("select q.uid, q.job, q.attempt from jobs j join questions q on q.job = j.id where j.state < 4 and j.state > 0 and q.state in (1, 2) and q.attempt = j.attempt and q.attempt > 0");
    std::vector<OpenQuestion> out;
    while (rows.next()) out.push_back({rows.string(0), rows.integer(1), static_cast<std::uint32_t>(rows.integer(2))});
    if (!rows.status()) return fail(rows.status().error());
    return out;
}

Result<std::vector<std::string>> SqliteWriter::due_questions(WallTime now, std::size_t limit)
{
    Rows rows = db_->query("select uid from questions where state = 0 and attempt > 0 and deadline <= ?1 order by deadline limit ?2", now, std::uint64_t{limit});
    std::vector<std::string> out;
    while (rows.next()) out.push_back(rows.string(0));
    if (!rows.status()) return fail(rows.status().error());
    return out;
}

Status SqliteWriter::job_expires(JobKey job, std::optional<WallTime> when) { return db_->run("update jobs set expires = ?2 where id = ?1 and state = 0", job, when); }

Status SqliteWriter::put_cause(JobKey job, std::string_view trigger, const Cause& cause)
{
    return db_->run("insert into causes(job, cause, trigger, depth, asked_by) values (?1, ?2, ?3, ?4, ?5)", job, cause.cause, trigger, cause.depth, dump_json(cause.asked_by));
}

Result<Cause> SqliteWriter::cause(JobKey job)
{
    Rows rows = db_->query("select cause, depth, asked_by from causes where job = ?1", job);
    if (rows.next()) return Cause{rows.integer(0), static_cast<std::uint32_t>(rows.integer(1)), rows.json(2)};
    if (!rows.status()) return fail(rows.status().error());
    return Cause{};
}

Result<bool> SqliteWriter::has_caused(JobKey cause, std::string_view trigger)
{
    Rows rows = db_->query("select 1 from causes where cause = ?1 and trigger = ?2", cause, trigger);
    if (rows.next()) return true;
    if (!rows.status()) return fail(rows.status().error());
    return false;
}

}  // namespace sqlite
}  // namespace mill::factory
