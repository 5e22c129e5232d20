#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "factory/api/compiled_notifiers.h"
#include "factory/api/handlers.h"
#include "factory/api/references.h"
#include "factory/api/render.h"
#include "factory/api/version_checks.h"
#include "platform/base/fields.h"
#include "protocol/problem.h"

namespace mill::factory::handler {
namespace {

ResourceKind kind_in(const Call& call)
{
    std::string_view path = call.http.path;
    path.remove_prefix(std::string_view("/v1/").size());
    return parse_resource_kind(path.substr(0, path.find('/'))).value_or(ResourceKind::environment);   // the route table has these only
}

/// One document, checked against everything; what the store has of it now.
struct Checked {
    ResourceDocument document;
    std::optional<Document> stored;
    Json changes = Json::array();
    std::vector<std::string> warnings;
    std::string_view result() const { return !stored ? "created" : changes.empty() ? "unchanged" : "changed"; }
};

struct Consent {
    bool accept = false;   ///< of permissions that a version newly asks for
    bool force = false;    ///< to go to a version that was rolled back
};

tl::expected<Checked, Refusal> check(Service& service, Reader& reader, ResourceDocument document, const std::vector<ResourceDocument>& overlay, Consent consent)
{
    Checked out;
    if (auto stored = reader.document(word(document.kind), document.name)) out.stored = std::move(*stored);
    const References references = references_in(reader, overlay);
    const Json granted_before = out.stored ? out.stored->spec["granted"] : Json();
    const Status fine = document.kind == ResourceKind::notifier && service.options.check_notifier ? service.options.check_notifier(document.spec) : Status();
    if (auto checked = check_references(document, references, granted_before, consent.accept); !checked) {
        if (!fine) checked.error().error.what += "; " + fine.error().what;   // both at once
        return tl::unexpected(std::move(checked.error()));
    }
    if (!fine) return tl::unexpected(Refusal{{fine.error().code, fmt::format("Notifier '{}': {}", document.name, fine.error().what)}, {}});
    if (document.kind == ResourceKind::deployment) {
        auto warnings = check_version(reader, document, out.stored, consent.force);
        if (!warnings) return tl::unexpected(std::move(warnings.error()));
        out.warnings = std::move(*warnings);
    }
    if (document.kind == ResourceKind::deployment)
        if (const auto lost = lost_workflows(document, reader, references, overlay); !lost.empty())
            return tl::unexpected(Refusal{{Errc::conflict, fmt::format("Deployment '{}': {} has no workflow {}", document.name,
                                                                       document.spec["package"].as_string(), fmt::join(lost, ", "))}, {}});
    if (document.kind == ResourceKind::trigger && out.stored && !document.spec.contains("paused"))
        for (const std::string_view kept : {"paused", "pausedWhy"})
            if (const Json* value = out.stored->spec.find(kept)) document.spec.set(kept, *value);
    const Json bare = Json::object({{"kind", document.spec["kind"]}, {"name", document.spec["name"]}});   // of a new one the rest is news
    out.changes = differences(out.stored ? out.stored->spec : bare, document.spec);
    out.document = std::move(document);
    return out;
}

Json texts_json(const std::vector<std::string>& texts)
{
    Json list = Json::array();
    for (const auto& item : texts) list.push(Json(item));
    return list;
}

void refuse(const Call& call, const Refusal& refusal)
{
    if (refusal.missing.empty()) return reply_error(call, refusal.error);
    reply_problem(call, protocol::status_of(refusal.error.code), refusal.error.what, "permissions", Json::object({{"missing", texts_json(refusal.missing)}}));
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
    for (const Document& each : *documents) {
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
    if (passed(*call, document)) reply(*call, 200, with_urls(service, *call, *document));
}

static bool needs_compiling(const Checked& checked) { return checked.document.kind == ResourceKind::notifier && checked.result() != "unchanged"; }

static Json with_warnings(Json answer, const std::vector<std::string>& warnings)
{
    if (!warnings.empty()) answer.set("warnings", texts_json(warnings));
    return answer;
}

static void put_checked(Service& service, const CallPtr& call, const Checked& checked)
{
    const std::string kind(word(checked.document.kind));
    if (flag_of(*call, "dryRun"))
        return reply(*call, 200, with_warnings(Json::object({{"kind", Json(kind)}, {"name", Json(checked.document.name)}, {"result", Json(checked.result())}, {"differences", checked.changes}}), checked.warnings));
    if (checked.result() == "unchanged") return reply(*call, 200, with_warnings(with_urls(service, *call, *checked.stored), checked.warnings));
    const int status = checked.stored ? 200 : 201;
    const std::uint64_t generation = checked.stored ? checked.stored->generation : 0;
    service.core.put_document(kind, checked.document.name, checked.document.spec, generation, call->who(),
                              [call, status, &service, warnings = checked.warnings](Result<Document> stored) {
                                  if (passed(*call, stored)) reply(*call, status, with_warnings(with_urls(service, *call, *stored), warnings));
                              });
}

void put_resource(Service& service, const CallPtr& call)
{
    const auto kind = kind_in(*call);
    const auto json = read_json(*call);
    if (!json) return;
    auto document = parse_document(*json, kind, (*call)["name"]);
    if (!passed(*call, document)) return;
    Result<Checked> checked = fail(Errc::internal, "");
    {
        const auto reader = service.core.reader();
        auto outcome = check(service, *reader, std::move(*document), {}, {flag_of(*call, "accept"), flag_of(*call, "force")});
        if (!outcome) return refuse(*call, outcome.error());
        checked = std::move(*outcome);
    }
    std::vector<ResourceDocument> notifiers;
    if (needs_compiling(*checked)) notifiers.push_back(checked->document);
    with_compiled(service, call, std::move(notifiers), [&service, call, checked = std::move(*checked)](const std::vector<NotFitting>& wrong) {
        if (!wrong.empty()) return reply_error(*call, wrong.front().error);
        put_checked(service, call, checked);
    });
}

void delete_resource(Service& service, const CallPtr& call)
{
    service.core.delete_document(std::string(word(kind_in(*call))), (*call)["name"], call->who(), [call](const Result<Nothing>& done) {
        if (passed(*call, done)) reply_empty(*call);
    });
}

namespace {

/// The version that the deployment had before: not one that a rollback left, nor one that was decommissioned. Null: there is none.
const VersionMove* version_before(Reader& reader, const Document& stored, const std::vector<VersionMove>& moves)
{
    const std::string& now = stored.spec["package"].as_string();
    for (const VersionMove& move : moves) {
        if (move.to == now || rolled_back(reader, stored, move.to)) continue;
        const auto package = reader.package(move.to.substr(0, move.to.find('@')), move.to.substr(move.to.find('@') + 1));
        if (package && package->state != PackageState::decommissioned) return &move;
    }
    return nullptr;
}

/// The newest line with that version: the deployment as it was last with it.
const VersionMove* line_of(const std::vector<VersionMove>& moves, const std::string& version)
{
    const auto found = std::find_if(moves.begin(), moves.end(), [&](const VersionMove& move) { return move.to == version; });
    return found == moves.end() ? nullptr : &*found;
}

/// How long ago the deployment first came to it: a smaller number is later.
std::size_t first_line(const std::vector<VersionMove>& moves, const std::string& version)
{
    std::size_t at = 0;
    for (std::size_t i = 0; i < moves.size(); ++i)
        if (moves[i].to == version) at = i;
    return at;
}

std::string versions_text(const std::vector<VersionMove>& moves)
{
    std::vector<std::string> names;
    for (const VersionMove& move : moves)
        if (names.size() < 20 && std::find(names.begin(), names.end(), move.to) == names.end()) names.push_back(move.to);
    return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

void rollback_deployment(Service& service, const CallPtr& call)
{
    const auto json = read_json(*call, true);
    if (!json) return;
    Fields fields(*json, "rollback");
    std::string to = fields.text("to", "");
    const bool rebind = fields.boolean("rebindWaiting", false);
    const std::string why = fields.text("why", "");
    if (why.size() > 1000) fields.mistake("why", "is longer than 1000 bytes");
    if (auto done = fields.done(); !done) return reply_error(*call, done.error());
    const std::string name = (*call)["name"];
    VersionOrder order{.deployment = name, .spec = {}, .what = "rolled_back", .why = why, .rebind_waiting = rebind};
    std::string from;
    std::vector<std::string> warnings;
    {
        const auto reader = service.core.reader();
        const auto stored = reader->document("Deployment", name);
        if (!passed(*call, stored)) return;
        from = stored->spec["package"].as_string();
        const auto moves = reader->version_moves(stored->uid, kVersionMoves);
        if (!passed(*call, moves)) return;
        if (!to.empty() && to.find('@') == std::string::npos) to = from.substr(0, from.find('@') + 1) + to;
        const VersionMove* line = to.empty() ? version_before(*reader, *stored, *moves) : line_of(*moves, to);
        if (line == nullptr)
            return reply_problem(*call, 409, to.empty() ? fmt::format("deployment '{}' has no version before {} to go back to; it had {} (--to VERSION)", name, from, versions_text(*moves))
                                                        : fmt::format("deployment '{}' never had {}; it had {} (apply its file to go to another one)", name, to, versions_text(*moves)),
                                 "no_version");
        if (line->to == from && !rebind) return reply_problem(*call, 409, fmt::format("deployment '{}' is at {} already", name, from), "no_version");
        to = line->to;
        if (first_line(*moves, to) < first_line(*moves, from)) order.what = "rolled_forward";
        auto checked = check(service, *reader, {ResourceKind::deployment, name, to == from ? stored->spec : line->spec}, {}, {true, true});
        if (!checked) return refuse(*call, checked.error());
        order.spec = std::move(checked->document.spec);
        order.generation = stored->generation;
        warnings = std::move(checked->warnings);
    }
    service.core.move_deployment(std::move(order), call->who(), [call, name, from, to, warnings](const Result<VersionMoved>& moved) {
        if (!passed(*call, moved)) return;
        Json out = Json::object({{"deployment", name}, {"from", from}, {"to", to}, {"rebound", moved->rebound}, {"left", moved->left}, {"resource", resource_json(moved->document)}});
        if (!warnings.empty()) out.set("warnings", texts_json(warnings));
        reply(*call, 200, out);
    });
}

namespace {

/// Writes checked documents one after the other; lives in the callbacks.
struct Application : std::enable_shared_from_this<Application> {
    Application(Service& the_service, CallPtr the_call) : service(the_service), call(std::move(the_call)) {}
    Service& service;
    CallPtr call;
    std::vector<Checked> documents;
    Json results;
    std::size_t next = 0;

    void step()
    {
        while (next < documents.size() && documents[next].result() == "unchanged") ++next;
        if (next == documents.size()) return reply(*call, 200, Json::object({{"results", results}}));
        const Checked& each = documents[next++];
        service.core.put_document(std::string(word(each.document.kind)), each.document.name, each.document.spec,
                                  each.stored ? each.stored->generation : 0, call->who(), [self = shared_from_this()](const Result<Document>& stored) {
                                      if (stored) return self->step();
                                      const auto& failed = self->documents[self->next - 1].document;
                                      reply_error(*self->call, Error{stored.error().code, fmt::format("{} '{}': {}; the documents before it are written",
                                                                                                      word(failed.kind), failed.name, stored.error().what)});
                                  });
    }
};

Json apply_error(std::size_t index, const Json& document, const Refusal& refusal)
{
    Json out = Json::object({{"index", Json(index)}, {"kind", document["kind"]}, {"name", document["name"]}, {"detail", Json(refusal.error.what)}});
    if (!refusal.missing.empty()) out.set("missing", texts_json(refusal.missing));
    return out;
}

void refuse_all(const Call& call, int status, const Json& errors)
{
    std::string detail;
    for (const Json& each : errors.as_array()) detail += (detail.empty() ? "" : "; ") + each["detail"].as_string();
    reply_problem(call, status, fmt::format("nothing was written: {}", detail), "apply", Json::object({{"errors", errors}}));
}

}  // namespace

void apply(Service& service, const CallPtr& call)
{
    const auto json = read_json(*call);
    if (!json) return;
    Fields fields(*json, "apply");
    const Json documents = fields.array("documents");
    const bool dry_run = fields.boolean("dryRun", false), accept = fields.boolean("accept", false), force = fields.boolean("force", false);
    if (documents.size() > 1000) fields.mistake("documents", "are more than 1000");
    if (auto done = fields.done(); !done) return reply_error(*call, done.error());

    Json errors = Json::array();
    int status = 400;
    std::vector<std::pair<std::size_t, ResourceDocument>> parsed;   // with the place in the request
    for (std::size_t i = 0; i < documents.size(); ++i) {
        auto document = parse_document(documents[i]);
        if (!document) {
            errors.push(apply_error(i, documents[i], {document.error(), {}}));
            continue;
        }
        const bool twice = std::any_of(parsed.begin(), parsed.end(), [&](const auto& each) { return each.second.kind == document->kind && each.second.name == document->name; });
        if (twice) errors.push(apply_error(i, documents[i], {{Errc::invalid, fmt::format("{} '{}' is there twice", word(document->kind), document->name)}, {}}));
        else parsed.emplace_back(i, std::move(*document));
    }
    // What refers comes after what it refers to, whatever the order in the files.
    std::stable_sort(parsed.begin(), parsed.end(), [](const auto& a, const auto& b) { return a.second.kind < b.second.kind; });
    std::vector<ResourceDocument> overlay;
    for (const auto& [index, document] : parsed) overlay.push_back(document);

    auto application = std::make_shared<Application>(service, call);
    std::vector<Json> results(documents.size());
    std::vector<ResourceDocument> notifiers;   // that are to be compiled
    std::vector<std::size_t> places;           // of them, in the request
    {
        const auto reader = service.core.reader();
        for (auto& [index, document] : parsed) {
            auto checked = check(service, *reader, std::move(document), overlay, {accept, force});
            if (!checked) {
                if (checked.error().error.code == Errc::conflict && errors.empty()) status = 409;
                errors.push(apply_error(index, documents[index], checked.error()));
                continue;
            }
            results[index] = Json::object({{"kind", Json(word(checked->document.kind))}, {"name", Json(checked->document.name)},
                                           {"result", Json(checked->result())}, {"differences", checked->changes}});
            if (!checked->warnings.empty()) results[index].set("warnings", texts_json(checked->warnings));
            if (needs_compiling(*checked)) {
                notifiers.push_back(checked->document);
                places.push_back(index);
            }
            application->documents.push_back(std::move(*checked));
        }
    }
    application->results = Json::array();
    for (Json& each : results) application->results.push(std::move(each));
    with_compiled(service, call, std::move(notifiers), [call, application, places, errors, status, dry_run, documents](const std::vector<NotFitting>& wrong) mutable {
        for (const NotFitting& each : wrong) {
            if (errors.empty()) status = 400;
            errors.push(apply_error(places[each.index], documents[places[each.index]], {each.error, {}}));
        }
        if (!errors.empty()) return refuse_all(*call, status, errors);
        if (dry_run) return reply(*call, 200, Json::object({{"results", application->results}, {"dryRun", true}}));
        application->step();
    });
}

}  // namespace mill::factory::handler
