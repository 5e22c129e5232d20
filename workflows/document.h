// workflows/document.h -- a loaded workflow as plain values: tasks in one table, lists of them, expressions by number.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "platform/base/clock.h"
#include "platform/base/json.h"
#include "platform/base/yaml.h"
#include "workflows/path.h"

namespace mill::workflows {

class Schema;  // workflows/schema.h

/// One expression with its place. Trivial ones carry a literal or a plain path; others a number in the package's program.
struct Expression {
    std::string text;     ///< without ${ }
    std::string pointer;  ///< where it stands
    Mark mark;
    std::optional<Json> literal;
    std::optional<PlainPath> path;
    std::vector<std::string> variables;  ///< what the program's branch is given, in this order
    int branch = -1;                     ///< in the program; set when the package is compiled
};

/// A value in which whole strings `${…}` are expressions.
struct Template {
    struct Member;
    enum class Kind { constant, expression, array, object } kind = Kind::constant;
    Json constant;
    int expression = -1;
    std::vector<Template> items;
    std::vector<Member> members;
};
struct Template::Member {
    std::string key;
    Template value;
};

struct DurationSpec {
    std::optional<Milliseconds> fixed;
    Template value;  ///< evaluated when not fixed
};

struct DataFilter {
    std::optional<Template> shape;        ///< `from` or `as`
    std::shared_ptr<const Schema> schema;
    Json schema_document;
};

struct Directive {
    enum class Kind { next, exit, end, task } kind = Kind::next;
    std::string name;  ///< of the task
    int index = -1;    ///< in its list
};

struct SwitchCase {
    std::string name;
    int when = -1;  ///< -1: always
    Directive then;
};

struct ErrorFilter {
    std::optional<std::string> type, instance, title, detail;
    std::optional<int> status;
};

struct RetryPolicy {
    int when = -1, except_when = -1;
    std::optional<DurationSpec> delay;
    enum class Backoff { none, constant, exponential, linear } backoff = Backoff::none;
    std::optional<std::int64_t> attempts;
    std::optional<DurationSpec> attempt_duration, duration;
    std::optional<DurationSpec> jitter_from, jitter_to;
    bool shared = false;  ///< of use.retries: the fault is its $error, whatever the catch calls it
};

struct CatchClause {
    ErrorFilter errors;
    std::string as = "error";
    int when = -1, except_when = -1;
    std::optional<RetryPolicy> retry;
    int list = -1;  ///< catch.do
    Directive then;
};

enum class TaskKind { call_activity, call_function, call_http, call_openapi, do_, emit, for_, fork, raise, run_script, run_shell, run_workflow, set, switch_, try_, wait };

struct Task {
    std::string name, pointer;
    Mark mark;
    TaskKind kind = TaskKind::do_;
    Json definition;
    int if_ = -1;
    DataFilter input, output, export_;
    std::optional<DurationSpec> timeout;
    Directive then;

    std::string target;        ///< call: function or activity; run workflow: the document's name
    Template body;             ///< set, call's with, emit's event, raise's error, shell, script, workflow input
    int list = -1;             ///< do, for.do, try
    std::vector<int> branches; ///< fork: lists of one task
    bool compete = false;
    std::string each = "item", at = "index";
    int in = -1, while_ = -1;
    std::vector<SwitchCase> cases;
    std::optional<CatchClause> catch_;
    std::optional<DurationSpec> duration;  ///< wait
    std::string definition_code;  ///< run script: the code, as written or out of the package
    bool endpoint_is_expression = false;  ///< call: http: what it gives is an address, never more
    std::string returns;          ///< run: stdout, stderr, code, all, none
    bool await = true;
    std::vector<std::string> reveal;  ///< run shell, script: the secrets whose values its environment and stdin may hold (metadata.reveal)
};

struct TaskList {
    std::vector<int> tasks;  ///< numbers in Document::tasks
    std::string pointer;
};

struct Document {
    std::string file;
    std::string root;  ///< where its package's files lie: "", or dependencies/NAME/ …
    std::string ns, name, version, title;
    Json source;  ///< the document as data: $workflow.definition
    Json schedule;
    DataFilter input, output;
    std::optional<DurationSpec> timeout;
    std::map<std::string, int> functions;  ///< use.functions → task
    std::vector<std::string> secrets;      ///< use.secrets
    std::map<std::string, std::set<std::string>> secret_fields;   ///< what expressions use of each: handles are made for these
    std::map<std::string, Template, std::less<>> authentications; ///< use.authentications
    std::vector<Expression> expressions;
    std::vector<Task> tasks;
    std::vector<TaskList> lists;
    int main = -1;
    Marks marks;

    std::string qualified_name() const { return name + "." + ns; }
};

std::string_view name(TaskKind kind);  ///< "call", "do", "emit", …
/// What the task calls or runs: "http", "openapi", "shell", "script", "workflow", an activity or a function; "" for other kinds.
std::string call_name(const Task& task);

}  // namespace mill::workflows
