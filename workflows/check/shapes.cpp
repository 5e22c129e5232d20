// Values that are written out, wholly or in part, and cannot fit the schema that they will meet.
#include <fmt/format.h>

#include "workflows/certain.h"
#include "workflows/check/analysis.h"

namespace mill::workflows {
namespace {

class Shapes {
public:
    Shapes(Analysis& analysis, const Document& document) : analysis_(analysis), document_(document) {}

    void task(const Task& task)
    {
        if (task.kind == TaskKind::set && !task.output.shape) fits(task.output, task.body, task.pointer + "/set", "output.schema of the task");
        if (task.output.shape) fits(task.output, *task.output.shape, task.pointer + "/output/as", "output.schema of the task");
        if (task.export_.shape) fits(task.export_, *task.export_.shape, task.pointer + "/export/as", "export.schema of the task");
        if (task.in >= 0) loop(task);
        if (task.kind == TaskKind::run_workflow && given(task)) {
            const Document* target = find_workflow(analysis_.package, document_, task.target);
            if (target != nullptr) fits(target->input, task.body, task.pointer + "/run/workflow/input", fmt::format("input.schema of the workflow '{}'", target->name));
        }
        if (task.kind == TaskKind::call_function && given(task)) {
            const auto found = document_.functions.find(task.target);
            if (found != document_.functions.end() && found->second >= 0)
                fits(document_.tasks[static_cast<std::size_t>(found->second)].input, task.body, task.pointer + "/with", fmt::format("input.schema of the function '{}'", task.target));
        }
        if (task.kind == TaskKind::call_http) address(task.definition["with"]["endpoint"], task.pointer + "/with/endpoint");
    }

    void whole()
    {
        if (document_.output.shape) fits(document_.output, *document_.output.shape, "/output/as", "output.schema of the workflow");
    }

private:
    static bool given(const Task& task) { return task.body.expression != -2; }  // else its input is the task's

    void fits(const DataFilter& filter, const Template& value, const std::string& pointer, const std::string& whose)
    {
        if (filter.schema_document.is_null() || !filter.schema) return;
        certain_mistakes(filter.schema_document, literal(value), pointer, [&](const std::string& at, std::string what) {
            analysis_.error("schema-mismatch", document_, at, fmt::format("this never fits the {}: {}", whose, what));
        });
    }

    /// `${ 5 }` is known, too.
    Template literal(const Template& value) const
    {
        if (value.kind != Template::Kind::expression || value.expression < 0) return value;
        const Expression& expression = document_.expressions[static_cast<std::size_t>(value.expression)];
        if (!expression.literal) return value;
        Template out;
        out.constant = *expression.literal;
        return out;
    }

    void loop(const Task& task)
    {
        const Expression& in = document_.expressions[static_cast<std::size_t>(task.in)];
        if (in.literal && !in.literal->is_array()) analysis_.error("schema-mismatch", document_, in.pointer, fmt::format("'for.in' must give an array, not {}", in.literal->kind_name()));
    }

    void address(const Json& endpoint, const std::string& pointer)
    {
        const std::string& uri = (endpoint.is_object() ? endpoint["uri"] : endpoint).as_string();
        if (uri.empty() || uri.find_first_of("{$") != std::string::npos) return;
        const std::size_t host = uri.starts_with("https://") ? 8 : uri.starts_with("http://") ? 7 : 0;
        if (host > 0 && uri.find_first_of("/?#:", host) != host && host < uri.size()) return;
        analysis_.error("endpoint", document_, endpoint.is_object() ? pointer + "/uri" : pointer,
                        fmt::format("'{}' is no address of a server: {}", uri.substr(0, 100), host > 0 ? "it names no host" : "it begins with https:// or http://"));
    }

    Analysis& analysis_;
    const Document& document_;
};

}  // namespace

void check_shapes(Analysis& analysis)
{
    for (const Document* document : analysis.documents) {
        Shapes shapes(analysis, *document);
        for (const Task& task : document->tasks) shapes.task(task);
        shapes.whole();
    }
}

}  // namespace mill::workflows
