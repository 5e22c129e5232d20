// Which tasks a run can come to, and by which way.
#include <set>

#include <fmt/format.h>

#include "workflows/check/analysis.h"

namespace mill::workflows {
namespace {

class Flow {
public:
    Flow(Analysis& analysis, const Document& document) : analysis_(analysis), document_(document) {}

    /// True when a run that enters the list can come out of it at its end or by `exit`.
    bool walk(int number)
    {
        if (number < 0) return true;
        const TaskList& list = document_.lists[static_cast<std::size_t>(number)];
        const std::size_t count = list.tasks.size();
        std::vector<bool> reached(count, false), falls(count, false);
        std::vector<std::size_t> todo;
        bool leaves = count == 0;
        const auto reach = [&](std::size_t index) {
            if (index >= count) leaves = true;
            else if (!reached[index]) {
                reached[index] = true;
                todo.push_back(index);
            }
        };
        const auto follow = [&](const Directive& directive, std::size_t from) {
            switch (directive.kind) {
            case Directive::Kind::next: reach(from + 1); break;
            case Directive::Kind::exit: leaves = true; break;
            case Directive::Kind::end: break;
            case Directive::Kind::task:
                if (directive.index >= 0) reach(static_cast<std::size_t>(directive.index));
                else reach(from + 1);  // a mistake that loading has named
                break;
            }
        };
        reach(0);
        while (!todo.empty()) {
            const std::size_t at = todo.back();
            todo.pop_back();
            const Task& task = at_index(list, at);
            const bool completes = inside(task);
            if (task.if_ >= 0) reach(at + 1);  // skipped
            bool own = completes;
            for (const SwitchCase& one : task.cases) {
                follow(one.then, at);
                own = own && one.when >= 0;
                if (!own) break;
            }
            if (task.catch_ && task.catch_->then.kind != Directive::Kind::next) follow(task.catch_->then, at);
            if (own) follow(task.then, at);
            falls[at] = own && task.then.kind == Directive::Kind::next && !task.definition.contains("then");
        }
        bool quiet = false;  // of several unreachable tasks in a row, the first is named
        for (std::size_t i = 0; i < count; ++i) {
            const Task& task = at_index(list, i);
            if (!reached[i] && !quiet)
                analysis_.warn("unreachable", document_, task.pointer, fmt::format("task '{}' is never reached: no 'then' leads here, and the task before it goes elsewhere", task.name));
            quiet = !reached[i];
        }
        for (std::size_t i = 0; i < count; ++i)
            if (reached[i] && at_index(list, i).kind == TaskKind::switch_) falling(list, i, falls);
        return leaves;
    }

private:
    const Task& at_index(const TaskList& list, std::size_t index) const { return document_.tasks[static_cast<std::size_t>(list.tasks[index])]; }

    /// Walks the lists inside a task. True when the task can come to its end.
    bool inside(const Task& task)
    {
        switch (task.kind) {
        case TaskKind::raise: return false;
        case TaskKind::do_: return walk(task.list);
        case TaskKind::for_: walk(task.list); return true;
        case TaskKind::fork: {
            bool all = true, any = false;
            for (const int branch : task.branches) {
                const bool comes = walk(branch);
                all = all && comes;
                any = any || comes;
            }
            return task.compete ? any : all;
        }
        case TaskKind::try_: {
            const bool body = walk(task.list);
            if (!task.catch_) return body;
            return (task.catch_->list < 0 || walk(task.catch_->list)) || body;
        }
        default: return true;
        }
    }

    /// A case's block that runs on into the block of another case of the same switch.
    void falling(const TaskList& list, std::size_t at, const std::vector<bool>& falls)
    {
        const Task& decision = at_index(list, at);
        std::vector<bool> target(list.tasks.size(), false);
        for (const SwitchCase& one : decision.cases) {
            if (one.then.kind == Directive::Kind::task && one.then.index >= 0) target[static_cast<std::size_t>(one.then.index)] = true;
            if (one.then.kind == Directive::Kind::next && at + 1 < target.size()) target[at + 1] = true;
        }
        for (std::size_t from = 0; from < target.size(); ++from) {
            if (!target[from]) continue;
            std::size_t last = from;
            while (last + 1 < target.size() && last + 1 != at && falls[last] && !target[last + 1]) ++last;
            if (last + 1 >= target.size() || last + 1 == at || !falls[last] || !target[last + 1]) continue;
            const Task &before = at_index(list, last), &next = at_index(list, last + 1);
            if (!told_.insert(next.pointer).second) continue;
            analysis_.warn("fall-through", document_, next.pointer,
                           fmt::format("task '{}' is a target of the switch '{}', but is also reached by falling through from '{}': end that with 'then: exit', 'end' or a name, or say 'then: {}'",
                                       next.name, decision.name, before.name, next.name));
        }
    }

    Analysis& analysis_;
    const Document& document_;
    std::set<std::string> told_;
};

}  // namespace

void check_flow(Analysis& analysis)
{
    for (const Document* document : analysis.documents) {
        Flow flow(analysis, *document);
        flow.walk(document->main);
        for (const auto& [name, number] : document->functions)
            if (number >= 0) {
                const Task& task = document->tasks[static_cast<std::size_t>(number)];
                flow.walk(task.list);
                for (const int branch : task.branches) flow.walk(branch);
                if (task.catch_) flow.walk(task.catch_->list);
            }
    }
}

}  // namespace mill::workflows
