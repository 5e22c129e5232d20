// workflows/reader.h -- the loader's state while it reads one document; private to loader*.cpp.
#pragma once

#include <initializer_list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "workflows/loader.h"

namespace mill::workflows {

/// A value and where it stands.
struct Node {
    const Json* value = nullptr;
    std::string pointer;
    Node at(std::string_view key) const;       ///< a member (value: null constant when absent)
    Node at(std::size_t index) const;
    bool has(std::string_view key) const { return value->contains(key); }
    explicit operator bool() const { return value != nullptr; }
};

std::optional<std::string_view> braced(std::string_view text);  ///< the inside of `${ … }`, when the whole text is one
std::vector<std::string> plus_names(std::vector<std::string> names, std::initializer_list<std::string_view> more);
bool is_variable_name(const std::string& text);  ///< an identifier that hides none of the language's own names

class Reader {
public:
    Reader(Document& document, std::string file, const AssetLookup& assets, std::vector<Finding>& findings)
        : doc(document), file_(std::move(file)), assets_(assets), findings_(findings) {}

    void document(const Node& root);

    std::string_view text_of_file;  ///< for places inside expressions; may be empty

private:
    using Names = std::vector<std::string>;
    using Places = std::map<std::string, int>;  // of the tasks of a list, by name

    // Findings. Each returns false, so that `return error(…)` reads well.
    bool error(const std::string& pointer, std::string text, std::string_view code = "document");
    void warning(const std::string& pointer, std::string text, std::string_view code = "document");
    bool object(const Node& node, std::string_view what);
    bool text(const Node& node, std::string_view what);
    bool keys(const Node& node, std::string_view what, std::initializer_list<std::string_view> allowed);
    bool require(const Node& node, std::string_view what, std::initializer_list<std::string_view> names);

    // Pieces.
    int expression(const Node& node, const Names& scope);           ///< always an expression, braces optional; -1 with a finding
    int add_expression(std::string_view text, const Node& node, const Names& scope);
    void not_evaluated(const Node& node);  ///< a text with ${…} in it: says the spelling that works
    void texts_not_evaluated(const Node& node);  ///< the same for each such text in it
    Template templated(const Node& node, const Names& scope, bool quiet = false);  ///< quiet: no warning of partial ${…}
    std::optional<DurationSpec> duration(const Node& node, const Names& scope);
    std::optional<DurationSpec> timeout(const Node& node, const Names& scope);
    DataFilter filter(const Node& node, std::string_view what, std::string_view shape_key, const Names& scope);
    std::shared_ptr<const Schema> schema(const Node& node, Json& document);
    void secrets_of(std::string_view text, const Node& node);

    // Document.
    void header(const Node& node);
    void use(const Node& node);
    void schedule(const Node& node);

    // Tasks.
    int task_list(const Node& node, const Names& locals);
    int task(const std::string& name, const Node& node, const Names& locals);
    void frame(Task& task, const Node& node, const Names& locals);
    void reveal(Task& task, const Node& metadata);
    Directive directive(const Node& node);
    void resolve(const TaskList& list);
    void resolve(Directive& directive, const Places& places, const std::string& pointer);
    bool kind(Task& task, const Node& node, const Names& locals);
    void call(Task& task, const Node& node, const Names& body);
    void call_http(Task& task, const Node& with, const Names& body);
    void call_openapi(Task& task, const Node& with, const Names& body);
    void call_activity(Task& task, const Node& node, const Names& body);
    void authentication(const Node& node);
    void oauth(const Node& node, const std::string& what, bool discovers);
    bool secret_name(const Node& node);
    void emit(Task& task, const Node& node, const Names& body);
    void for_task(Task& task, const Node& node, const Names& locals);
    void fork(Task& task, const Node& node, const Names& locals);
    void raise(Task& task, const Node& node, const Names& body);
    void run(Task& task, const Node& node, const Names& body);
    void switch_task(Task& task, const Node& node, const Names& body);
    void try_task(Task& task, const Node& node, const Names& locals);
    RetryPolicy retry(const Node& node, const Names& scope);
    ErrorFilter error_filter(const Node& node);
    Template error_definition(const Node& node, const Names& scope);

    Document& doc;
    std::string file_;
    const AssetLookup& assets_;
    std::vector<Finding>& findings_;
    Node use_;
    std::size_t depth_ = 0;
    bool full_ = false;  ///< too many tasks: said once
};

}  // namespace mill::workflows
