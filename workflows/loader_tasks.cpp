#include <algorithm>
#include <set>
#include <utility>

#include "platform/base/nearest.h"
#include "workflows/expression.h"
#include "workflows/reader.h"

namespace mill::workflows {
namespace {

constexpr std::size_t kDeepest = 24;       // lists within lists
constexpr std::size_t kMostTasks = 10'000; // of a document

using Names = std::vector<std::string>;

/// The names that expressions are given anyway; an author's variable must not hide them.
bool reserved(const std::string& name)
{
    static const std::set<std::string_view> kTaken = {"context", "input", "output", "secrets", "workflow", "task", "runtime", "authorization", "ENV"};
    return kTaken.contains(name);
}

}  // namespace

std::vector<std::string> plus_names(std::vector<std::string> names, std::initializer_list<std::string_view> more)
{
    for (const std::string_view name : more)
        if (std::find(names.begin(), names.end(), name) == names.end()) names.emplace_back(name);
    return names;
}

bool is_variable_name(const std::string& text)
{
    if (text.empty() || text.size() > 64 || (text[0] >= '0' && text[0] <= '9') || text.starts_with("__") || reserved(text)) return false;
    return std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; });
}

std::string_view name(TaskKind kind)
{
    switch (kind) {
    case TaskKind::call_activity:
    case TaskKind::call_function:
    case TaskKind::call_http:
    case TaskKind::call_openapi: return "call";
    case TaskKind::do_: return "do";
    case TaskKind::emit: return "emit";
    case TaskKind::for_: return "for";
    case TaskKind::fork: return "fork";
    case TaskKind::raise: return "raise";
    case TaskKind::run_script:
    case TaskKind::run_shell:
    case TaskKind::run_workflow: return "run";
    case TaskKind::set: return "set";
    case TaskKind::switch_: return "switch";
    case TaskKind::try_: return "try";
    case TaskKind::wait: return "wait";
    }
    return "?";
}

std::string call_name(const Task& task)
{
    switch (task.kind) {
    case TaskKind::call_http: return "http";
    case TaskKind::call_openapi: return "openapi";
    case TaskKind::call_activity:
    case TaskKind::call_function: return task.target;
    case TaskKind::run_script: return "script";
    case TaskKind::run_shell: return "shell";
    case TaskKind::run_workflow: return "workflow";
    default: return {};
    }
}

int Reader::task_list(const Node& node, const Names& locals)
{
    if (!node.value->is_array() || node.value->empty()) {
        error(node.pointer, fmt::format("a list of tasks is expected here (- name: {{…}}), not {}", node.value->empty() && !node.value->is_null() ? "an empty one" : node.value->kind_name()));
        return -1;
    }
    if (++depth_ > kDeepest) {
        error(node.pointer, fmt::format("tasks are nested deeper than {} levels", kDeepest));
        --depth_;
        return -1;
    }
    TaskList list;
    list.pointer = node.pointer;
    std::set<std::string> names;
    for (std::size_t i = 0; i < node.value->size(); ++i) {
        const Node item = node.at(i);
        if (!object(item, "a task")) continue;
        if (item.value->size() != 1) {
            error(item.pointer, "each item of a list of tasks is one name with its task; is the task's body indented enough?");
            continue;
        }
        const auto& [name, body] = *item.value->as_object().begin();
        const Node inner = item.at(name);
        if (name == "continue" || name == "exit" || name == "end")
            warning(inner.pointer, fmt::format("no 'then' can name this task: 'then: {}' is a flow directive", name), "directive-name");
        if (!names.insert(name).second) error(inner.pointer, fmt::format("a second task named '{}' in the same list", name));
        if (const int made = task(name, inner, locals); made >= 0) list.tasks.push_back(made);
    }
    resolve(list);
    doc.lists.push_back(std::move(list));
    --depth_;
    return static_cast<int>(doc.lists.size()) - 1;
}

