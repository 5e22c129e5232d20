#include <fmt/format.h>

#include "factory/api/approvers.h"
#include "factory/api/checked.h"
#include "factory/api/compiled_notifiers.h"
#include "factory/api/etag.h"
#include "factory/api/handlers.h"
#include "factory/api/render.h"
#include "factory/api/rights.h"

namespace mill::factory::handler {
namespace {

ResourceKind kind_in(const Call& call)
{
    std::string_view path = call.http.path;
    path.remove_prefix(std::string_view("/v1/").size());
    return parse_resource_kind(path.substr(0, path.find('/'))).value_or(ResourceKind::environment);   // the route table has these only
}

}  // namespace

/// A notifier with how it goes with its receiver.
static Json with_delivery_state(Reader& reader, const Document& document)
{
    Json out = resource_json(document);
    if (document.kind != "Notifier") return out;
    const auto state = reader.notifier_state(document.name);
    if (!state) return out;
    Json status = out["status"];
    return out.set("status", status.set("deliveries", notifier_state_json(*state)));
}

void list_resources(Service& service, const CallPtr& call)
{
    const auto reader = service.core.reader();
    auto documents = reader->documents(word(kind_in(*call)));
    if (!passed(*call, documents)) return;
    Json items = Json::array();
    const std::string type(call->http.query_value("type")), user(call->http.query_value("for"));   // of triggers
    for (const Document& each : *documents) {
        if ((!type.empty() && each.spec["type"].as_string() != type) || (!user.empty() && !assigned_to(*reader, each.spec, user))) continue;
        if (call->identity.everywhere() || sees(*call, place_of_document(specs_in(*reader), each.kind, each.name, each.spec)) || each.kind == "Calendar")
            items.push(with_delivery_state(*reader, each));
    }
    reply(*call, 200, Json::object({{"items", std::move(items)}}));
}

static Json with_urls(Service& service, const Call& call, const Document& document)
{
    Json out = document.kind == "Notifier" ? with_delivery_state(*service.core.reader(), document) : resource_json(document);
    if (document.kind != "Trigger") return out;
    const std::string base = service.base_url(call.http);
    Json status = out["status"];
    status.set("urls", Json::object({{"v1", Json(fmt::format("{}/v1/triggers/{}/runs", base, document.name))},
                                     {"runtime", Json(fmt::format("{}/runtime/v1/apiTriggers/{}/runs", base, document.uid))},
                                     {"apitrigger", Json(fmt::format("{}/apitrigger/v1/triggers/{}/run", base, document.uid))}}));
    return out.set("status", std::move(status));
}

void get_resource(Service& service, const CallPtr& call)
{
    const auto kind = kind_in(*call);
    auto document = service.core.reader()->document(word(kind), (*call)["name"]);
    if (!document && document.error().code == Errc::not_found)
        return reply_problem(*call, 404, fmt::format("{} '{}' is not there; GET /v1/{} lists those there are", word(kind), (*call)["name"], plural(kind)));
    if (!passed(*call, document)) return;
    const std::string tag = etag_of(*document);
    // A notifier is shown with how it goes with its receiver, which no tag follows.
    if (kind != ResourceKind::notifier && tag_in(call->http.header("if-none-match"), tag, true)) return reply_unchanged(*call, tag);
    reply(*call, 200, with_urls(service, *call, *document), {{"ETag", tag}});
}

static Json with_warnings(Json answer, const std::vector<std::string>& warnings)
{
    if (!warnings.empty()) answer.set("warnings", texts_json(warnings));
    return answer;
}

static void put_checked(Service& service, const CallPtr& call, const Checked& checked)
{
    if (flag_of(*call, "dryRun")) {
        Json out = Json::object({{"kind", Json(word(checked.document.kind))}, {"name", Json(checked.document.name)}, {"result", Json(checked.result())}, {"differences", checked.changes}});
        if (!checked.with.empty()) out.set("with", results_of(checked.with));
        return reply(*call, 200, with_warnings(std::move(out), checked.warnings));
    }
    if (checked.result() == "unchanged" && checked.with.empty())
        return reply(*call, 200, with_warnings(with_urls(service, *call, *checked.stored), checked.warnings), {{"ETag", etag_of(*checked.stored)}});
    const int status = checked.stored ? 200 : 201;
    service.core.put_documents(step_of(checked), call->who(), [call, status, &service, warnings = checked.warnings](Result<Document> stored) {
        if (passed(*call, stored)) reply(*call, status, with_warnings(with_urls(service, *call, *stored), warnings), {{"ETag", etag_of(*stored)}});
    });
}

void put_resource(Service& service, const CallPtr& call)
{
    const auto kind = kind_in(*call);
    const auto json = read_json(*call);
    if (!json) return;
    auto document = parse_document(*json, kind, (*call)["name"]);
    if (!passed(*call, document)) return;
    const std::string name = document->name;
    {
        const auto reader = service.core.reader();
        const auto stored = reader->document(word(kind), name);
        if (!may_write(service, *call, specs_in(*reader), word(kind), name, document->spec, stored ? stored->spec : Json())) return;
    }
    if (!may_hear(service, *call, specs_in(*service.core.reader()), document->spec)) return;
    Result<Checked> checked = fail(Errc::internal, "");
    {
        const auto reader = service.core.reader();
        auto outcome = check(service, *reader, std::move(*document), {}, {flag_of(*call, "accept"), flag_of(*call, "force"), call->identity.has(Role::admin, {})});
        if (!outcome) return refuse(*call, outcome.error());
        checked = std::move(*outcome);
    }
    if (!preconditions_hold(*call, checked->stored, checked->document.spec)) return;
    std::vector<ResourceDocument> notifiers;
    if (needs_compiling(*checked)) notifiers.push_back(checked->document);
    with_compiled(service, call, std::move(notifiers), [&service, call, checked = std::move(*checked)](const std::vector<NotFitting>& wrong) {
        if (!wrong.empty()) return reply_error(*call, wrong.front().error);
        put_checked(service, call, checked);
    });
}

void delete_resource(Service& service, const CallPtr& call)
{
    const std::string kind(word(kind_in(*call)));
    const auto stored = service.core.reader()->document(kind, (*call)["name"]);
    if (!passed(*call, stored) || !preconditions_hold(*call, *stored, {})) return;
    if (!may_delete(service, *call, *service.core.reader(), *stored)) return;
    const bool careful = !call->http.header("if-match").empty();
    service.core.delete_document(kind, (*call)["name"], careful ? stored->generation : 0, call->who(), [call, &service, tokens = tokens_of(*service.core.reader(), kind, stored->name)](const Result<Nothing>& done) {
        for (const std::string& id : tokens) service.tokens.forget(id);
        if (passed(*call, done)) reply_empty(*call);
    });
}

}  // namespace mill::factory::handler