int Reader::task(const std::string& name, const Node& node, const Names& locals)
{
    if (!object(node, fmt::format("task '{}'", name))) return -1;
    if (doc.tasks.size() >= kMostTasks) {
        if (!std::exchange(full_, true)) error(node.pointer, fmt::format("a workflow has at most {} tasks", kMostTasks));
        return -1;
    }
    Task made;
    made.name = name;
    made.pointer = node.pointer;
    made.definition = *node.value;
    if (const auto place = doc.marks.find(node.pointer); place != doc.marks.end()) made.mark = place->second;
    frame(made, node, locals);
    if (!kind(made, node, locals)) return -1;
    if (node.at("metadata").has("reveal")) reveal(made, node.at("metadata"));
    doc.tasks.push_back(std::move(made));
    return static_cast<int>(doc.tasks.size()) - 1;
}

void Reader::frame(Task& task, const Node& node, const Names& locals)
{
    const Names before = plus_names(locals, {"context", "secrets", "workflow", "runtime", "task"});
    const Names body = plus_names(before, {"input", "authorization"});
    if (node.has("if")) task.if_ = expression(node.at("if"), before);
    if (node.has("input")) task.input = filter(node.at("input"), "input", "from", before);
    if (node.has("output")) task.output = filter(node.at("output"), "output", "as", body);
    if (node.has("export")) task.export_ = filter(node.at("export"), "export", "as", plus_names(body, {"output"}));
    if (node.has("timeout")) task.timeout = timeout(node.at("timeout"), before);
    if (node.has("then")) task.then = directive(node.at("then"));
    if (node.has("metadata")) object(node.at("metadata"), "metadata");
}

/// metadata: { reveal: [ NAME ] }
void Reader::reveal(Task& task, const Node& metadata)
{
    const Node node = metadata.at("reveal");
    if (task.kind != TaskKind::run_shell && task.kind != TaskKind::run_script) {
        error(node.pointer, "only 'run: shell' and 'run: script' reveal secrets: everywhere else the broker puts the value in, and nobody needs to see it", "reveal");
        return;
    }
    if (!node.value->is_array()) {
        error(node.pointer, fmt::format("'metadata.reveal' is a list of secrets out of use.secrets, not {}", node.value->kind_name()), "reveal");
        return;
    }
    for (std::size_t i = 0; i < node.value->size(); ++i) {
        const Json& name = (*node.value)[i];
        if (!name.is_string()) error(node.at(i).pointer, fmt::format("'metadata.reveal' holds names of secrets, not {}", name.kind_name()), "reveal");
        else if (std::find(doc.secrets.begin(), doc.secrets.end(), name.as_string()) == doc.secrets.end())
            error(node.at(i).pointer, fmt::format("the secret '{}' is not declared in use.secrets{}", name.as_string(), did_you_mean(name.as_string(), doc.secrets)), "undeclared");
        else if (std::find(task.reveal.begin(), task.reveal.end(), name.as_string()) == task.reveal.end()) task.reveal.push_back(name.as_string());
    }
}

Directive Reader::directive(const Node& node)
{
    Directive out;
    if (!text(node, "'then'")) return out;
    const std::string& name = node.value->as_string();
    if (name == "exit") out.kind = Directive::Kind::exit;
    else if (name == "end") out.kind = Directive::Kind::end;
    else if (name != "continue") {
        out.kind = Directive::Kind::task;
        out.name = name;
    }
    return out;
}

void Reader::resolve(const TaskList& list)
{
    Places places;
    for (std::size_t i = 0; i < list.tasks.size(); ++i) places.emplace(doc.tasks[static_cast<std::size_t>(list.tasks[i])].name, static_cast<int>(i));
    for (const int number : list.tasks) {
        Task& task = doc.tasks[static_cast<std::size_t>(number)];
        resolve(task.then, places, task.pointer + "/then");
        for (std::size_t i = 0; i < task.cases.size(); ++i)
            resolve(task.cases[i].then, places, fmt::format("{}/switch/{}/{}/then", task.pointer, i, task.cases[i].name));
        if (task.catch_) resolve(task.catch_->then, places, task.pointer + "/catch/then");
    }
}

void Reader::resolve(Directive& directive, const Places& places, const std::string& pointer)
{
    if (directive.kind != Directive::Kind::task) return;
    if (const auto found = places.find(directive.name); found != places.end()) {
        directive.index = found->second;
        return;
    }
    Names names;
    for (const auto& [name, place] : places) names.push_back(name);
    error(pointer, fmt::format("'then' names '{}', but no task of this list is called so{}", directive.name, did_you_mean(directive.name, names)), "then");
}

bool Reader::kind(Task& task, const Node& node, const Names& locals)
{
    const Names body = plus_names(locals, {"context", "secrets", "workflow", "runtime", "task", "input", "authorization"});
    const auto known = [&](std::initializer_list<std::string_view> own) {
        for (const auto& [key, member] : node.value->as_object()) {
            static const std::vector<std::string> kFrame = {"if", "input", "output", "export", "timeout", "then", "metadata"};
            Names all(own.begin(), own.end());
            all.insert(all.end(), kFrame.begin(), kFrame.end());
            if (std::find(all.begin(), all.end(), key) == all.end())
                error(node.at(key).pointer, fmt::format("a '{}' task has no '{}'{}", *own.begin(), key, did_you_mean(key, all)), "unknown-key");
        }
    };
    if (node.has("listen")) return error(node.at("listen").pointer, "the task 'listen' is not supported: poll with 'wait' and a backward 'then', or start a job by a Trigger", "unsupported");
    if (node.has("for")) {
        known({"for", "while", "do"});
        task.kind = TaskKind::for_;
        for_task(task, node, locals);
    } else if (node.has("try")) {
        known({"try", "catch"});
        task.kind = TaskKind::try_;
        try_task(task, node, locals);
    } else if (node.has("fork")) {
        known({"fork"});
        task.kind = TaskKind::fork;
        fork(task, node.at("fork"), locals);
    } else if (node.has("do")) {
        known({"do"});
        task.kind = TaskKind::do_;
        task.list = task_list(node.at("do"), locals);
    } else if (node.has("call")) {
        known({"call", "with"});
        call(task, node, body);
    } else if (node.has("emit")) {
        known({"emit"});
        task.kind = TaskKind::emit;
        emit(task, node.at("emit"), body);
    } else if (node.has("raise")) {
        known({"raise"});
        task.kind = TaskKind::raise;
        raise(task, node.at("raise"), body);
    } else if (node.has("run")) {
        known({"run"});
        run(task, node.at("run"), body);
    } else if (node.has("set")) {
        known({"set"});
        task.kind = TaskKind::set;
        const Node set = node.at("set");
        if (!set.value->is_object() && !set.value->is_string()) return error(set.pointer, "'set' is an object or one expression");
        task.body = templated(set, body);
        if (set.value->is_string() && task.body.kind != Template::Kind::expression) error(set.pointer, "'set' with a text needs an expression: ${ … }");
    } else if (node.has("switch")) {
        known({"switch"});
        task.kind = TaskKind::switch_;
        switch_task(task, node.at("switch"), body);
    } else if (node.has("wait")) {
        known({"wait"});
        task.kind = TaskKind::wait;
        task.duration = duration(node.at("wait"), body);
    } else {
        static const Names kKinds = {"call", "do", "emit", "for", "fork", "raise", "run", "set", "switch", "try", "wait"};
        std::string hint;
        for (const auto& [key, member] : node.value->as_object())
            if (hint.empty()) hint = did_you_mean(key, kKinds);
        return error(node.pointer, fmt::format("task '{}' has none of call, do, emit, for, fork, raise, run, set, switch, try, wait{}", task.name, hint));
    }
    return true;
}

void Reader::for_task(Task& task, const Node& node, const Names& locals)
{
    const Node loop = node.at("for");
    if (keys(loop, "'for'", {"each", "in", "at"})) require(loop, "'for'", {"in"});
    for (const auto& [key, into] : {std::pair{"each", &task.each}, std::pair{"at", &task.at}}) {
        if (!loop.value->is_object() || !loop.has(key) || !text(loop.at(key), key)) continue;
        *into = loop.at(key).value->as_string();
        if (!is_variable_name(*into)) error(loop.at(key).pointer, fmt::format("'{}' cannot be a variable's name", *into));
    }
    const Names all = plus_names(locals, {"context", "secrets", "workflow", "runtime", "task", "input", "authorization"});
    if (loop.value->is_object() && loop.has("in")) {
        const Node in = loop.at("in");
        task.in = in.value->is_array() ? add_expression(dump_json(*in.value), in, all) : expression(in, all);
    }
    const Names inside = plus_names(locals, {task.each, task.at});
    if (node.has("while")) task.while_ = expression(node.at("while"), plus_names(all, {task.each, task.at}));
    if (!node.has("do")) error(node.pointer, "'for' needs 'do'");
    else task.list = task_list(node.at("do"), inside);
}

void Reader::fork(Task& task, const Node& node, const Names& locals)
{
    if (!keys(node, "'fork'", {"branches", "compete"}) || !require(node, "'fork'", {"branches"})) return;
    if (node.has("compete")) {
        if (!node.at("compete").value->is_bool()) error(node.at("compete").pointer, "'compete' is true or false");
        task.compete = node.at("compete").value->as_bool();
    }
    const Node branches = node.at("branches");
    if (!branches.value->is_array() || branches.value->empty()) {
        error(branches.pointer, "'branches' is a list of tasks");
        return;
    }
    if (branches.value->size() > 100) error(branches.pointer, "more than 100 branches");
    for (std::size_t i = 0; i < branches.value->size(); ++i) {
        const Node item = branches.at(i);
        if (!item.value->is_object() || item.value->size() != 1) {
            error(item.pointer, "each branch is one name with its task");
            continue;
        }
        TaskList list;
        list.pointer = branches.pointer;
        const std::string& name = item.value->as_object().begin()->first;
        if (++depth_ > kDeepest) {
            error(item.pointer, fmt::format("tasks are nested deeper than {} levels", kDeepest));
        } else if (const int made = this->task(name, item.at(name), locals); made >= 0) {
            list.tasks.push_back(made);
            resolve(list);
            doc.lists.push_back(std::move(list));
            task.branches.push_back(static_cast<int>(doc.lists.size()) - 1);
        }
        --depth_;
    }
}

void Reader::raise(Task& task, const Node& node, const Names& body)
{
    if (!keys(node, "'raise'", {"error"}) || !require(node, "'raise'", {"error"})) return;
    Node what = node.at("error");
    if (what.value->is_string()) {
        const std::string name = what.value->as_string();
        const Node errors = use_ ? use_.at("errors") : Node{};
        if (!errors || !errors.has(name)) {
            error(what.pointer, fmt::format("the error '{}' is not declared in use.errors", name), "undeclared");
            return;
        }
        what = errors.at(name);
    }
    task.body = error_definition(what, body);
}

void Reader::emit(Task& task, const Node& node, const Names& body)
{
    if (!keys(node, "'emit'", {"event"}) || !require(node, "'emit'", {"event"})) return;
    const Node event = node.at("event");
    if (!keys(event, "an event", {"with"}) || !require(event, "an event", {"with"})) return;
    const Node with = event.at("with");
    if (!object(with, "an event's 'with'")) return;
    require(with, "an event", {"source", "type"});
    task.body = templated(with, body);
}

void Reader::switch_task(Task& task, const Node& node, const Names& body)
{
    if (!node.value->is_array() || node.value->empty()) {
        error(node.pointer, "'switch' is a list of cases (- name: {when: …, then: …})");
        return;
    }
    for (std::size_t i = 0; i < node.value->size(); ++i) {
        const Node item = node.at(i);
        if (!item.value->is_object() || item.value->size() != 1) {
            error(item.pointer, "each case is one name with {when, then}");
            continue;
        }
        const std::string& name = item.value->as_object().begin()->first;
        const Node one = item.at(name);
        if (!keys(one, "a case", {"when", "then"}) || !require(one, "a case", {"then"})) continue;
        SwitchCase made;
        made.name = name;
        if (one.has("when")) made.when = expression(one.at("when"), body);
        made.then = directive(one.at("then"));
        if (!one.has("when") && i + 1 < node.value->size()) warning(one.pointer, fmt::format("case '{}' has no 'when': the cases behind it are never reached", name), "unreachable");
        task.cases.push_back(std::move(made));
    }
}

}  // namespace mill::workflows
